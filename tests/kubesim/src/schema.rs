//! Structural schemas: what a kind's objects are made of, and what is done to them before they are looked at: unknown
//! fields pruned, defaults filled in.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }

    pub(crate) fn of(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

/// How a list is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// A node of a schema.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) type_: Type,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Option<Box<Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) required: Vec<String>,
    pub(crate) choices: Vec<Value>,
    pub(crate) default: Option<Value>,
    pub(crate) nullable: bool,
    pub(crate) preserve: bool,
    pub(crate) atomic: bool,
    pub(crate) list: ListType,
    pub(crate) format: Option<String>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
}

impl Schema {
    /// Reads a schema. What this server does not know is an error: it must not pass over a constraint in silence.
    pub(crate) fn parse(schema: &Value) -> Result<Self, String> {
        let schema = schema.as_object().ok_or("a schema is an object")?;
        let mut parsed = Self {
            type_: Type::Any,
            properties: BTreeMap::new(),
            additional: None,
            items: None,
            required: Vec::new(),
            choices: Vec::new(),
            default: None,
            nullable: false,
            preserve: false,
            atomic: false,
            list: ListType::Atomic,
            format: None,
            pattern: None,
            min_length: None,
            max_length: None,
            min_items: None,
            max_items: None,
            min_properties: None,
            max_properties: None,
            minimum: None,
            maximum: None,
        };
        for (keyword, value) in schema {
            parsed.set(keyword, value)?;
        }
        if let (ListType::Map(keys), Some(listed)) = (&mut parsed.list, schema.get("x-kubernetes-list-map-keys")) {
            *keys = strings(listed);
        }
        Ok(parsed)
    }

    fn set(&mut self, keyword: &str, value: &Value) -> Result<(), String> {
        match keyword {
            // Rules are compiled elsewhere, and the keys of a list map are read with its type.
            "description" | "title" | "x-kubernetes-validations" | "x-kubernetes-list-map-keys" => {}
            "type" => self.type_ = type_named(value)?,
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    self.properties.insert(name.clone(), Self::parse(property)?);
                }
            }
            "additionalProperties" => self.additional = Some(Box::new(Self::parse(value)?)),
            "items" => self.items = Some(Box::new(Self::parse(value)?)),
            "required" => self.required = strings(value),
            "enum" => self.choices = value.as_array().cloned().unwrap_or_default(),
            "default" => self.default = Some(value.clone()),
            "nullable" => self.nullable = value == true,
            "x-kubernetes-preserve-unknown-fields" => self.preserve = value == true,
            "x-kubernetes-map-type" => self.atomic = value == "atomic",
            "x-kubernetes-list-type" => {
                self.list = match value.as_str() {
                    Some("map") => ListType::Map(Vec::new()),
                    Some("set") => ListType::Set,
                    _ => ListType::Atomic,
                }
            }
            "format" => self.format = value.as_str().map(str::to_owned),
            "pattern" => {
                let pattern = value.as_str().unwrap_or_default();
                self.pattern = Some(Regex::new(pattern).map_err(|e| format!("the pattern {pattern}: {e}"))?);
            }
            "minLength" => self.min_length = value.as_u64(),
            "maxLength" => self.max_length = value.as_u64(),
            "minItems" => self.min_items = value.as_u64(),
            "maxItems" => self.max_items = value.as_u64(),
            "minProperties" => self.min_properties = value.as_u64(),
            "maxProperties" => self.max_properties = value.as_u64(),
            "minimum" => self.minimum = value.as_f64(),
            "maximum" => self.maximum = value.as_f64(),
            unknown => return Err(format!("the schema keyword {unknown} is not simulated")),
        }
        Ok(())
    }

    /// The schema of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Takes out fields that the schema does not know; their paths are added to `unknown`.
    pub(crate) fn prune(&self, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
        match value {
            Value::Object(fields) if !self.preserve => {
                let path_of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                fields.retain(|name, _| {
                    let known = self.field(name).is_some();
                    if !known {
                        unknown.push(path_of(name));
                    }
                    known
                });
                for (name, field) in fields {
                    if let Some(schema) = self.field(name) {
                        schema.prune(field, &path_of(name), unknown);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for (index, item) in items.iter_mut().enumerate() {
                        schema.prune(item, &format!("{path}[{index}]"), unknown);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes out nulls that the schema does not allow and has no default for.
    pub(crate) fn drop_nulls(&self, value: &mut Value) {
        if let Value::Object(fields) = value {
            let allowed = |schema: &Schema| schema.nullable || schema.default.is_some();
            fields.retain(|name, value| !value.is_null() || self.field(name).is_none_or(allowed));
        }
        self.each_field(value, &mut |schema, field| schema.drop_nulls(field));
    }

    /// Fills in defaults where nothing is, or a null that may not be.
    pub(crate) fn fill(&self, value: &mut Value) {
        if let Value::Object(fields) = value {
            for (name, schema) in &self.properties {
                let missing = fields.get(name).is_none_or(|value| value.is_null() && !schema.nullable);
                if let (true, Some(default)) = (missing, &schema.default) {
                    fields.insert(name.clone(), default.clone());
                }
            }
        }
        self.each_field(value, &mut |schema, field| schema.fill(field));
    }

    fn each_field(&self, value: &mut Value, action: &mut dyn FnMut(&Schema, &mut Value)) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(schema) = self.field(name) {
                        action(schema, field);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    items.iter_mut().for_each(|item| action(schema, item));
                }
            }
            _ => {}
        }
    }
}

fn type_named(name: &Value) -> Result<Type, String> {
    Ok(match name.as_str() {
        Some("array") => Type::Array,
        Some("boolean") => Type::Boolean,
        Some("integer") => Type::Integer,
        Some("number") => Type::Number,
        Some("object") => Type::Object,
        Some("string") => Type::String,
        _ => return Err(format!("the type {name} is not simulated")),
    })
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
