//! Events: only on transitions. An event that cannot be written is logged; it holds up nothing.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::events::{Event, EventType};

use super::context::Context;
use super::execute::Done;
use super::report::shortened;
use crate::api::{ConditionStatus, MachineImage, MachineImageStatus};

/// Kubernetes takes notes of 1024 bytes at most.
const NOTE_BYTES: usize = 1024;

/// Tells what was done.
pub(super) async fn actions(context: &Context, object: &MachineImage, done: &[Done]) {
    for done in done {
        let Ok(outcome) = &done.result else { continue };
        let action = &done.step.action;
        let verb = place(action.verb(), Some(action.region().as_str()), action.version().map(|v| v.as_str()));
        let note = format!("{}, because {}", outcome.note, done.step.reason);
        publish(context, &object.object_ref(&()), EventType::Normal, outcome.reason, &verb, &note).await;
        if let Some(warning) = &outcome.warning {
            publish(context, &object.object_ref(&()), EventType::Warning, "SnapshotsLeft", &verb, warning).await;
        }
    }
}

/// Tells of problems that are new, and of the object becoming ready.
pub(super) async fn transitions(
    context: &Context,
    object: &MachineImage,
    before: &MachineImageStatus,
    after: &MachineImageStatus,
) {
    let reference = object.object_ref(&());
    for problem in &after.problems {
        let same = |p: &&crate::api::Problem| {
            (&p.reason, &p.region, &p.version) == (&problem.reason, &problem.region, &problem.version)
        };
        if !before.problems.iter().any(|p| same(&p)) {
            let action = place("Reconcile", problem.region.as_deref(), problem.version.as_deref());
            publish(context, &reference, EventType::Warning, &problem.reason, &action, &problem.message).await;
        }
    }
    let ready = |status: &MachineImageStatus| status.conditions.iter().find(|c| c.type_ == "Ready").cloned();
    if let Some(now) = ready(after).filter(|now| now.status == ConditionStatus::True)
        && ready(before).is_none_or(|then| then.status != now.status)
    {
        publish(context, &reference, EventType::Normal, &now.reason, "Reconcile", &now.message).await;
    }
}

/// The action of an event. Events of one reason and action count as one series, of which only the first note is kept, so
/// the place belongs to it.
fn place(verb: &str, region: Option<&str>, version: Option<&str>) -> String {
    [Some(verb), region, version].into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// Tells that an object does not decode.
pub(super) async fn undecodable(context: &Context, invalid: &InvalidObject) {
    let metadata = &invalid.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    tracing::warn!(
        object = name,
        "this MachineImage does not decode and is left alone until it changes: {}",
        invalid.error
    );
    let reference = ObjectReference {
        api_version: Some(MachineImage::api_version(&()).into()),
        kind: Some(MachineImage::kind(&()).into()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        ..Default::default()
    };
    let note = format!("the object does not decode, and is left alone until it changes: {}", invalid.error);
    publish(context, &reference, EventType::Warning, "Undecodable", "Reconcile", &note).await;
}

async fn publish(
    context: &Context,
    reference: &ObjectReference,
    type_: EventType,
    reason: &str,
    action: &str,
    note: &str,
) {
    let event = Event {
        type_,
        reason: reason.into(),
        note: Some(shortened(note, NOTE_BYTES)),
        action: action.into(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, reference).await {
        tracing::warn!(object = reference.name, "the event '{reason}' could not be written: {error}");
    }
}
