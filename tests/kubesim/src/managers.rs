//! Managers: who set which field, and server-side apply.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::fields::FieldSet;
use crate::kinds::Kind;
use crate::schema::Schema;
use crate::typed::{compare, merge, remove, set_of};

/// Who set fields, and by what kind of request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) applies: bool,
    pub(crate) status: bool,
}

/// The fields of a manager, and when they last changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) fields: FieldSet,
    pub(crate) at: Timestamp,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Managers(BTreeMap<Manager, Owned>);

/// Fields that a request to this endpoint cannot set, whoever sends it.
fn ignored(kind: &Kind, status: bool) -> FieldSet {
    match (kind.has_status, status) {
        (true, true) => FieldSet::of(&["metadata"]).union(&FieldSet::of(&["spec"])),
        (true, false) => FieldSet::of(&["status"]),
        (false, _) => FieldSet::default(),
    }
}

/// Fields that nobody owns.
fn unowned() -> FieldSet {
    let metadata = ["name", "namespace", "creationTimestamp", "uid", "generation", "managedFields", "resourceVersion"];
    let top = [["apiVersion"], ["kind"], ["metadata"]];
    let top = top.iter().fold(FieldSet::default(), |set, path| set.union(&FieldSet::of(path)));
    metadata.iter().fold(top, |set, name| set.union(&FieldSet::of(&["metadata", name])))
}

impl Managers {
    /// The fields owned by those who did the same at the end, whenever they did it.
    pub(crate) fn same_owners(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(a, b)| a.0 == b.0 && a.1.fields == b.1.fields)
    }

    /// When anybody's fields last changed.
    pub(crate) fn last_change(&self) -> Option<Timestamp> {
        self.0.values().map(|owned| owned.at).max()
    }

    /// As `metadata.managedFields` shows them.
    pub(crate) fn written(&self, kind: &Kind) -> Value {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| (!manager.applies, owned.at, manager.name.clone(), manager.status));
        let entry = |(manager, owned): (&Manager, &Owned)| {
            let mut entry = json!({
                "manager": manager.name,
                "operation": if manager.applies { "Apply" } else { "Update" },
                "apiVersion": kind.api_version(),
                "time": whole_seconds(owned.at),
                "fieldsType": "FieldsV1",
                "fieldsV1": owned.fields.written(),
            });
            if manager.status {
                entry["subresource"] = json!("status");
            }
            entry
        };
        Value::Array(entries.into_iter().map(entry).collect())
    }

    /// Notes what an update changed.
    pub(crate) fn update(&mut self, kind: &Kind, manager: Manager, old: &Value, new: &Value, now: Timestamp) {
        let ignored = ignored(kind, manager.status);
        let changes = compare(old, new, &kind.schema).without(&ignored);
        let changed = changes.modified.union(&changes.added);
        self.take_from_others(&manager, &changed, &changes.removed, now);
        let before = self.0.get(&manager).map(|owned| owned.fields.clone()).unwrap_or_default();
        let fields = before.difference(&changes.removed).union(&changed).without(&ignored).difference(&unowned());
        self.set(manager, fields, now);
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Server-side apply: merges what is applied into the live object, takes out what the manager applied before and does
    /// not now, and notes who owns what. The answer is the new object.
    pub(crate) fn apply(
        &mut self,
        kind: &Kind,
        manager: Manager,
        live: &Value,
        applied: &Value,
        force: bool,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let ignored = ignored(kind, manager.status);
        let schema = Some(&kind.schema);
        let merged = merge(Some(live), Some(applied), schema);
        let last = self.0.get(&manager).map(|owned| owned.fields.clone()).unwrap_or_default();
        let raw = set_of(applied, &kind.schema).without(&ignored);
        let owned_now = self.0.iter().filter(|(other, _)| **other != manager).map(|(_, owned)| &owned.fields);
        let owned_now = owned_now.fold(raw.clone(), |all, fields| all.union(fields));
        let gone = last.with_named_parents(schema).difference(&owned_now.with_named_parents(schema));
        let new = if gone.is_empty() { merged } else { remove(&merged, &gone, schema) };

        let changes = compare(live, &new, &kind.schema).without(&ignored);
        let changed = changes.modified.union(&changes.added);
        let mut conflicts = Vec::new();
        for (other, owned) in self.0.iter().filter(|(other, _)| **other != manager) {
            let conflict = owned.fields.intersection(&changed);
            conflicts.extend(conflict.paths().into_iter().map(|path| (other.clone(), owned.at, path)));
        }
        if !force && !conflicts.is_empty() {
            return Err(conflict(kind, &conflicts));
        }
        self.take_from_others(&manager, &changed, &changes.removed, now);
        self.set(manager, raw.difference(&unowned()), now);
        self.0.retain(|_, owned| !owned.fields.is_empty());
        Ok(new)
    }

    fn take_from_others(&mut self, manager: &Manager, changed: &FieldSet, removed: &FieldSet, now: Timestamp) {
        let gone = changed.clone().union(removed);
        for (other, owned) in &mut self.0 {
            if other != manager && !gone.is_empty() {
                owned.take(&gone, now);
            }
        }
    }

    fn set(&mut self, manager: Manager, fields: FieldSet, now: Timestamp) {
        let owned = self.0.entry(manager).or_insert_with(|| Owned { fields: FieldSet::default(), at: now });
        if owned.fields != fields {
            *owned = Owned { fields, at: now };
        }
    }
}

