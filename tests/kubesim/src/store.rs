//! The state: objects, the revision, and the log of changes. A pure state machine; time is handed in.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kube::core::cel::Validator;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::kinds::{self, EVENTS, Kind, NAMESPACES};
use crate::managers::Managers;

/// Events are forgotten after this long, as the real server does.
const EVENT_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Which object: its kind (by its place among the kinds), namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: usize,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object as it is at one revision.
#[derive(Debug)]
pub(crate) struct Stored {
    /// All of it, as it is shown.
    pub(crate) object: Value,
    pub(crate) managers: Managers,
    /// Whether what is shown is what is stored: the default status is shown, but only stored with the next write, which
    /// for this reason is one, even if it changes nothing.
    pub(crate) complete: bool,
    written: OnceLock<Bytes>,
}

impl Stored {
    pub(crate) fn new(object: Value, managers: Managers) -> Self {
        Self { object, managers, complete: true, written: OnceLock::new() }
    }

    /// The object as JSON, made once for all who read it.
    pub(crate) fn written(&self) -> Bytes {
        self.written.get_or_init(|| self.object.to_string().into()).clone()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.object["metadata"][field].as_str().unwrap_or_default()
    }

    pub(crate) fn finalizers(&self) -> usize {
        self.object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
    }

    pub(crate) fn is_going(&self) -> bool {
        !self.object["metadata"]["deletionTimestamp"].is_null()
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    pub(crate) happening: Happening,
    /// The object after the change; of a deleted one, the last state.
    pub(crate) object: Arc<Stored>,
    pub(crate) before: Option<Arc<Stored>>,
}

/// The state machine.
pub(crate) struct Store {
    pub(crate) kinds: &'static [Arc<Kind>],
    pub(crate) validator: Validator,
    objects: BTreeMap<Key, Arc<Stored>>,
    /// What happened since the last compaction, in order.
    log: Vec<Change>,
    revision: u64,
    compacted: u64,
    names: u64,
}

impl Store {
    /// A store with the namespaces that every cluster has.
    pub(crate) fn new(now: Timestamp) -> Result<Self, String> {
        let mut store = Self {
            kinds: kinds::all()?,
            validator: Validator::new(),
            objects: BTreeMap::new(),
            log: Vec::new(),
            revision: 1,
            compacted: 0,
            names: 0,
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            store.create_plain(now, NAMESPACES, "", namespace).map_err(|e| e.to_string())?;
        }
        Ok(store)
    }

    pub(crate) fn kind(&self, kind: usize) -> Arc<Kind> {
        Arc::clone(&self.kinds[kind])
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        self.get(&Key { kind: NAMESPACES, namespace: String::new(), name: name.into() }).is_some()
    }

    /// The objects of a kind, of one namespace or of all, in order.
    pub(crate) fn list(&self, kind: usize, namespace: &str) -> BTreeMap<Key, Arc<Stored>> {
        let from = Key { kind, namespace: namespace.into(), name: String::new() };
        let of_kind = self.objects.range(from..).take_while(|(key, _)| key.kind == kind);
        let wanted = of_kind.take_while(|(key, _)| namespace.is_empty() || key.namespace == namespace);
        wanted.map(|(key, stored)| (key.clone(), Arc::clone(stored))).collect()
    }

    /// The objects of a kind as they were at a revision.
    pub(crate) fn list_at(
        &self,
        revision: u64,
        kind: usize,
        namespace: &str,
    ) -> Result<BTreeMap<Key, Arc<Stored>>, ApiError> {
        if revision < self.compacted {
            let message = "The provided continue parameter is too old to display a consistent list result. You can start a \
                           new list without the continue parameter, or use the continue token in this response to retrieve \
                           the remainder of the results.";
            return Err(ApiError::expired(message));
        }
        let mut objects = self.list(kind, namespace);
        let of_interest = |key: &Key| key.kind == kind && (namespace.is_empty() || key.namespace == namespace);
        for change in self.log.iter().rev().take_while(|change| change.revision > revision) {
            if of_interest(&change.key) {
                match &change.before {
                    Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok(objects)
    }

    /// The changes after a revision.
    pub(crate) fn changes_after(&self, revision: u64) -> &[Change] {
        let from = self.log.partition_point(|change| change.revision <= revision);
        &self.log[from..]
    }

    /// Forgets all that happened so far: who wants to go on from before must list anew.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.revision;
        self.log.clear();
    }

    /// A number for a uid or a generated name.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Puts an object as it is, with the next resource version.
    pub(crate) fn put(&mut self, key: Key, mut stored: Stored) -> Arc<Stored> {
        self.revision += 1;
        stored.object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let stored = Arc::new(stored);
        let before = self.objects.insert(key.clone(), Arc::clone(&stored));
        let happening = if before.is_some() { Happening::Modified } else { Happening::Added };
        self.log.push(Change { revision: self.revision, key, happening, object: Arc::clone(&stored), before });
        stored
    }

    /// Takes an object away. The answer is its last state, with the resource version of its going.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Stored>> {
        let before = self.objects.remove(key)?;
        self.revision += 1;
        let mut object = before.object.clone();
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let last = Arc::new(Stored::new(object, before.managers.clone()));
        self.log.push(Change {
            revision: self.revision,
            key: key.clone(),
            happening: Happening::Deleted,
            object: Arc::clone(&last),
            before: Some(before),
        });
        Some(last)
    }

    /// Forgets events that were not written to for an hour.
    pub(crate) fn expire_events(&mut self, now: Timestamp) {
        let old = |stored: &Stored| stored.managers.last_change().is_some_and(|at| at + EVENT_LIFE < now);
        let expired: Vec<_> =
            self.list(EVENTS, "").into_iter().filter(|(_, stored)| old(stored)).map(|(key, _)| key).collect();
        for key in expired {
            self.remove(&key);
        }
    }
}
