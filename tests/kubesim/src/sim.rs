//! The handle on a simulated API server: what tests hold, and what the client's door leads to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::change::Deleted;
use crate::error::ApiError;
use crate::faults::{Hook, Logged, Verdict};
use crate::managers::Managers;
use crate::request::{Call, PatchKind, RequestInfo};
use crate::store::{Key, Store, Stored};
use crate::watch::{WatchBody, Watcher};
use crate::write::Options;

/// Answers what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A simulated API server. Clones are handles on the same one.
#[derive(Clone)]
pub struct KubeSim {
    clock: Clock,
    server: Arc<Mutex<Server>>,
    /// Apart from the server, so that a hook may look at it.
    hook: Arc<Mutex<Hook>>,
}

pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) lag: Duration,
    pub(crate) running: bool,
    /// Up to which revision the watchers were told.
    told: u64,
    log: Vec<Logged>,
    writes: BTreeMap<RequestInfo, u64>,
}

impl std::fmt::Debug for KubeSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeSim")
    }
}

impl KubeSim {
    /// A server that takes its time from this clock, with the namespaces that every cluster has and the CRD of amiops.
    ///
    /// # Errors
    /// Says what of the CRD is not simulated.
    pub fn new(clock: Clock) -> Result<Self, String> {
        let server = Server {
            store: Store::new(clock())?,
            watchers: Vec::new(),
            lag: Duration::ZERO,
            running: true,
            told: 0,
            log: Vec::new(),
            writes: BTreeMap::new(),
        };
        let hook: Hook = Box::new(|_| Verdict::Pass);
        Ok(Self { clock, server: Arc::new(Mutex::new(server)), hook: Arc::new(Mutex::new(hook)) })
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The resource version of the last change.
    pub fn revision(&self) -> u64 {
        self.lock().store.revision()
    }

    /// From now on, this decides what happens to requests. It may read the server.
    pub fn set_hook(&self, hook: impl FnMut(&RequestInfo) -> Verdict + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(hook);
    }

    /// From now on, every request is answered.
    pub fn clear_hook(&self) {
        self.set_hook(|_| Verdict::Pass);
    }

    pub(crate) fn verdict(&self, request: &RequestInfo) -> Verdict {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        hook(request)
    }

    /// Breaks all watches off, as a load balancer does.
    pub fn cut_watches(&self) {
        self.lock().watchers.drain(..).for_each(|watcher| watcher.cut());
    }

    /// Ends all watches with the error 410 Expired.
    pub fn expire_watches(&self) {
        self.lock().watchers.drain(..).for_each(|mut watcher| watcher.expire());
    }

    /// From now on, watches are told of changes that much later.
    pub fn set_watch_lag(&self, lag: Duration) {
        self.lock().lag = lag;
    }

    /// Forgets the changes so far: who wants to go on from before must list anew.
    pub fn compact(&self) {
        self.lock().store.compact();
    }

    /// Stops the server: watches break off and connections are refused. What is stored stays.
    pub fn stop(&self) {
        self.cut_watches();
        self.lock().running = false;
    }

    /// Starts it again.
    pub fn start(&self) {
        self.lock().running = true;
    }

    /// The requests since the log was last emptied.
    pub fn log(&self) -> Vec<Logged> {
        self.read_log(<[Logged]>::to_vec)
    }

    /// What `look` finds in the log, which is long after a while.
    pub fn read_log<T>(&self, look: impl FnOnce(&[Logged]) -> T) -> T {
        look(&self.lock().log)
    }

    /// Empties the log of requests and the counts of writes.
    pub fn reset_log(&self) {
        let mut server = self.lock();
        server.log.clear();
        server.writes.clear();
    }

    /// How often each write was carried out since the log was last emptied, whether or not it changed anything.
    pub fn writes(&self) -> BTreeMap<RequestInfo, u64> {
        self.lock().writes.clone()
    }

    /// Makes sure that a namespace is there.
    pub fn ensure_namespace(&self, name: &str) {
        let now = self.now();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let server = &mut *self.lock();
        // The only refusals are that it is there already, or that it can have no such name.
        let _ = server.store.create_plain(now, crate::kinds::NAMESPACES, "", namespace);
        server.tell();
    }

    /// Creates an object as a user, past all faults. `resource` is the plural name of the kind.
    ///
    /// # Errors
    /// What the API server refuses it with.
    pub fn create(&self, resource: &str, namespace: &str, object: Value) -> Result<Value, ApiError> {
        self.as_user(resource, |store, now, kind| {
            Ok(store.create(now, kind, namespace, object, &user())?.object.clone())
        })
    }

    /// Changes an object by a JSON merge patch as a user, past all faults.
    ///
    /// # Errors
    /// What the API server refuses it with.
    pub fn merge_patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value, ApiError> {
        self.patched(resource, namespace, name, PatchKind::Merge, patch, &user())
    }

    /// Changes the status of an object by a JSON merge patch as a user, past all faults.
    ///
    /// # Errors
    /// What the API server refuses it with.
    pub fn patch_status(&self, resource: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value, ApiError> {
        let options = Options { status: true, ..user() };
        self.patched(resource, namespace, name, PatchKind::Merge, patch, &options)
    }

    /// Applies a manifest as `kubectl apply --server-side --force-conflicts` does, past all faults.
    ///
    /// # Errors
    /// What the API server refuses it with.
    pub fn apply(&self, resource: &str, namespace: &str, name: &str, manifest: &Value) -> Result<Value, ApiError> {
        self.patched(resource, namespace, name, PatchKind::Apply, manifest, &user())
    }

    fn patched(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        how: PatchKind,
        patch: &Value,
        options: &Options,
    ) -> Result<Value, ApiError> {
        self.as_user(resource, |store, now, kind| {
            let key = Key { kind, namespace: namespace.into(), name: name.into() };
            Ok(store.patch(now, &key, how, patch, true, options)?.1.object.clone())
        })
    }

    /// Deletes an object as a user, past all faults. Whether it is gone; if not, finalizers hold it.
    ///
    /// # Errors
    /// What the API server refuses it with.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<bool, ApiError> {
        self.as_user(resource, |store, now, kind| {
            let key = Key { kind, namespace: namespace.into(), name: name.into() };
            Ok(matches!(store.delete(now, &key, &Value::Null, false)?, Deleted::Gone(_)))
        })
    }

    /// Stores an object without validation: what an older version of the CRD may have let in. As with all that is read
    /// from a store, unknown fields go and defaults are filled in.
    ///
    /// # Errors
    /// If there is no such resource.
    pub fn put_unchecked(&self, resource: &str, mut object: Value) -> Result<(), ApiError> {
        self.as_user(resource, |store, _, kind| {
            let schema = &store.kinds[kind].schema;
            schema.prune(&mut object, "", &mut Vec::new());
            schema.fill(&mut object);
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            let key = Key { kind, namespace: text("namespace"), name: text("name") };
            store.put(key, Stored::new(object, Managers::default()));
            Ok(())
        })
    }

    /// An object as it is now.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let server = self.lock();
        let kind = server.kind_named(resource)?;
        let key = Key { kind, namespace: namespace.into(), name: name.into() };
        server.store.get(&key).map(|stored| stored.object.clone())
    }

