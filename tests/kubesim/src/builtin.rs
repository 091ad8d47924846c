//! What the real server checks of the built-in kinds beyond their types.

use serde_json::{Value, json};

use crate::error::FieldError;
use crate::names::is_qualified_name;

/// Nothing.
pub(crate) fn none(_: &Value, _: Option<&Value>, _: &mut Vec<FieldError>) {}

/// A Lease.
pub(crate) fn lease(new: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let seconds = &spec["leaseDurationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|transitions| transitions < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", transitions, detail));
    }
}

/// An Event of events.k8s.io/v1. Sentences name the fields of the older version, as the real server does.
pub(crate) fn event(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let text = |name: &str| new[name].as_str().unwrap_or_default();
    let namespace = new["metadata"]["namespace"].as_str().unwrap_or_default();
    let regarding = &new["regarding"]["namespace"];
    let about_elsewhere = regarding.as_str().unwrap_or_default().is_empty();
    if about_elsewhere && namespace != "default" && namespace != "kube-system" {
        errors.push(FieldError::invalid("involvedObject.namespace", &json!(""), "does not match event.namespace"));
    }
    let controller = text("reportingController");
    if controller.is_empty() {
        errors.push(FieldError::required("reportingController", ""));
    }
    if let Some(why) = is_qualified_name(controller) {
        errors.push(FieldError::invalid("reportingController", &json!(controller), why));
    }
    for (name, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        if text(name).is_empty() {
            errors.push(FieldError::required(name, ""));
        }
        at_most(name, text(name), most, errors);
    }
    at_most("message", text("note"), 1024, errors);
    match old {
        None => created(new, errors),
        Some(old) => updated(new, old, errors),
    }
}

fn at_most(field: &str, text: &str, most: usize, errors: &mut Vec<FieldError>) {
    if text.len() > most {
        errors.push(FieldError::invalid(field, &json!(""), format!("can have at most {most} characters")));
    }
}

fn created(new: &Value, errors: &mut Vec<FieldError>) {
    series(new, errors);
    if new["eventTime"].is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    let type_ = new["type"].as_str().unwrap_or_default();
    if type_ != "Normal" && type_ != "Warning" {
        errors.push(FieldError::invalid("type", &json!(""), format!("has invalid value: {type_}")));
    }
}

fn updated(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["series"] != old["series"] {
        series(new, errors);
    }
    let fixed = [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    for (name, shown) in fixed {
        if new[name] != old[name] {
            errors.push(FieldError::immutable(shown, &new[name]));
        }
    }
}

fn series(event: &Value, errors: &mut Vec<FieldError>) {
    let series = &event["series"];
    if !series.is_null() && series["count"].as_i64().is_none_or(|count| count < 2) {
        errors.push(FieldError::invalid("series.count", &json!(""), "should be at least 2"));
    }
}
