//! What all passes share: clients, settings, and the little that the controller itself remembers. Nothing of it is
//! needed after a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::core::{DeserializeGuard, ObjectMeta};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt};
use tokio::time::Instant;

use super::execute::Done;
use super::observe::Surroundings;
use crate::api::{MachineImage, MachineImageStatus};
use crate::aws::Inventory;
use crate::clock::Clock;
use crate::plan::ids::Owner;
use crate::plan::{Failure, Key, LISTING_GRACE, Trouble};
use crate::telemetry::Metrics;

/// A failure that has not come again for so long after its next try was due counts no more.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(2);

/// What all passes share.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) inventory: Arc<Inventory>,
    pub(super) clock: Clock,
    /// The owner id of this installation.
    pub(super) installation: String,
    pub(super) recorder: Recorder,
    pub(super) store: Store<DeserializeGuard<MachineImage>>,
    pub(super) metrics: Metrics,
    /// When this process began to work, by a clock that does not jump.
    since: Instant,
    memory: Mutex<BTreeMap<Owner, Remembered>>,
}

/// What is remembered of one object between passes.
#[derive(Default)]
struct Remembered {
    failures: BTreeMap<Key, Failed>,
    /// The last written status, and the resource version that it gave the object: until the watch shows that one or a later one, the
    /// object from the cache has an older status.
    written: Option<(u64, MachineImageStatus)>,
    /// How often in a row the Kubernetes API failed.
    api_failures: u32,
    /// Whether this process was there when the object was made, so that no earlier one has begun anything for it.
    is_new: bool,
}

/// An action that failed.
struct Failed {
    trouble: Trouble,
    /// How often in a row it failed.
    count: u32,
    /// When it may be tried again, by a clock that does not jump.
    retry_at: Instant,
    /// The generation of the manifest that it failed under.
    generation: i64,
}

/// The resource version of an object. Those of one kind can be compared as numbers: <https://www.kubernetes.dev/resources/keps/5504/>
fn version(object: &MachineImage) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

impl Context {
    pub(super) fn new(
        client: Client,
        inventory: Arc<Inventory>,
        clock: Clock,
        installation: String,
        recorder: Recorder,
        store: Store<DeserializeGuard<MachineImage>>,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            inventory,
            clock,
            installation,
            recorder,
            store,
            metrics,
            since: Instant::now(),
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<Owner, Remembered>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The identity in AWS of an object.
    pub(super) fn owner(&self, object: &MachineImage) -> Owner {
        Owner {
            installation: self.installation.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }

    /// The status as last written, even if the cache does not show it yet.
    pub(super) fn last_status(&self, object: &MachineImage) -> MachineImageStatus {
        let memory = self.memory();
        let written = memory.get(&self.owner(object)).and_then(|r| r.written.as_ref());
        match (written, version(object)) {
            (Some((written, status)), Some(shown)) if shown < *written => status.clone(),
            _ => object.status.clone().unwrap_or_default(),
        }
    }

    /// Remembers the status that was written, and that `object` has now.
    pub(super) fn wrote_status(&self, object: &MachineImage, status: MachineImageStatus) {
        let written = version(object).map(|version| (version, status));
        self.memory().entry(self.owner(object)).or_default().written = written;
    }

    /// Forgets which actions failed: somebody asks to try again now.
    pub(super) fn forget_failures(&self, owner: &Owner) {
        self.memory().entry(owner.clone()).or_default().failures.clear();
    }

    /// The failures that still count: those of this generation of the manifest.
    pub(super) fn failures(&self, owner: &Owner, generation: i64) -> BTreeMap<Key, Failure> {
        let mut memory = self.memory();
        let failures = &mut memory.entry(owner.clone()).or_default().failures;
        let stale = |f: &Failed| f.generation != generation || f.retry_at.elapsed() > FORGOTTEN_AFTER;
        failures.retain(|_, failed| !stale(failed));
        let told = |f: &Failed| Failure {
            trouble: f.trouble.clone(),
            wait: f.retry_at.saturating_duration_since(Instant::now()),
        };
        failures.iter().map(|(key, failed)| (key.clone(), told(failed))).collect()
    }

    /// Remembers which actions failed, and forgets those that did not.
    pub(super) fn note(&self, owner: &Owner, generation: i64, done: &[Done]) {
        let mut memory = self.memory();
        let failures = &mut memory.entry(owner.clone()).or_default().failures;
        for done in done {
            let key = done.step.action.key();
            match &done.result {
                Ok(_) => {
                    failures.remove(&key);
                }
                Err(trouble) => {
                    let count = failures.get(&key).map_or(0, |f| f.count) + 1;
                    let retry_at = Instant::now() + trouble.class.retry_after(count);
                    failures.insert(key, Failed { trouble: trouble.clone(), count, retry_at, generation });
                }
            }
        }
    }

    /// Counts a failure of the Kubernetes API; the answer is how often in a row it failed.
    pub(super) fn api_failed(&self, owner: &Owner) -> u32 {
        let mut memory = self.memory();
        let remembered = memory.entry(owner.clone()).or_default();
        remembered.api_failures += 1;
        remembered.api_failures
    }

    /// Forgets the failures of the Kubernetes API.
    pub(super) fn api_worked(&self, owner: &Owner) {
        if let Some(remembered) = self.memory().get_mut(owner) {
            remembered.api_failures = 0;
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, owner: &Owner) {
        self.memory().remove(owner);
    }

    /// Takes in what the manifests of all objects mean to one of them at this moment.
    pub(super) fn look_around(&self, owner: &Owner, surroundings: &mut Surroundings) {
        let all = self.store.state();
        let unreadable = all.iter().filter_map(|guard| guard.0.as_ref().err()).map(|invalid| &invalid.metadata);
        let name = |m: &ObjectMeta| {
            format!("{}/{}", m.namespace.as_deref().unwrap_or_default(), m.name.as_deref().unwrap_or_default())
        };
        let readable = Surroundings::among(all.iter().filter_map(|guard| guard.0.as_ref().ok()), owner);
        surroundings.claimed = readable.claimed;
        surroundings.parameters = readable.parameters;
        surroundings.unreadable = unreadable.map(name).collect();
        let is_new = self.memory().get(owner).is_some_and(|r| r.is_new);
        let late = if is_new { Duration::ZERO } else { LISTING_GRACE.saturating_sub(self.since.elapsed()) };
        surroundings.listed_late_for = late;
    }

    /// Notes that an object was made while this process works.
    pub(super) fn note_new(&self, owner: &Owner) {
        self.memory().entry(owner.clone()).or_default().is_new = true;
    }
}
