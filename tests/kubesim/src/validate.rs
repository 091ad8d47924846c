//! Validation of values by a schema, with the sentences of the real server.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::error::{FieldError, Wrong};
use crate::fields::Step;
use crate::schema::{ListType, Schema, Type};

/// What is wrong with a value, by its schema. Sentences name its path from `top`.
pub(crate) fn value(schema: &Schema, value: &Value, path: &str, top: &str, errors: &mut Vec<FieldError>) {
    let mut found = Vec::new();
    look_at(schema, value, path, &mut found);
    if !top.is_empty() {
        let prefix = format!("{top}.");
        found.iter_mut().for_each(|error: &mut FieldError| error.count_from(&prefix));
    }
    errors.append(&mut found);
}

fn look_at(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema.nullable {
        return;
    }
    if !is_of(schema.type_, value) {
        let detail = format!("{path} in body must be of type {}: \"{}\"", schema.type_.name(), Type::of(value));
        // The real server names the type that it found instead of the value.
        errors.push(FieldError::new(path, Wrong::Type, Some(&json!(Type::of(value))), detail));
        return;
    }
    if !schema.choices.is_empty() && !schema.choices.contains(value) {
        let choices: Vec<_> = schema.choices.iter().map(Value::to_string).collect();
        let detail = format!("supported values: {}", choices.join(", "));
        errors.push(FieldError::new(path, Wrong::Unsupported, Some(value), detail));
    }
    match value {
        Value::String(text) => string(schema, value, text, path, errors),
        Value::Number(number) => bounds(schema, value, number.as_f64().unwrap_or_default(), path, errors),
        Value::Array(items) => array(schema, items, path, errors),
        Value::Object(fields) => object(schema, fields, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_of(type_: Type, value: &Value) -> bool {
    match type_ {
        Type::Any => true,
        Type::Array => value.is_array(),
        Type::Boolean => value.is_boolean(),
        Type::Integer => is_integer(value),
        Type::Number => value.is_number(),
        Type::Object => value.is_object(),
        Type::String => value.is_string(),
    }
}

/// A number with a point or an exponent is an integer too if it is whole, and no larger than a JSON number is exact.
fn is_integer(value: &Value) -> bool {
    const MOST: f64 = 9_007_199_254_740_991.0;
    let whole = |n: f64| n.fract() == 0.0 && n.abs() <= MOST;
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(whole)
}

fn string(schema: &Schema, value: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema.max_length.filter(|most| length > *most) {
        errors.push(FieldError::new(path, Wrong::TooLong, None, at_most("may not be more than", most, "byte")));
    }
    if let Some(least) = schema.min_length.filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(path, value, detail));
    }
    if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        errors.push(FieldError::invalid(path, value, format!("{path} in body should match '{pattern}'")));
    }
    if let Some(format) = &schema.format {
        let wrong = match format.as_str() {
            "date-time" | "micro-time" => !is_date_time(text),
            _ => false,
        };
        if wrong {
            let detail = format!("{path} in body must be of type {format}: {value}");
            errors.push(FieldError::new(path, Wrong::Type, Some(value), detail));
        }
    }
}

/// Whether text is a time for the real server, which does not look at offsets, nor at what follows a second `t`.
fn is_date_time(text: &str) -> bool {
    static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new("^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$").ok()
    });
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let dashed = date.len() == 10 && date.bytes().enumerate().all(|(at, b)| (b == b'-') == (at == 4 || at == 7));
    let is_time = TIME.as_ref().is_some_and(|pattern| pattern.is_match(time));
    dashed && date.parse::<jiff::civil::Date>().is_ok() && is_time
}

fn at_most(what: &str, most: u64, unit: &str) -> String {
    let plural = if most == 1 { "" } else { "s" };
    format!("{what} {most} {unit}{plural}")
}

fn bounds(schema: &Schema, value: &Value, number: f64, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(least) = schema.minimum.filter(|least| number < *least) {
        let detail = format!("{path} in body should be greater than or equal to {least}");
        errors.push(FieldError::invalid(path, value, detail));
    }
    if let Some(most) = schema.maximum.filter(|most| number > *most) {
        errors.push(FieldError::invalid(path, value, format!("{path} in body should be less than or equal to {most}")));
    }
}

fn array(schema: &Schema, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let length = items.len() as u64;
    if let Some(most) = schema.max_items.filter(|most| length > *most) {
        let detail = at_most("must have at most", most, "item");
        errors.push(FieldError::new(path, Wrong::TooMany, Some(&json!(length)), detail));
    }
    if let Some(least) = schema.min_items.filter(|least| length < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        errors.push(FieldError::invalid(path, &json!(length), detail));
    }
    let Some(item_schema) = &schema.items else { return };
    for (index, item) in items.iter().enumerate() {
        look_at(item_schema, item, &format!("{path}[{index}]"), errors);
    }
}

fn object(schema: &Schema, fields: &serde_json::Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let length = fields.len() as u64;
    if let Some(most) = schema.max_properties.filter(|most| length > *most) {
        let detail = at_most("must have at most", most, "item");
        errors.push(FieldError::new(path, Wrong::TooMany, Some(&json!(length)), detail));
    }
    if let Some(least) = schema.min_properties.filter(|least| length < *least) {
        let detail = format!("{path} in body should have at least {least} properties");
        errors.push(FieldError::invalid(path, &json!(length), detail));
    }
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        errors.push(FieldError::required(&join(path, name), ""));
    }
    for (name, field) in fields {
        if let Some(field_schema) = schema.properties.get(name) {
            look_at(field_schema, field, &join(path, name), errors);
        } else if let Some(field_schema) = &schema.additional {
            look_at(field_schema, field, &join(path, name), errors);
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Items that a list may hold once only, and holds twice.
pub(crate) fn duplicates(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            if schema.list != ListType::Atomic {
                let mut seen = BTreeSet::new();
                for (index, item) in items.iter().enumerate() {
                    let step = Step::of_item(schema, item);
                    if !seen.insert(step.clone()) {
                        let shown = step.value();
                        errors.push(FieldError::new(&format!("{path}[{index}]"), Wrong::Duplicate, Some(&shown), ""));
                    }
                }
            }
            for (index, item) in items.iter().enumerate() {
                if let Some(item_schema) = &schema.items {
                    duplicates(item_schema, item, &format!("{path}[{index}]"), errors);
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(field_schema) = schema.field(name) {
                    duplicates(field_schema, field, &join(path, name), errors);
                }
            }
        }
        _ => {}
    }
}
