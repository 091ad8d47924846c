//! Deletion: the finalizer that holds an object until its images are gone or are to stay.

use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::pass::Error;
use crate::api::{DeletionPolicy, FINALIZER, MachineImage};

/// How often a pass tries to put the finalizer on or take it off.
const TRIES: usize = 8;

/// Whether the object is on its way out and leaves AWS as it is.
pub(super) fn is_done_without_aws(object: &MachineImage) -> bool {
    let deleting = object.metadata.deletion_timestamp.is_some();
    deleting && (!is_held(&object.metadata) || object.spec.deletion_policy == DeletionPolicy::Retain)
}

/// Puts the finalizer on an object, so that it cannot go unnoticed. One that nobody has put it on before, nor reported on, is new.
pub(super) async fn protect(object: &MachineImage, context: &Context) -> Result<(), Error> {
    let is_first = set_held(object, context, true).await?;
    if is_first && object.status.as_ref().is_none_or(|status| status.observed_generation < 1) {
        context.note_new(&context.owner(object));
    }
    Ok(())
}

/// Takes the finalizer off: the object goes.
pub(super) async fn release(object: &MachineImage, context: &Context) -> Result<Action, Error> {
    match set_held(object, context, false).await {
        Err(Error::Api(kube::Error::Api(status))) if status.is_not_found() => {}
        result => drop(result?),
    }
    context.forget(&context.owner(object));
    Ok(Action::await_change())
}

fn is_held(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|f| f == FINALIZER)
}

/// Puts the finalizer on or takes it off. The resource version makes the API server refuse the list if somebody has changed
/// the object in between. While it is the same object with the same manifest, it is tried again at once: somebody may be
/// changing its labels all the time. The answer is whether this call has changed it.
async fn set_held(object: &MachineImage, context: &Context, held: bool) -> Result<bool, Error> {
    let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let mut latest = object.metadata.clone();
    let mut tries_left = TRIES;
    while is_held(&latest) != held {
        let others = latest.finalizers.iter().flatten().map(String::as_str).filter(|f| *f != FINALIZER);
        let finalizers: Vec<_> = others.chain(held.then_some(FINALIZER)).collect();
        let metadata = json!({"finalizers": finalizers, "resourceVersion": latest.resource_version});
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let conflict = match api.patch_metadata(&object.name_any(), &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => status,
            result => return Ok(result.map(|_| true)?),
        };
        tries_left -= 1;
        let same = |m: &ObjectMeta| m.uid == object.metadata.uid && m.generation == object.metadata.generation;
        match api.get_metadata_opt(&object.name_any()).await?.map(|found| found.metadata).filter(same) {
            Some(found) if tries_left > 0 => latest = found,
            _ => return Err(kube::Error::Api(conflict).into()),
        }
    }
    Ok(false)
}
