//! Selectors: which objects a list or a watch is about.

use serde_json::Value;

use crate::error::ApiError;
use crate::kinds::EVENTS;
use crate::request::Call;
use crate::store::{Change, Happening, Key, Stored};

/// What a list or a watch is about.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) kind: usize,
    pub(crate) namespace: String,
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    /// Where the value is, from the top of the object.
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        let value = self.path.iter().try_fold(object, |value, step| value.get(step)).and_then(Value::as_str);
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.iter().any(|v| v == value)),
        }
    }
}

impl Selection {
    pub(crate) fn of(call: &Call) -> Result<Self, ApiError> {
        Ok(Self {
            kind: call.kind,
            namespace: call.info.namespace.clone(),
            labels: labels(call.asks("labelSelector"))?,
            fields: fields(call.kind, call.asks("fieldSelector"))?,
        })
    }

    /// Whether it takes only some of the objects of its place.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    pub(crate) fn takes(&self, key: &Key, stored: &Stored) -> bool {
        key.kind == self.kind
            && (self.namespace.is_empty() || key.namespace == self.namespace)
            && self.labels.iter().chain(&self.fields).all(|requirement| requirement.holds(&stored.object))
    }

    /// What a change is to one who sees the selection only.
    pub(crate) fn sees(&self, change: &Change) -> Option<Happening> {
        let before = change.before.as_ref().is_some_and(|before| self.takes(&change.key, before));
        let after = change.happening != Happening::Deleted && self.takes(&change.key, &change.object);
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(Happening::Added),
            (true, true) => Some(Happening::Modified),
            (true, false) => Some(Happening::Deleted),
        }
    }
}

fn labels(selector: &str) -> Result<Vec<Requirement>, ApiError> {
    let mut requirements = Vec::new();
    for part in split(selector) {
        let bad = || ApiError::bad_request(format!("unable to parse requirement: {part}"));
        let (key, test) = if let Some((key, rest)) = part.split_once(" in ") {
            (key, Test::In(listed(rest).ok_or_else(bad)?))
        } else if let Some((key, rest)) = part.split_once(" notin ") {
            (key, Test::NotIn(listed(rest).ok_or_else(bad)?))
        } else if let Some((key, value)) = part.split_once("!=") {
            (key, Test::NotIn(vec![value.trim().into()]))
        } else if let Some((key, value)) = part.split_once('=') {
            (key, Test::In(vec![value.trim_start_matches('=').trim().into()]))
        } else if let Some(key) = part.strip_prefix('!') {
            (key, Test::Missing)
        } else {
            (part, Test::Exists)
        };
        let path = ["metadata", "labels", key.trim()].map(str::to_owned).into();
        requirements.push(Requirement { path, test });
    }
    Ok(requirements)
}

/// Parts between commas that stand in no parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = selector.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn listed(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

fn fields(kind: usize, selector: &str) -> Result<Vec<Requirement>, ApiError> {
    let mut requirements = Vec::new();
    for part in split(selector) {
        let (field, value, same) = match part.split_once("!=") {
            Some((field, value)) => (field, value, false),
            None => {
                let bad = || ApiError::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'"));
                let (field, value) = part.split_once('=').ok_or_else(bad)?;
                (field, value.trim_start_matches('='), true)
            }
        };
        let of_events = ["reason", "type", "regarding.kind", "regarding.name", "regarding.namespace", "regarding.uid"];
        let of_all = ["metadata.name", "metadata.namespace"];
        let known = of_all.contains(&field) || kind == EVENTS && of_events.contains(&field);
        if !known {
            return Err(ApiError::bad_request(format!("field label not supported: {field}")));
        }
        let values = vec![value.to_owned()];
        let test = if same { Test::In(values) } else { Test::NotIn(values) };
        requirements.push(Requirement { path: field.split('.').map(str::to_owned).collect(), test });
    }
    Ok(requirements)
}