    /// The objects of a kind, in order; of all namespaces if `namespace` is empty.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        let server = self.lock();
        let Some(kind) = server.kind_named(resource) else { return Vec::new() };
        server.store.list(kind, namespace).values().map(|stored| stored.object.clone()).collect()
    }

    fn as_user<T>(
        &self,
        resource: &str,
        action: impl FnOnce(&mut Store, Timestamp, usize) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.now();
        let server = &mut *self.lock();
        let unknown = || ApiError::new(404, "NotFound", format!("there is no resource {resource}"));
        let kind = server.kind_named(resource).ok_or_else(unknown)?;
        let result = action(&mut server.store, now, kind);
        server.tell();
        result
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a request that is not a watch.
    pub(crate) fn carry_out(&self, call: &Call, stale: Option<u64>) -> (u16, Bytes, bool) {
        let now = self.now();
        let server = &mut *self.lock();
        let before = server.store.revision();
        let (code, body) = crate::serve::answer(&mut server.store, now, call, stale)
            .unwrap_or_else(|error| (error.code, error.status().to_string().into()));
        server.tell();
        if call.info.verb.writes() {
            *server.writes.entry(call.info.clone()).or_default() += 1;
        }
        (code, body, server.store.revision() != before)
    }

    /// Begins a watch.
    pub(crate) fn watch(&self, call: &Call) -> Result<WatchBody, ApiError> {
        let server = &mut *self.lock();
        let (watcher, body) = crate::serve::watch(self, &server.store, call)?;
        server.watchers.push(watcher);
        Ok(body)
    }

    pub(crate) fn note(&self, logged: Logged) {
        self.lock().log.push(logged);
    }
}

/// Users change things by hand.
fn user() -> Options {
    Options { manager: "kubectl".into(), ..Options::default() }
}

impl Server {
    fn kind_named(&self, resource: &str) -> Option<usize> {
        self.store.kinds.iter().position(|kind| kind.plural == resource)
    }

    /// Tells the watchers of what is new.
    fn tell(&mut self) {
        let changes = self.store.changes_after(self.told);
        for change in changes {
            self.watchers.retain_mut(|watcher| watcher.tell(change, self.lag));
        }
        self.told = self.store.revision();
    }
}
