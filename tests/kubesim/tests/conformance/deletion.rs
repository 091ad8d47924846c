//! Deletion and finalizers.

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::harness::{Cluster, generation, refused, version};

pub(crate) async fn what_nothing_holds_is_gone_at_once(cluster: Cluster) {
    let made = cluster.image("web").await;
    let status = cluster.images().delete("web", &DeleteParams::default()).await.unwrap().right().unwrap();
    assert!(status.is_success());
    let details = status.details.unwrap();
    assert_eq!((details.name.as_str(), details.uid.as_str()), ("web", made.uid().unwrap().as_str()));
    let gone = cluster.images().delete("web", &DeleteParams::default()).await;
    refused(gone.map(|_| ()), 404, "NotFound", "machineimages.amiops.dev \"web\" not found");
    let again = cluster.image("web").await;
    assert_ne!(again.uid(), made.uid());
}

pub(crate) async fn a_finalizer_holds_a_deleted_object(cluster: Cluster) {
    cluster.image("web").await;
    let held = cluster.merge("web", &json!({"metadata": {"finalizers": ["amiops.dev/retire"]}})).await.unwrap();
    let deleted = cluster.images().delete("web", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(deleted.metadata.deletion_timestamp.is_some());
    assert_eq!(deleted.metadata.deletion_grace_period_seconds, Some(0));
    assert_eq!(generation(&deleted), generation(&held) + 1);
    assert_ne!(version(&deleted), version(&held));
    // Once is enough.
    let again = cluster.images().delete("web", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(version(&again), version(&deleted));
    assert_eq!(cluster.get("web").await, deleted);
    let last = cluster.merge("web", &json!({"metadata": {"finalizers": []}})).await.unwrap();
    assert!(last.finalizers().is_empty());
    assert_eq!(version(&last), version(&deleted));
    assert!(cluster.images().get_opt("web").await.unwrap().is_none());
}

pub(crate) async fn a_deleted_object_takes_no_new_finalizer(cluster: Cluster) {
    cluster.image("web").await;
    let finalizers = |finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}});
    cluster.merge("web", &finalizers(&["amiops.dev/retire", "amiops.dev/b"])).await.unwrap();
    cluster.images().delete("web", &DeleteParams::default()).await.unwrap();
    let more = cluster.merge("web", &finalizers(&["amiops.dev/retire", "amiops.dev/c"])).await;
    let says = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
                finalizers []string{\"amiops.dev/c\"}";
    refused(more, 422, "Invalid", says);
    let less = cluster.merge("web", &finalizers(&["amiops.dev/retire"])).await.unwrap();
    assert_eq!(less.finalizers(), ["amiops.dev/retire"]);
    let back = cluster.merge("web", &json!({"metadata": {"deletionTimestamp": null}})).await.unwrap();
    assert_eq!(version(&back), version(&less));
    assert!(back.metadata.deletion_timestamp.is_some());
}

pub(crate) async fn a_deleted_object_can_still_be_changed(cluster: Cluster) {
    cluster.image("web").await;
    cluster.merge("web", &json!({"metadata": {"finalizers": ["amiops.dev/retire"]}})).await.unwrap();
    let deleted = cluster.images().delete("web", &DeleteParams::default()).await.unwrap().left().unwrap();
    let changed = cluster.merge("web", &json!({"spec": {"deletionPolicy": "Delete"}})).await.unwrap();
    assert_eq!(generation(&changed), generation(&deleted) + 1);
    let status = json!({"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "status": {"replicas": "0/0"}});
    let params = PatchParams::apply("amiops").force();
    let told = cluster.images().patch_status("web", &params, &Patch::Apply(&status)).await.unwrap();
    assert_eq!(told.data["status"]["replicas"], "0/0");
    assert!(told.metadata.deletion_timestamp.is_some());
}

pub(crate) async fn deletion_can_be_made_conditional(cluster: Cluster) {
    let made = cluster.image("web").await;
    let delete = async |uid: Option<String>, resource_version: Option<String>| {
        let params = DeleteParams::default().preconditions(Preconditions { uid, resource_version });
        cluster.images().delete("web", &params).await.map(|_| ())
    };
    let other = "11111111-2222-3333-4444-555555555555";
    let record = made.uid().unwrap();
    let says = format!(
        "Operation cannot be fulfilled on MachineImage.amiops.dev \"web\": the UID in the precondition ({other}) does not match the UID in record ({record}). The object might have been deleted and then recreated"
    );
    refused(delete(Some(other.into()), None).await, 409, "Conflict", &says);
    let says = format!(
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({}). The object might have been modified",
        version(&made)
    );
    refused(delete(None, Some("1".into())).await, 409, "Conflict", &says);
    delete(made.uid(), Some(version(&made))).await.unwrap();
    assert!(cluster.images().get_opt("web").await.unwrap().is_none());
}