impl Owned {
    fn take(&mut self, fields: &FieldSet, now: Timestamp) {
        let left = self.fields.difference(fields);
        if left != self.fields {
            *self = Self { fields: left, at: now };
        }
    }
}

fn conflict(kind: &Kind, conflicts: &[(Manager, Timestamp, String)]) -> ApiError {
    let sentence = |(manager, at, path): &(Manager, Timestamp, String)| {
        let status = if manager.status { " with subresource \"status\"" } else { "" };
        let by = format!("conflict with \"{}\"{status}", manager.name);
        let by =
            if manager.applies { by } else { format!("{by} using {} at {}", kind.api_version(), whole_seconds(*at)) };
        (format!("{by}: {path}"), by, path.clone())
    };
    let sentences: Vec<_> = conflicts.iter().map(sentence).collect();
    let all: Vec<_> = sentences.iter().map(|(whole, _, _)| whole.clone()).collect();
    let message = match &all[..] {
        [one] => format!("Apply failed with 1 conflict: {one}"),
        several => format!("Apply failed with {} conflicts: {}", several.len(), several.join("\n")),
    };
    let causes =
        sentences.iter().map(|(_, by, path)| json!({"reason": "FieldManagerConflict", "message": by, "field": path}));
    let mut error = ApiError::new(409, "Conflict", message);
    error.details = json!({"causes": causes.collect::<Vec<_>>()});
    error
}

/// As the server writes times.
pub(crate) fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// What a value that is applied may not hold: fields that the schema does not declare, and one item of a list twice.
pub(crate) fn not_typed(value: &Value, schema: &Schema, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let path = format!("{path}.{name}");
            match schema.field(name) {
                Some(below) => not_typed(field, below, &path),
                None if schema.preserve || schema.properties.is_empty() && schema.additional.is_none() => None,
                None => Some(format!("{path}: field not declared in schema")),
            }
        }),
        Value::Array(items) => {
            let mut seen = std::collections::BTreeSet::new();
            items.iter().find_map(|item| {
                if schema.list != crate::schema::ListType::Atomic {
                    let step = crate::fields::Step::of_item(schema, item);
                    if !seen.insert(step.clone()) {
                        let mut set = FieldSet::default();
                        set.insert(&[step]);
                        return Some(format!("{path}: duplicate entries for key {}", set.paths().concat()));
                    }
                }
                not_typed(item, schema.items.as_deref()?, path)
            })
        }
        _ => None,
    }
}
