//! Reading manifests from files: the rules (CEL) that the API server checks too, with the same sentences.

use std::path::Path;

use kube::core::cel::Validator;
use serde_json::Value;
use thiserror::Error;

use crate::api::{MachineImage, crd};

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file} cannot be read: {cause}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{file} is not YAML: {cause}")]
    NotYaml {
        /// The name of the file.
        file: String,
        /// Where and why.
        cause: String,
    },
    /// The API server would refuse a document, or the program could not read it.
    #[error("{file}, document {number}: {cause}")]
    Invalid {
        /// The name of the file.
        file: String,
        /// Which document of the file, from 1.
        number: usize,
        /// Why.
        cause: String,
    },
    /// No document is a MachineImage.
    #[error("there is no MachineImage in the files")]
    Empty,
}

/// Reads all MachineImages of some files; `-` is standard input.
pub(super) fn read(files: &[String]) -> Result<Vec<MachineImage>, Error> {
    let mut objects = Vec::new();
    for file in files {
        let text = match file.as_str() {
            "-" => std::io::read_to_string(std::io::stdin()),
            path => std::fs::read_to_string(Path::new(path)),
        };
        let text = text.map_err(|cause| Error::Unreadable { file: file.clone(), cause })?;
        objects.extend(of_text(file, &text)?);
    }
    if objects.is_empty() { Err(Error::Empty) } else { Ok(objects) }
}

/// The MachineImages of the text of a file. Documents of other kinds are passed over.
///
/// # Errors
/// If it is not YAML, or if one of them breaks a rule.
pub fn of_text(file: &str, text: &str) -> Result<Vec<MachineImage>, Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|cause| Error::NotYaml { file: file.into(), cause: cause.to_string() })?;
    let ours = documents.into_iter().enumerate().filter(|(_, document)| is_machine_image(document));
    let read = |(index, document)| {
        parse(document).map_err(|cause| Error::Invalid { file: file.into(), number: index + 1, cause })
    };
    ours.map(read).collect()
}

fn is_machine_image(document: &Value) -> bool {
    let starts_with =
        |key: &str, text: &str| document.get(key).and_then(Value::as_str).is_some_and(|v| v.starts_with(text));
    starts_with("apiVersion", "amiops.dev/") && document.get("kind").and_then(Value::as_str) == Some("MachineImage")
}

fn parse(mut document: Value) -> Result<MachineImage, String> {
    drop_nulls(&mut document);
    let mut object: MachineImage =
        serde_path_to_error::deserialize(document).map_err(|e| format!("{}: {}", e.path(), e.inner()))?;
    object.metadata.namespace.get_or_insert_with(|| "default".into());
    validate(&object)?;
    Ok(object)
}

/// A field that is null is a field left out, as it is for the API server.
///
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Checks the rules of the schema. The object is written out first, so that defaults are in place.
fn validate(object: &MachineImage) -> Result<(), String> {
    let crd = serde_json::to_value(crd()).map_err(|e| e.to_string())?;
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let value = serde_json::to_value(object).map_err(|e| e.to_string())?;
    Validator::new().validate(&schema, &value, None).map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn manifest(version: &str) -> Value {
        let yaml = format!(
            "apiVersion: amiops.dev/v1alpha1\nkind: MachineImage\nmetadata: {{name: web}}\nspec:\n  versions:\n  - version: '{version}'\n    \
             source: {{image: {{region: us-east-1, id: ami-0aa11bb22cc33dd44}}}}\n  regions: [{{region: us-east-1}}]\n"
        );
        serde_saphyr::from_str(&yaml).unwrap()
    }

    #[test]
    fn a_manifest_that_the_api_server_would_take_is_taken() {
        assert_eq!(parse(manifest("1.4.2")).unwrap().spec.name_template, "{name}-{version}");
    }

    #[test]
    fn a_manifest_that_the_api_server_would_refuse_is_refused_with_the_same_sentence() {
        let error = parse(manifest("one two")).unwrap_err();
        assert!(error.contains("a version is made of letters, digits"), "{error}");
    }

    #[test]
    fn a_field_that_is_null_is_a_field_left_out() {
        let (plain, mut manifest) = (manifest("1.4.2"), manifest("1.4.2"));
        for field in ["nameTemplate", "tags", "retention", "interval"] {
            manifest["spec"][field] = Value::Null;
        }
        assert_eq!(parse(manifest).unwrap(), parse(plain).unwrap());
    }

    #[test]
    fn a_field_that_must_be_there_cannot_be_null() {
        let mut manifest = manifest("1.4.2");
        manifest["spec"]["versions"] = Value::Null;
        assert!(parse(manifest).unwrap_err().contains("missing field `versions`"));
    }

    #[test]
    fn an_error_names_the_field() {
        let mut manifest = manifest("1.4.2");
        manifest["spec"]["suspend"] = "perhaps".into();
        assert!(parse(manifest).unwrap_err().starts_with("spec.suspend: "));
    }
}
