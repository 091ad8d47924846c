//! What people have applied: the manifests of each object, now and before.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::manifest::{FINALIZER, Manifest, NAMESPACE, NEIGHBOURS, OBJECTS, Origin, REGIONS, is_held, source_id};
use crate::state::Image;
use crate::world::{LATELY, Past, World};

/// What an object asks for from some moment on.
pub(crate) struct Asking {
    since: Duration,
    /// How many requests the API server had had by then.
    requests: usize,
    /// `None` is an object that does not exist.
    manifest: Option<Manifest>,
}

impl World {
    /// A manifest as it is applied: with the images that its versions are copied from. Without any yet, what was baked.
    pub(crate) fn resolve(&self, manifest: &Manifest) -> Manifest {
        let mut manifest = manifest.clone();
        let object = manifest.object;
        for version in &mut manifest.versions {
            let Origin::Replica(of) = version.origin else { continue };
            let state = self.state();
            let other = |i: &&Image| {
                i.is_of(of) && i.state == "available" && !(of == object && i.version() == Some(&version.name()))
            };
            let found = state.images.iter().filter(other).max_by_key(|i| (i.version(), &i.region));
            let origin = found.map_or(Origin::Baked, |i| Origin::Image(i.region.clone(), i.id.clone()));
            version.origin = self.past().origins.entry(object).or_insert(origin).clone();
        }
        manifest
    }

    /// Everything that an object asked for lately; `None` among it if it did not exist at some time.
    pub(crate) fn lately(&self, object: &str) -> Vec<Option<Manifest>> {
        let since = self.elapsed().saturating_sub(LATELY);
        self.asked_from(object, |asking| asking.since <= since)
    }

    /// Everything that an object has asked for since the API server had had so many requests.
    pub(crate) fn asked_since_request(&self, object: &str, requests: usize) -> Vec<Option<Manifest>> {
        self.asked_from(object, |asking| asking.requests <= requests)
    }

    fn asked_from(&self, object: &str, begins: impl Fn(&Asking) -> bool) -> Vec<Option<Manifest>> {
        let past = self.past();
        let Some(all) = past.manifests.get(object) else { return vec![None] };
        let first = all.iter().rposition(begins);
        let manifests = all[first.unwrap_or(0)..].iter().map(|asking| asking.manifest.clone());
        if first.is_none() { std::iter::once(None).chain(manifests).collect() } else { manifests.collect() }
    }

    /// What an object asks for now.
    pub(crate) fn manifest(&self, object: &str) -> Option<Manifest> {
        self.past().manifests.get(object).and_then(|all| all.last()?.manifest.clone())
    }

    /// When somebody last changed or deleted an object.
    pub(crate) fn asked_last(&self, object: &str) -> Option<Duration> {
        self.past().manifests.get(object).and_then(|all| all.last()).map(|asking| asking.since)
    }

    /// When an object was last made.
    pub(crate) fn made_last(&self, object: &str) -> Option<Duration> {
        last_life(&self.past(), object).last().map(|(since, _)| since)
    }

    /// What an object last asked for, even if it exists no more.
    pub(crate) fn last_manifest(&self, object: &str) -> Option<Manifest> {
        let past = self.past();
        past.manifests.get(object)?.iter().rev().find_map(|asking| asking.manifest.clone())
    }

