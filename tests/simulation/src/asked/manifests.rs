//! When manifests were read from the API server.

use std::time::Duration;

use kubesim::{Logged, Verb, Verdict};

use crate::manifest::{Manifest, NAMESPACE};
use crate::world::World;

/// The manifest must be read from the API server once more, since what the watch shows may be old.
pub(super) fn manifest_was_read(world: &World, object: &str, after: Duration) -> Result<(), String> {
    let ago = |logged: &Logged| Duration::try_from(world.now().duration_since(logged.at)).unwrap_or_default();
    let read = last_reading(world, object).is_some_and(|(_, l)| world.elapsed().saturating_sub(ago(&l)) >= after);
    if read { Ok(()) } else { Err(format!("the manifest of {object} was not read again")) }
}

/// The last request that was answered with the manifest of an object, and how many there had been before.
fn last_reading(world: &World, object: &str) -> Option<(usize, Logged)> {
    let is_reading = |logged: &Logged| {
        let request = &logged.request;
        let this = request.resource == "machineimages" && request.namespace == NAMESPACE && request.name == object;
        this && request.verb == Verb::Get && logged.code == Some(200)
    };
    world.kube.read_log(|log| log.iter().rposition(is_reading).map(|at| (at, log[at].clone())))
}

/// Everything that an object has asked for since its manifest was last read, if what was read was true.
pub(crate) fn known_manifests(world: &World, object: &str) -> Option<Vec<Option<Manifest>>> {
    let (requests, reading) = last_reading(world, object)?;
    (reading.verdict == Verdict::Pass).then(|| world.asked_since_request(object, requests))
}
