//! Values with a schema: their fields, what differs between two, merging one into the other, taking fields out.
//! As structured-merge-diff does it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::fields::{FieldSet, Step};
use crate::schema::{ListType, Schema};

/// What a value is, to merging.
enum Shape {
    Leaf,
    List,
    Map,
}

fn shape(value: &Value, schema: Option<&Schema>) -> Shape {
    match (value, schema) {
        (Value::Object(_), Some(schema)) if !schema.atomic => Shape::Map,
        // Without a schema, lists are atomic and maps are not.
        (Value::Object(_), None) => Shape::Map,
        (Value::Array(_), Some(schema)) if schema.list != ListType::Atomic => Shape::List,
        _ => Shape::Leaf,
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// The fields that a value sets.
pub(crate) fn set_of(value: &Value, schema: &Schema) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, Some(schema), &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, schema: Option<&Schema>, path: &mut Vec<Step>, set: &mut FieldSet) {
    match (shape(value, schema), value) {
        (Shape::Map, Value::Object(fields)) => {
            for (name, field) in fields {
                path.push(Step::Field(name.clone()));
                collect(field, schema.and_then(|s| s.field(name)), path, set);
                let declared = schema.is_some_and(|s| s.properties.contains_key(name));
                if !declared || field.is_null() || field.as_object().is_some_and(Map::is_empty) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::List, Value::Array(items)) => {
            let Some(schema) = schema else { return };
            for item in items {
                path.push(Step::of_item(schema, item));
                collect(item, schema.items.as_deref(), path, set);
                set.insert(path);
                path.pop();
            }
        }
        _ => set.insert(path),
    }
}

/// What differs between two values.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    pub(crate) fn without(self, ignored: &FieldSet) -> Self {
        Self {
            added: self.added.without(ignored),
            modified: self.modified.without(ignored),
            removed: self.removed.without(ignored),
        }
    }
}

/// What differs between two values of a schema.
pub(crate) fn compare(old: &Value, new: &Value, schema: &Schema) -> Comparison {
    let mut comparison = Comparison::default();
    differ(Some(old), Some(new), Some(schema), &mut Vec::new(), &mut comparison);
    comparison
}

fn differ(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: Option<&Schema>,
    path: &mut Vec<Step>,
    comparison: &mut Comparison,
) {
    if old == new {
        return;
    }
    // A null takes the shape of the other.
    let seen = new.filter(|value| !value.is_null()).or(old).unwrap_or(&Value::Null);
    let leaf = is_empty(old) && is_empty(new);
    match shape(seen, schema) {
        Shape::Map if !leaf => {
            let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            let names: BTreeSet<_> = old.into_iter().chain(new).flat_map(Map::keys).collect();
            for name in names {
                let (old, new) = (old.and_then(|o| o.get(name)), new.and_then(|n| n.get(name)));
                path.push(Step::Field(name.clone()));
                differ(old, new, schema.and_then(|s| s.field(name)), path, comparison);
                path.pop();
            }
        }
        Shape::List if !leaf => {
            let Some(schema) = schema else { return };
            let items = |value: Option<&'_ Value>| -> BTreeMap<Step, usize> {
                let items = value.and_then(Value::as_array).into_iter().flatten().enumerate();
                items.map(|(at, item)| (Step::of_item(schema, item), at)).collect()
            };
            let (in_old, in_new) = (items(old), items(new));
            let steps: BTreeSet<_> = in_old.keys().chain(in_new.keys()).collect();
            for step in steps {
                let (old, new) =
                    (in_old.get(step).and_then(|at| old?.get(*at)), in_new.get(step).and_then(|at| new?.get(*at)));
                path.push(step.clone());
                differ(old, new, schema.items.as_deref(), path, comparison);
                path.pop();
            }
        }
        _ => {
            if old.is_some() && new.is_some() {
                comparison.modified.insert(path);
            }
        }
    }
    match (old, new) {
        (None, _) => comparison.added.insert(path),
        (_, None) => comparison.removed.insert(path),
        _ => {}
    }
}