    /// The regions that an object has named since it was last made, until it was deleted, and that a report told of since, as it
    /// does before anything is done there: of another one, a process that comes later cannot know.
    pub(crate) fn known_regions(&self, object: &str) -> BTreeSet<&'static str> {
        let past = self.past();
        let told = |region: &&str| past.regions_told.contains(&(object.into(), (*region).into()));
        let in_cluster = last_life(&past, object).take_while(|(since, _)| *since >= past.cluster_lost);
        in_cluster.flat_map(|(_, manifest)| manifest.regions.keys().copied()).filter(told).collect()
    }

    /// Somebody applies a manifest. What the API server refuses changes nothing, and an object on its way out is not applied
    /// again before it is gone.
    pub(crate) fn apply(&self, manifest: &Manifest) {
        self.disturb(Duration::ZERO);
        let present = self.kube.get("machineimages", NAMESPACE, manifest.object);
        match present {
            Some(object) if !object["metadata"]["deletionTimestamp"].is_null() => {
                return self.note("not applied: it is being deleted");
            }
            Some(_) => {}
            None => self.made_anew(manifest.object),
        }
        match self.kube.apply("machineimages", NAMESPACE, manifest.object, &manifest.to_json()) {
            Ok(_) => self.record(manifest.object, Some(manifest.clone())),
            Err(error) => self.note(&format!("refused: {error:?}")),
        }
    }

    /// An object is made anew: who comes now knows nothing of what was told before, nor of copies that EC2 has not listed yet.
    fn made_anew(&self, object: &str) {
        let ours: Vec<_> = self.state().images.into_iter().filter(|i| i.is_of(object)).map(|i| i.id).collect();
        let mut past = self.past();
        let past = &mut *past;
        past.regions_told.retain(|(of, _)| of != object);
        past.unheard.extend(ours.into_iter().filter(|id| !past.seen.contains(id)));
    }

    /// Somebody deletes an object. The answer is whether the API server has taken that.
    pub(crate) fn delete(&self, object: &'static str) -> bool {
        let found = self.kube.get("machineimages", NAMESPACE, object).unwrap_or_default();
        if self.kube.delete("machineimages", NAMESPACE, object).is_err() {
            return false;
        }
        // Without a finalizer, which a controller must have had the time to put on, it goes without a trace.
        if is_held(&found, FINALIZER) {
            self.past().deleted.insert(object.into());
        }
        self.record(object, None);
        true
    }

    /// An object in another namespace, of the name of one here, names sources of ours; it is suspended, and does nothing else.
    pub(crate) fn settle_neighbour(&self) {
        let claimed = [source_id(OBJECTS[0], 0), source_id(OBJECTS[1], 1)];
        let image = |id: &String| json!({"region": REGIONS[0], "id": id});
        let version =
            |(number, id): (usize, &String)| json!({"version": format!("1.{number}"), "source": {"image": image(id)}});
        let object = json!({
            "apiVersion": "amiops.dev/v1alpha1",
            "kind": "MachineImage",
            "metadata": {"name": OBJECTS[0], "namespace": NEIGHBOURS},
            "spec": {
                "suspend": true,
                "regions": [{"region": REGIONS[0]}],
                "versions": claimed.iter().enumerate().map(version).collect::<Vec<_>>(),
            },
        });
        self.kube.ensure_namespace(NEIGHBOURS);
        self.expect("a neighbour", self.kube.apply("machineimages", NEIGHBOURS, OBJECTS[0], &object));
        self.past().claimed = claimed.to_vec();
    }

    /// Whether an object of another namespace names an image as a source.
    pub(crate) fn is_claimed(&self, id: &str) -> bool {
        self.past().claimed.iter().any(|claimed| claimed == id)
    }

    /// Somebody asks for a pass now; the answer is what the object then carries, if there is one.
    pub(crate) fn request(&self, object: &str) -> Option<String> {
        let request = self.now().to_string();
        let patch = json!({"metadata": {"annotations": {"amiops.dev/reconcile-at": request}}});
        self.kube.merge_patch("machineimages", NAMESPACE, object, &patch).ok().map(|_| request)
    }

    /// Somebody takes back the edit that was just made.
    pub(crate) fn take_back(&self, manifest: &Manifest) {
        self.note("somebody takes the edit back");
        self.apply(manifest);
    }

    /// Notes what an object asks for from now on; `None` is nothing any more.
    pub(crate) fn record(&self, object: &'static str, manifest: Option<Manifest>) {
        let asking = Asking { since: self.elapsed(), requests: self.kube.read_log(<[_]>::len), manifest };
        let mut past = self.past();
        if asking.manifest.is_some() {
            past.deleted.remove(object);
        }
        past.manifests.entry(object).or_default().push(asking);
    }
}

/// What an object asked for since it was last made until it was deleted, and since when; the last first.
fn last_life<'a>(past: &'a Past, object: &str) -> impl Iterator<Item = (Duration, &'a Manifest)> {
    let all = past.manifests.get(object).into_iter().flatten().rev().skip_while(|asking| asking.manifest.is_none());
    all.map_while(|asking| Some((asking.since, asking.manifest.as_ref()?)))
}
