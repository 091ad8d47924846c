//! The CustomResourceDefinition, as `amiops crd` prints it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, ValidationRule,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{MachineImage, rules};

/// The CustomResourceDefinition of `MachineImage`.
///
/// Two things are added to what is derived from the types: the rules over the whole object, and the
/// default status with `observedGeneration: -1`, by which kstatus says InProgress before the first pass.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = MachineImage::crd();
    for schema in crd.spec.versions.iter_mut().filter_map(|v| v.schema.as_mut()?.open_api_v3_schema.as_mut()) {
        schema.x_kubernetes_validations = Some(rules::object().into_iter().filter_map(validation).collect());
        if let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
        }
        tidy(schema);
    }
    crd
}

/// The CustomResourceDefinition as YAML, the content of `crds/amiops.dev_machineimages.yaml`.
///
/// # Errors
/// Only if the YAML library fails to write what it is given.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&crd())
}

fn validation(rule: kube::core::Rule) -> Option<ValidationRule> {
    serde_json::to_value(rule).and_then(serde_json::from_value).ok()
}

/// Takes out what Rust puts in and Kubernetes has no use for: titles that repeat the names of types, and
/// the format `uint32`, which the API server warns of.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.title = None;
    if schema.format.as_deref() == Some("uint32") {
        schema.format = None;
    }
    schema.properties.iter_mut().flat_map(|p| p.values_mut()).for_each(tidy);
}
