//! Deletion: the finalizer that holds an object until its images are gone or are to stay.

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::pass::Error;
use crate::api::{DeletionPolicy, FINALIZER, MachineImage};

/// Whether the object is on its way out and leaves AWS as it is.
pub(super) fn is_done_without_aws(object: &MachineImage) -> bool {
    let deleting = object.metadata.deletion_timestamp.is_some();
    let held = object.finalizers().iter().any(|f| f == FINALIZER);
    deleting && (!held || object.spec.deletion_policy == DeletionPolicy::Retain)
}

/// Puts the finalizer on an object, so that it cannot go unnoticed.
pub(super) async fn protect(object: &MachineImage, context: &Context) -> Result<(), Error> {
    if object.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    let finalizers: Vec<_> = object.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
    set_finalizers(object, context, &finalizers).await
}

/// Takes the finalizer off: the object goes.
pub(super) async fn release(object: &MachineImage, context: &Context) -> Result<Action, Error> {
    if object.finalizers().iter().any(|f| f == FINALIZER) {
        let others: Vec<_> = object.finalizers().iter().map(String::as_str).filter(|f| *f != FINALIZER).collect();
        match set_finalizers(object, context, &others).await {
            Err(Error::Api(kube::Error::Api(status))) if status.is_not_found() => {}
            result => result?,
        }
    }
    context.forget(&context.owner(object));
    Ok(Action::await_change())
}

/// The resource version makes the API server refuse the list if somebody has changed the object in between.
async fn set_finalizers(object: &MachineImage, context: &Context, finalizers: &[&str]) -> Result<(), Error> {
    let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let metadata = json!({"finalizers": finalizers, "resourceVersion": object.resource_version()});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    api.patch_metadata(&object.name_any(), &PatchParams::default(), &patch).await?;
    Ok(())
}
