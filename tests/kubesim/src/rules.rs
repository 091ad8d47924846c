//! The rules (CEL) of a CRD, evaluated by the library that kube has for this.

use std::collections::BTreeMap;

use kube::core::cel::Validator;
use serde_json::Value;

use crate::error::{FieldError, Wrong};
use crate::kinds::Kind;

/// What the rules say against an object.
pub(crate) fn check(validator: &Validator, kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let Some(rules) = &kind.rules else { return Vec::new() };
    let Err(errors) = validator.validate_compiled(rules, new, old) else { return Vec::new() };
    // The library walks hash maps, so its order is not always the same.
    let mut by_place = BTreeMap::new();
    for error in errors {
        by_place.insert((error.field_path.clone(), error.rule.clone()), error);
    }
    let field_error = |error: &kube::core::cel::ValidationError| {
        let path = error.field_path.as_str();
        // What is large is not shown.
        let shown = at(new, path).filter(|value| !value.is_object() && !value.is_array());
        let field = if path.is_empty() { "<nil>" } else { path };
        FieldError::new(field, Wrong::Invalid, shown, error.message.clone())
    };
    by_place.values().map(field_error).collect()
}

/// What is said when the rules were not looked at.
pub(crate) fn not_checked() -> FieldError {
    let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                  complete validation";
    FieldError::invalid("<nil>", &Value::Null, detail)
}

/// The value at a path like spec.versions[0].version.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).try_fold(value, |value, step| match step.strip_suffix(']') {
        Some(index) => value.get(index.parse::<usize>().ok()?),
        None => value.get(step),
    })
}
