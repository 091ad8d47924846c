//! Metadata: generations, resource versions, names; and the two endpoints of an object.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::harness::{Cluster, generation, manifest, refused, version};

pub(crate) async fn the_generation_counts_changes_of_the_spec_only(cluster: Cluster) {
    cluster.image("web").await;
    let changed = cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    assert_eq!(generation(&changed), 2);
    let same = cluster.merge("web", &json!({"metadata": {"annotations": {"a": "b"}}})).await.unwrap();
    assert_eq!(generation(&same), 2);
    let status = json!({"status": {"observedGeneration": 2}});
    let same = cluster.images().patch_status("web", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(generation(&same), 2);
    let same = cluster.merge("web", &json!({"metadata": {"generation": 9}})).await.unwrap();
    assert_eq!(generation(&same), 2);
}

pub(crate) async fn the_status_has_an_endpoint_of_its_own(cluster: Cluster) {
    cluster.image("web").await;
    let both = json!({"spec": {"suspend": true}, "status": {"replicas": "1/1"}, "metadata": {"labels": {"a": "b"}}});
    let by_main = cluster.merge("web", &both).await.unwrap();
    assert_eq!(by_main.data["spec"]["suspend"], true);
    assert_eq!(by_main.data["status"], json!({"observedGeneration": -1}));
    let both = json!({"spec": {"suspend": false}, "status": {"replicas": "1/1"}, "metadata": {"labels": {"a": "c"}}});
    let by_status = cluster.images().patch_status("web", &PatchParams::default(), &Patch::Merge(&both)).await.unwrap();
    assert_eq!(by_status.data["spec"]["suspend"], true);
    assert_eq!(by_status.data["status"], json!({"observedGeneration": -1, "replicas": "1/1"}));
    assert_eq!(by_status.labels()["a"], "b");
    assert_ne!(version(&by_main), version(&by_status));
    let read = cluster.images().get_status("web").await.unwrap();
    assert_eq!(read, by_status);
    let mut next = by_status.clone();
    next.data["status"]["replicas"] = json!("2/2");
    next.data["spec"]["suspend"] = json!(false);
    let replaced = cluster.images().replace_status("web", &PostParams::default(), &next).await.unwrap();
    assert_eq!(
        (&replaced.data["status"]["replicas"], &replaced.data["spec"]["suspend"]),
        (&json!("2/2"), &json!(true))
    );
}

pub(crate) async fn the_status_is_not_given_at_creation(cluster: Cluster) {
    let mut manifest = manifest("web");
    manifest["status"] = json!({"replicas": "9/9", "observedGeneration": 4});
    let made = cluster.create(&manifest).await.unwrap();
    assert!(
        made.data.get("status").is_none_or(|status| *status == json!({"observedGeneration": -1})),
        "{:?}",
        made.data
    );
    assert_eq!(cluster.get("web").await.data["status"], json!({"observedGeneration": -1}));
}

pub(crate) async fn what_changes_nothing_keeps_the_resource_version(cluster: Cluster) {
    let shown = cluster.image("web").await;
    // The default status is shown, but not stored before the next write.
    let made = cluster.merge("web", &json!({"spec": {"suspend": false}})).await.unwrap();
    assert_ne!(version(&made), version(&shown));
    assert_eq!((&made.data, generation(&made)), (&shown.data, 1));
    let same = cluster.merge("web", &json!({"spec": {"suspend": false}})).await.unwrap();
    assert_eq!(version(&made), version(&same));
    let same = cluster.images().replace("web", &PostParams::default(), &made).await.unwrap();
    assert_eq!(version(&made), version(&same));
    let changed = cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    assert!(version(&made).parse::<u64>().unwrap() < version(&changed).parse().unwrap());
}

pub(crate) async fn the_uid_cannot_be_changed(cluster: Cluster) {
    let made = cluster.image("web").await;
    let says = "metadata.uid: Invalid value: \"11111111-2222-3333-4444-555555555555\": field is immutable";
    let other = json!({"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}});
    refused(cluster.merge("web", &other).await, 422, "Invalid", says);
    let without = cluster.merge("web", &json!({"metadata": {"uid": null}})).await.unwrap();
    assert_eq!(without.uid(), made.uid());
    let says = "the name of the object (other) does not match the name on the URL (web)";
    refused(cluster.merge("web", &json!({"metadata": {"name": "other"}})).await, 400, "BadRequest", says);
}

pub(crate) async fn names_and_labels_have_rules(cluster: Cluster) {
    for name in ["Web", "a_b", "-a", "a-", "a..b"] {
        let says =
            "metadata.name: Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case";
        refused(cluster.create(&manifest(name)).await, 422, "Invalid", &says.replace("{name}", name));
    }
    let labelled = |labels| {
        let mut manifest = manifest("web");
        manifest["metadata"]["labels"] = labels;
        manifest
    };
    let says = "metadata.labels: Invalid value: \"a b\": a valid label must be an empty string or consist of";
    refused(cluster.create(&labelled(json!({"a": "a b"}))).await, 422, "Invalid", says);
    let says = "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters";
    refused(cluster.create(&labelled(json!({"a b": "a"}))).await, 422, "Invalid", says);
    let finalizers = |finalizers| {
        let mut manifest = manifest("web");
        manifest["metadata"]["finalizers"] = finalizers;
        manifest
    };
    let says = "metadata.finalizers: Invalid value: \"a b\": name part must consist of alphanumeric characters";
    refused(cluster.create(&finalizers(json!(["a b"]))).await, 422, "Invalid", says);
    cluster.create(&finalizers(json!(["retire"]))).await.unwrap();
    cluster
        .images()
        .patch("web", &PatchParams::default(), &Patch::Merge(&json!({"metadata": {"finalizers": null}})))
        .await
        .unwrap();
    let says = "metadata.annotations: Invalid value: \"a b\": name part must consist of alphanumeric characters";
    let patch = json!({"metadata": {"annotations": {"a b": "c"}}});
    refused(cluster.merge("web", &patch).await, 422, "Invalid", says);
}

pub(crate) async fn system_fields_cannot_be_set(cluster: Cluster) {
    let mut manifest = manifest("web");
    let uid = "11111111-2222-3333-4444-555555555555";
    manifest["metadata"]["uid"] = json!(uid);
    manifest["metadata"]["generation"] = json!(7);
    manifest["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    manifest["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
    let made = cluster.create(&manifest).await.unwrap();
    assert_ne!(made.uid().as_deref(), Some(uid));
    assert_eq!(generation(&made), 1);
    assert!(made.creation_timestamp().unwrap().0.as_second() > 1_700_000_000);
    assert!(made.metadata.deletion_timestamp.is_none());
    let changed =
        cluster.merge("web", &json!({"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})).await.unwrap();
    assert_eq!(changed.creation_timestamp(), made.creation_timestamp());
    let says = "metadata.deletionTimestamp: Invalid value: \"2020-01-01T00:00:00Z\": field is immutable";
    let patch = json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}});
    refused(cluster.merge("web", &patch).await, 422, "Invalid", says);
    manifest["metadata"] = json!({"name": "other", "resourceVersion": "1"});
    let says = "resourceVersion should not be set on objects to be created";
    refused(cluster.create(&manifest).await, 500, "", says);
}
