//! Deletion: the finalizer that holds an object until its images are gone or are to stay.

use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

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

/// Puts the finalizer on or takes it off. While it is the same object with the same manifest, what is refused because somebody
/// came between is tried again at once. The answer is whether this call has changed it.
async fn set_held(object: &MachineImage, context: &Context, held: bool) -> Result<bool, Error> {
    let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let mut latest = object.metadata.clone();
    let mut tries_left = TRIES;
    while is_held(&latest) != held {
        let patch = Patch::Json::<()>(serde_json::from_value(change(&latest)).map_err(kube::Error::SerdeError)?);
        let refusal = match api.patch_metadata(&object.name_any(), &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_invalid() => status,
            result => return Ok(result.map(|_| true)?),
        };
        tries_left -= 1;
        let same = |m: &ObjectMeta| m.uid == object.metadata.uid && m.generation == object.metadata.generation;
        // What is refused for another cause than a change that came between would be refused again.
        let between = |m: &ObjectMeta| refusal.is_conflict() || m.finalizers != latest.finalizers;
        match api.get_metadata_opt(&object.name_any()).await?.map(|found| found.metadata).filter(same) {
            Some(found) if tries_left > 0 && between(&found) => latest = found,
            _ => return Err(kube::Error::Api(refusal).into()),
        }
    }
    Ok(false)
}

/// The JSON patch that takes the finalizer off where it is, and puts it on where it is not. It says what it was made for, and the
/// API server refuses it (422 Invalid) of another object, another manifest or other finalizers: those of others stay as they
/// are. Unlike a resource version that does not meet what changes labels or the status.
fn change(seen: &ObjectMeta) -> Value {
    let finalizers = seen.finalizers.as_deref().unwrap_or_default();
    let place = finalizers.iter().position(|f| f == FINALIZER);
    let change = match place {
        Some(place) => json!({"op": "remove", "path": format!("/metadata/finalizers/{place}")}),
        None if finalizers.is_empty() => json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}),
        None => json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}),
    };
    json!([
        {"op": "test", "path": "/metadata/uid", "value": seen.uid},
        {"op": "test", "path": "/metadata/generation", "value": seen.generation},
        // A list that is not there equals null.
        {"op": "test", "path": "/metadata/finalizers", "value": seen.finalizers},
        change,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finalizer_comes_off_only_if_object_manifest_and_finalizers_are_as_they_were_seen() {
        let finalizers = vec!["another.example/holds".to_owned(), FINALIZER.to_owned()];
        let seen = ObjectMeta {
            uid: Some("1-2".into()),
            generation: Some(3),
            finalizers: Some(finalizers.clone()),
            ..Default::default()
        };
        let expected = json!([
            {"op": "test", "path": "/metadata/uid", "value": "1-2"},
            {"op": "test", "path": "/metadata/generation", "value": 3},
            {"op": "test", "path": "/metadata/finalizers", "value": finalizers},
            {"op": "remove", "path": "/metadata/finalizers/1"},
        ]);
        assert_eq!(change(&seen), expected);
    }
}