/// `applied` merged into `live`.
pub(crate) fn merge(live: Option<&Value>, applied: Option<&Value>, schema: Option<&Schema>) -> Value {
    let (live, applied) = match (live, applied) {
        (Some(live), Some(applied)) => (live, applied),
        (one, None) | (None, one) => return one.cloned().unwrap_or_default(),
    };
    match (shape(applied, schema), live, applied) {
        (Shape::Map, Value::Object(live), Value::Object(applied)) => {
            let below = |name: &String| schema.and_then(|s| s.field(name));
            let kept = live.iter().map(|(name, field)| (name, Some(field), applied.get(name)));
            let added = applied.iter().filter(|(name, _)| !live.contains_key(*name));
            let all = kept.chain(added.map(|(name, field)| (name, None, Some(field))));
            let merged = all.map(|(name, live, applied)| (name.clone(), merge(live, applied, below(name)))).collect();
            Value::Object(merged)
        }
        (Shape::List, Value::Array(live), Value::Array(applied)) => match schema {
            Some(schema) => Value::Array(merge_lists(live, applied, schema)),
            None => Value::Array(applied.clone()),
        },
        _ => applied.clone(),
    }
}

/// Items that both have are merged, in the order of `applied`; the others of `live` stay where they were among them.
fn merge_lists(live: &[Value], applied: &[Value], schema: &Schema) -> Vec<Value> {
    let steps = |items: &[Value]| items.iter().map(|item| Step::of_item(schema, item)).collect::<Vec<_>>();
    let (left, right) = (steps(live), steps(applied));
    let index = |steps: &[Step]| {
        let mut index = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            index.entry(step.clone()).or_insert(at);
        }
        index
    };
    let (in_left, in_right) = (index(&left), index(&right));
    let both = |step: &Step| {
        let of_live = in_left.get(step).map(|at| &live[*at]);
        let of_applied = in_right.get(step).map(|at| &applied[*at]);
        merge(of_live, of_applied, schema.items.as_deref())
    };
    let mut shared = right.iter().filter(|step| in_left.contains_key(*step));
    let mut next_shared = shared.next();
    let mut merged = BTreeSet::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some(of_left), Some(of_right)) = (left.get(l), right.get(r)) {
            if of_left == of_right {
                merged.insert(of_left.clone());
                out.push(both(of_left));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if in_right.contains_key(of_left) && next_shared.is_some_and(|next| next != of_left) {
                // Shared, but its turn is later.
                l += 1;
                continue;
            }
        }
        if let Some(of_left) = left.get(l) {
            if !in_right.contains_key(of_left) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            if merged.contains(of_left) {
                l += 1;
            }
        }
        if let Some(of_right) = right.get(r) {
            merged.insert(of_right.clone());
            out.push(both(of_right));
            r += 1;
            if next_shared == Some(of_right) {
                next_shared = shared.next();
            }
        }
    }
    out
}

/// A value without the fields of a set. What is left empty by this is null, unless it is named in the set itself.
pub(crate) fn remove(value: &Value, set: &FieldSet, schema: Option<&Schema>) -> Value {
    match (shape(value, schema), value) {
        (Shape::Map, Value::Object(fields)) => {
            let mut left = Map::new();
            for (name, field) in fields {
                let step = Step::Field(name.clone());
                if set.has(&step) {
                    continue;
                }
                let below = schema.and_then(|s| s.field(name));
                let field = set.child(&step).map_or_else(|| field.clone(), |set| remove(field, set, below));
                left.insert(name.clone(), field);
            }
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        (Shape::List, Value::Array(items)) => {
            let Some(schema) = schema else { return value.clone() };
            let kept = items.iter().filter_map(|item| {
                let step = Step::of_item(schema, item);
                if set.has(&step) {
                    return None;
                }
                let below = schema.items.as_deref();
                Some(set.child(&step).map_or_else(|| item.clone(), |set| remove(item, set, below)))
            });
            let left: Vec<_> = kept.collect();
            if left.is_empty() { Value::Null } else { Value::Array(left) }
        }
        (Shape::Leaf, Value::Object(_) | Value::Array(_)) => Value::Null,
        _ => value.clone(),
    }
}
