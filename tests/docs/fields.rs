//! The fields of the resource and the rules over them, from the schema.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

fn schema() -> JSONSchemaProps {
    amiops::api::crd().spec.versions.remove(0).schema.unwrap().open_api_v3_schema.unwrap()
}

/// The fields below `spec` or `status` as a table, in alphabetical order. Only what people write has defaults.
pub(super) fn table(part: &str) -> String {
    let head = match part {
        "spec" => "| field | type | default | meaning |\n|---|---|---|---|\n",
        _ => "| field | type | meaning |\n|---|---|---|\n",
    };
    let mut text = head.to_owned();
    let schema = schema();
    rows(&mut text, part, &schema.properties.unwrap()[part]);
    text
}

fn rows(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    let required = schema.required.clone().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let default = match &field.default {
            _ if !path.starts_with("spec") => String::new(),
            Some(default) => format!(" | `{}`", default.0.to_string().trim_matches('"')),
            None if required.contains(name) => " | required".into(),
            None => " | ".into(),
        };
        let meaning = field.description.clone().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(text, "| `{path}` | {}{default} | {meaning} |", kind(field)).unwrap();
        rows(text, &path, field);
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items {
            rows(text, &format!("{path}[]"), item);
        }
    }
}

/// The type of a field with its bounds, in a few words.
fn kind(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        let values = values.iter().map(|v| format!("`{}`", v.0.to_string().trim_matches('"')));
        return values.collect::<Vec<_>>().join(", ");
    }
    let kind = match (field.type_.as_deref(), field.format.as_deref()) {
        (Some("array"), _) => match &field.x_kubernetes_list_map_keys {
            Some(keys) => format!("list, keyed by `{}`", keys.join("`, `")),
            None => "list".into(),
        },
        (Some("object"), _) if matches!(field.additional_properties, Some(JSONSchemaPropsOrBool::Schema(_))) => {
            "map of strings".into()
        }
        (_, Some("date-time")) => "RFC 3339 time".into(),
        (kind, _) => kind.unwrap_or("any").to_owned(),
    };
    let least = field.min_length.or(field.min_items).or(field.minimum.map(|m| m as i64));
    let most = field.max_length.or(field.max_items).or(field.max_properties).or(field.maximum.map(|m| m as i64));
    match (least, most) {
        (Some(least), Some(most)) => format!("{kind}, {least} to {most}"),
        (None, Some(most)) => format!("{kind}, {most} at most"),
        (Some(least), None) => format!("{kind}, {least} or more"),
        (None, None) => kind,
    }
}

/// What the API server refuses, with the sentence that it says.
pub(super) fn rules() -> String {
    let mut text = "| where | what `kubectl apply` says |\n|---|---|\n".to_owned();
    messages(&mut text, "", &schema());
    text
}

fn messages(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let place = if path.is_empty() { "the object".into() } else { format!("`{path}`") };
        writeln!(text, "| {place} | {} |", rule.message.as_deref().unwrap()).unwrap();
    }
    for (name, field) in schema.properties.iter().flatten() {
        let path = [path, name].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(".");
        messages(text, &path, field);
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &field.items {
            messages(text, &format!("{path}[]"), item);
        }
    }
}
