//! What is asked for in a quiet world arrives soon. Whoever waits for the next interval or the next listing where something
//! has told, or could be looked at, is late.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::ending;
use crate::manifest::{Manifest, NAMESPACE, OBJECTS};
use crate::state::State;
use crate::world::World;

/// A copy is looked at every two minutes; the rest takes seconds.
pub(crate) const SOON: Duration = Duration::from_mins(3);

/// Asks for one more version and tag of each object that has arrived, for a channel to move to it, and for a pass; looks whether
/// that is there soon after what AWS itself takes.
pub(crate) async fn play(world: &World, aws_takes: Duration) {
    let asked: BTreeMap<_, _> = OBJECTS.into_iter().filter_map(|object| Some((object, ask(world, object)?))).collect();
    sleep(SOON).await;
    for (object, (_, request)) in &asked {
        check_handled(world, object, request);
    }
    sleep(aws_takes).await;
    let state = world.state();
    for (object, (manifest, _)) in &asked {
        if let Some(lacking) = ending::lacking(&state, manifest) {
            world.violation(format!("{object} was asked for more in a quiet world, and {lacking}"));
        }
        let status = &now(world, object)["status"];
        if !ending::is_ready(status) {
            world.violation(format!("{object} has arrived, and does not say so: {status}"));
        }
    }
    request_alone(world).await;
}

/// Asks for a pass and nothing else.
async fn request_alone(world: &World) {
    let ask = |object: &'static str| Some((object, world.manifest(object).and_then(|_| world.request(object))?));
    let asked: Vec<_> = OBJECTS.into_iter().filter_map(ask).collect();
    sleep(SOON).await;
    for (object, request) in asked {
        check_handled(world, object, &request);
    }
}

/// Checks that a pass that was asked for a while ago has been made.
fn check_handled(world: &World, object: &str, request: &str) {
    let handled = &now(world, object)["status"]["lastHandledReconcileAt"];
    if handled != request {
        world.violation(format!("{object} was asked for a pass, {SOON:?} ago: {request}, not {handled}"));
    }
}

pub(crate) fn now(world: &World, object: &str) -> Value {
    world.kube.get("machineimages", NAMESPACE, object).unwrap_or_default()
}

/// The manifest of an object that has arrived, if nothing stands in the way of more.
pub(crate) fn arrived(world: &World, state: &State, object: &str) -> Option<Manifest> {
    let is_ready = ending::is_ready(&now(world, object)["status"]);
    let manifest = world.manifest(object).filter(|m| is_ready && !m.suspend && ending::lacking(state, m).is_none())?;
    (!ending::excused(state, &manifest.with_more())).then_some(manifest)
}

/// Asks an object for more; the answer is what was asked for, and the request for a pass.
fn ask(world: &World, object: &'static str) -> Option<(Manifest, String)> {
    let more = arrived(world, &world.state(), object)?.with_more();
    world.apply(&more);
    let request = world.request(object)?;
    world.manifest(object).filter(|m| *m == more).map(|m| (m, request))
}
