//! Writes that all requests share: how an object is decoded, admitted, checked, and stored.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, FieldError, Wrong};
use crate::kinds::{EVENTS, Kind};
use crate::managers::{Manager, Managers, whole_seconds};
use crate::names;
use crate::rules;
use crate::store::{Key, Store, Stored};
use crate::validate;

/// Who writes, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The name of the manager of the fields.
    pub(crate) manager: String,
    /// Whether it came to the endpoint of the status.
    pub(crate) status: bool,
    /// Whether unknown fields are refused instead of dropped.
    pub(crate) strict: bool,
    /// Whether nothing is to be stored.
    pub(crate) dry_run: bool,
}

impl Options {
    pub(crate) fn updater(&self) -> Manager {
        Manager { name: self.manager.clone(), applies: false, status: self.status }
    }
}

impl Store {
    /// Creates an object in the name of the cluster itself.
    pub(crate) fn create_plain(
        &mut self,
        now: Timestamp,
        kind: usize,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Stored>, ApiError> {
        let options = Options { manager: "kube-apiserver".into(), ..Options::default() };
        self.create(now, kind, namespace, object, &options)
    }

    /// POST.
    pub(crate) fn create(
        &mut self,
        now: Timestamp,
        kind: usize,
        namespace: &str,
        mut object: Value,
        options: &Options,
    ) -> Result<Arc<Stored>, ApiError> {
        let of = self.kind(kind);
        decode(&of, &mut object, options.strict, true)?;
        self.admit_new(now, kind, namespace, object, None, options)
    }

    /// Admits a decoded object that does not exist yet.
    pub(crate) fn admit_new(
        &mut self,
        now: Timestamp,
        kind: usize,
        namespace: &str,
        mut object: Value,
        managers: Option<Managers>,
        options: &Options,
    ) -> Result<Arc<Stored>, ApiError> {
        let of = self.kind(kind);
        if kind == EVENTS {
            self.expire_events(now);
        }
        let metadata = metadata_of(&mut object)?;
        in_namespace(metadata, namespace)?;
        if of.namespaced && !self.has_namespace(namespace) {
            return Err(ApiError::not_found(&self.kind(crate::kinds::NAMESPACES), namespace));
        }
        if metadata.get("resourceVersion").is_some_and(|version| version.as_str().is_some_and(|v| !v.is_empty())) {
            return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        for field in
            ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"]
        {
            metadata.remove(field);
        }
        let number = self.next_number();
        let named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        if let (false, Some(prefix)) = (named, metadata.get("generateName").and_then(Value::as_str)) {
            let name = format!("{prefix}{}", random_looking(number));
            metadata.insert("name".into(), json!(name));
        }
        metadata.insert("uid".into(), json!(uid(number)));
        metadata.insert("creationTimestamp".into(), json!(whole_seconds(now)));
        if of.custom {
            metadata.insert("generation".into(), json!(1));
        }
        let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let (true, Some(fields)) = (of.custom && of.has_status, object.as_object_mut()) {
            fields.remove("status");
        }
        let mut errors = Vec::new();
        check_new_metadata(&object["metadata"], &mut errors);
        self.check(&of, &object, None, false, errors)?;
        let key = Key { kind, namespace: namespace.into(), name };
        if self.get(&key).is_some() {
            return Err(ApiError::already_exists(&of, &key.name));
        }
        let managers = managers.unwrap_or_else(|| {
            let mut managers = Managers::default();
            managers.update(&of, options.updater(), &json!({}), &object, now);
            managers
        });
        // The real server fills in defaults again whenever it reads what it has stored.
        let without_status = object.get("status").is_none();
        of.schema.fill(&mut object);
        object["metadata"]["managedFields"] = managers.written(&of);
        let mut stored = Stored::new(object, managers);
        stored.complete = !without_status || stored.object.get("status").is_none();
        Ok(if options.dry_run { Arc::new(stored) } else { self.put(key, stored) })
    }

    /// Admits a decoded object in place of the one that is there.
    pub(crate) fn admit_update(
        &mut self,
        key: &Key,
        mut object: Value,
        mut managers: Managers,
        options: &Options,
    ) -> Result<Arc<Stored>, ApiError> {
        let of = self.kind(key.kind);
        let current = Arc::clone(self.get(key).ok_or_else(|| ApiError::not_found(&of, &key.name))?);
        let metadata = metadata_of(&mut object)?;
        in_namespace(metadata, &key.namespace)?;
        let given = metadata.get("resourceVersion").and_then(Value::as_str).unwrap_or_default();
        if given.is_empty() && !of.put_unconditionally {
            let error = FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(ApiError::invalid(&of, &key.name, &[error]));
        }
        if !given.is_empty() && given != current.text("resourceVersion") {
            return Err(ApiError::modified(&of, &key.name));
        }
        let before = &current.object;
        keep_system_fields(metadata, &before["metadata"]);
        if options.status {
            let status = object.get("status").cloned();
            object = before.clone();
            set_or_remove(&mut object, "status", status);
        } else if of.has_status {
            set_or_remove(&mut object, "status", before.get("status").cloned());
        }
        let mut errors = Vec::new();
        if !options.status {
            check_changed_metadata(&object["metadata"], &before["metadata"], &mut errors);
        }
        self.check(&of, &object, Some(before), options.status, errors)?;
        if of.custom && without_metadata(&object) != without_metadata(before) {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
            // The status has an endpoint of its own; what changes there is no new generation.
            if !options.status {
                object["metadata"]["generation"] = json!(generation + 1);
            }
        }
        object["metadata"]["managedFields"] = before["metadata"]["managedFields"].clone();
        if object == *before && managers.same_owners(&current.managers) && current.complete {
            return Ok(current);
        }
        if managers.same_owners(&current.managers) {
            managers = current.managers.clone();
        }
        object["metadata"]["managedFields"] = managers.written(&of);
        if options.dry_run {
            return Ok(Arc::new(Stored::new(object, managers)));
        }
        let admitted = Stored::new(object, managers);
        if admitted.is_going() && admitted.finalizers() == 0 {
            self.remove(key);
            return Ok(Arc::new(admitted));
        }
        Ok(self.put(key.clone(), admitted))
    }

    /// Everything that is wrong with an object, as a refusal. What an update leaves as it is, is not looked at again.
    fn check(
        &self,
        kind: &Kind,
        new: &Value,
        old: Option<&Value>,
        of_status: bool,
        mut errors: Vec<FieldError>,
    ) -> Result<(), ApiError> {
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        let changed = |field: &str| old.is_none_or(|old| old.get(field) != new.get(field));
        for field in kind.schema.required.iter().filter(|field| new.get(*field).is_none()) {
            errors.push(FieldError::required(field, ""));
        }
        for (field, schema) in kind.schema.properties.iter().filter(|(field, _)| *field != "metadata" && changed(field))
        {
            if let Some(value) = new.get(field) {
                // At the endpoint of the status, sentences count from there.
                let top = if of_status { field.as_str() } else { "" };
                validate::value(schema, value, field, top, &mut errors);
                validate::duplicates(schema, value, field, &mut errors);
            }
        }
        (kind.check)(new, old, &mut errors);
        if kind.ruled.iter().any(|field| changed(field)) {
            match errors.iter().any(FieldError::blocks_rules) {
                true => errors.push(rules::not_checked()),
                false => errors.extend(rules::check(&self.validator, kind, new, old)),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(kind, name, &errors)) }
    }
}

/// Makes of a body what the server works on: of the right kind, without unknown fields, with defaults. Nulls that may not be
/// are dropped, except of what was applied.
pub(crate) fn decode(kind: &Kind, object: &mut Value, strict: bool, drop_nulls: bool) -> Result<(), ApiError> {
    let fields = object.as_object_mut().ok_or_else(|| ApiError::bad_request("the body is not an object"))?;
    let expected = kind.api_version();
    for (field, expected, what) in [("apiVersion", expected.as_str(), "API version"), ("kind", &kind.kind, "kind")] {
        // Built-in kinds need not say what they are: the path does.
        let given = fields.entry(field).or_insert_with(|| json!(if kind.custom { "" } else { expected })).clone();
        if given != expected && kind.custom && what == "kind" {
            let detail = format!("must be {expected}");
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(ApiError::invalid(kind, name, &[FieldError::invalid("kind", &object["kind"], detail)]));
        }
        if given != expected {
            let given = given.as_str().unwrap_or_default();
            let message = format!("the {what} in the data ({given}) does not match the expected {what} ({expected})");
            return Err(ApiError::bad_request(message));
        }
    }
    let mut unknown = Vec::new();
    kind.schema.prune(object, "", &mut unknown);
    if strict && !unknown.is_empty() {
        let unknown: Vec<_> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        let message = format!("strict decoding error: {}", unknown.join(", "));
        return Err(ApiError::bad_request(message));
    }
    write_numbers_as_the_server_does(object);
    if drop_nulls {
        kind.schema.drop_nulls(object);
    }
    kind.schema.fill(object);
    let mut errors = Vec::new();
    if kind.custom {
        // Of a custom resource, only the metadata has types when it is decoded.
        if let Some(schema) = kind.schema.properties.get("metadata") {
            validate::value(schema, &object["metadata"], "metadata", "", &mut errors);
        }
    } else {
        validate::value(&kind.schema, object, "", "", &mut errors);
    }
    errors.retain(|error| error.wrong != Wrong::Required);
    match errors.first() {
        None => Ok(()),
        Some(error) => {
            let message =
                format!("{} in version \"{}\" cannot be handled as a {}: {error}", kind.kind, kind.version, kind.kind);
            Err(ApiError::bad_request(message))
        }
    }
}

/// A whole number has no decimal point and no exponent when it is read back.
fn write_numbers_as_the_server_does(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 1e15);
            if let Some(whole) = whole {
                *value = json!(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_numbers_as_the_server_does),
        Value::Object(fields) => fields.values_mut().for_each(write_numbers_as_the_server_does),
        _ => {}
    }
}

fn metadata_of(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let fields = object.as_object_mut().ok_or_else(|| ApiError::bad_request("the body is not an object"))?;
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    metadata.as_object_mut().ok_or_else(|| ApiError::bad_request("metadata is not an object"))
}

fn in_namespace(metadata: &mut Map<String, Value>, namespace: &str) -> Result<(), ApiError> {
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), json!(namespace));
    }
    Ok(())
}

