//! Sets of fields: who owns what of an object. The algebra of structured-merge-diff, and its written form (FieldsV1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::schema::{ListType, Schema};

/// One step of a path: a field, an item of a list map by its keys, or an item of a set by its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// The keys as JSON, in alphabetical order.
    Keys(String),
    /// The value as JSON.
    Item(String),
}

impl Step {
    /// The step to an item of a list map or set.
    pub(crate) fn of_item(list: &Schema, item: &Value) -> Self {
        match &list.list {
            ListType::Map(keys) => {
                let default = |key: &String| list.items.as_ref()?.properties.get(key)?.default.clone();
                let value = |key: &String| item.get(key).cloned().or_else(|| default(key)).unwrap_or_default();
                let keys: Map<_, _> = keys.iter().map(|key| (key.clone(), value(key))).collect();
                Self::Keys(Value::Object(keys).to_string())
            }
            ListType::Set | ListType::Atomic => Self::Item(item.to_string()),
        }
    }

    /// The keys or the value that it selects by.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Field(name) => json!(name),
            Self::Keys(text) | Self::Item(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Keys(keys) => format!("k:{keys}"),
            Self::Item(value) => format!("v:{value}"),
        }
    }
}

/// A set of fields, as a tree of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    members: BTreeSet<Step>,
    children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    /// The set of one path.
    pub(crate) fn of(path: &[&str]) -> Self {
        let mut set = Self::default();
        set.insert(&path.iter().map(|name| Step::Field((*name).to_owned())).collect::<Vec<_>>());
        set
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    pub(crate) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [step] => {
                self.members.insert(step.clone());
            }
            [step, rest @ ..] => self.children.entry(step.clone()).or_default().insert(rest),
        }
    }

    pub(crate) fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    pub(crate) fn child(&self, step: &Step) -> Option<&FieldSet> {
        self.children.get(step)
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.extend(other);
        self
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            self.children.entry(step.clone()).or_default().extend(child);
        }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, child)| {
            let both = child.intersection(other.children.get(step)?);
            (!both.is_empty()).then(|| (step.clone(), both))
        });
        Self { members: self.members.intersection(&other.members).cloned().collect(), children: children.collect() }
    }

    /// Without the paths of `other`; what is below them stays.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, child)| {
            let left = other.children.get(step).map_or_else(|| child.clone(), |other| child.difference(other));
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self { members: self.members.difference(&other.members).cloned().collect(), children: children.collect() }
    }

    /// Without the paths of `other` and all below them.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.members.retain(|step| !other.members.contains(step));
        self.children.retain(|step, _| !other.members.contains(step));
        for (step, child) in &other.children {
            if let Some(mine) = self.children.remove(step) {
                let left = mine.without(child);
                if !left.is_empty() {
                    self.children.insert(step.clone(), left);
                }
            }
        }
        self
    }

    /// With the declared fields on the way to each path.
    pub(crate) fn with_named_parents(&self, schema: Option<&Schema>) -> Self {
        let mut set = Self { members: self.members.clone(), children: BTreeMap::new() };
        for (step, child) in &self.children {
            let below = match step {
                Step::Field(name) => {
                    if schema.is_some_and(|s| s.properties.contains_key(name)) {
                        set.members.insert(step.clone());
                    }
                    schema.and_then(|s| s.field(name))
                }
                Step::Keys(_) | Step::Item(_) => schema.and_then(|s| s.items.as_deref()),
            };
            set.children.insert(step.clone(), child.with_named_parents(below));
        }
        set
    }

    /// The paths, as sentences name them.
    pub(crate) fn paths(&self) -> Vec<String> {
        let name = |step: &Step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Keys(_) => {
                let keys = step.value();
                let keys = keys.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={value}"));
                format!("[{}]", keys.collect::<Vec<_>>().join(","))
            }
            Step::Item(value) => format!("[={value}]"),
        };
        let mut paths: Vec<_> = self.members.iter().map(name).collect();
        for (step, child) in &self.children {
            paths.extend(child.paths().into_iter().map(|path| format!("{}{path}", name(step))));
        }
        paths
    }

    /// The written form.
    pub(crate) fn written(&self) -> Value {
        let mut written = Map::new();
        for step in &self.members {
            written.insert(step.written(), json!({}));
        }
        for (step, child) in &self.children {
            let mut below = child.written();
            if let (true, Some(fields)) = (self.members.contains(step), below.as_object_mut()) {
                fields.insert(".".into(), json!({}));
            }
            written.insert(step.written(), below);
        }
        Value::Object(written)
    }
}