/// What clients may leave out, and what is the server's own.
fn keep_system_fields(metadata: &mut Map<String, Value>, before: &Value) {
    for field in
        ["generation", "creationTimestamp", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        match before.get(field) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None if field.starts_with("deletion") => None,
            None => metadata.remove(field),
        };
    }
    let uid = metadata.get("uid").and_then(Value::as_str).unwrap_or_default();
    if uid.is_empty() {
        metadata.insert("uid".into(), before["uid"].clone());
    }
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    match (value, object.as_object_mut()) {
        (Some(value), Some(fields)) => {
            fields.insert(field.into(), value);
        }
        (None, Some(fields)) => {
            fields.remove(field);
        }
        (_, None) => {}
    }
}

fn without_metadata(object: &Value) -> Map<String, Value> {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.remove("metadata");
    fields
}

fn check_new_metadata(metadata: &Value, errors: &mut Vec<FieldError>) {
    match metadata["name"].as_str() {
        None | Some("") => errors.push(FieldError::required("metadata.name", "name or generateName is required")),
        Some(name) => {
            if let Some(why) = names::is_name(name) {
                errors.push(FieldError::invalid("metadata.name", &metadata["name"], why));
            }
        }
    }
    names::check_metadata(metadata, errors);
    names::check_finalizers(metadata, errors);
}

fn check_changed_metadata(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if !old["deletionTimestamp"].is_null() {
        let before = old["finalizers"].as_array().cloned().unwrap_or_default();
        let mut added: Vec<_> = new["finalizers"].as_array().cloned().unwrap_or_default();
        added.retain(|finalizer| !before.contains(finalizer));
        if !added.is_empty() {
            let added: Vec<_> = added.iter().map(Value::to_string).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::new("metadata.finalizers", Wrong::Forbidden, None, detail));
        }
    }
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if new[field] != old[field] {
            errors.push(FieldError::immutable(&format!("metadata.{field}"), &new[field]));
        }
    }
    names::check_metadata(new, errors);
}

/// A uid that is the same in every run.
fn uid(number: u64) -> String {
    let mixed = mix(number);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{number:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed >> 4 & 0xfff,
        mixed & 0xfff
    )
}

/// Five letters and digits, as the real server would draw them.
fn random_looking(number: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let letters = LETTERS.len() as u64;
    let mut left = mix(number);
    let mut draw = || {
        let letter = LETTERS[(left % letters) as usize];
        left /= letters;
        char::from(letter)
    };
    (0..5).map(|_| draw()).collect()
}

/// Spreads the bits of a number (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
