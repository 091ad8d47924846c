//! JSON merge patches and JSON patches.

use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Cluster, refused, version};

pub(crate) async fn a_merge_patch_changes_what_it_names_and_null_removes(cluster: Cluster) {
    cluster.image("web").await;
    let patch = json!({"metadata": {"annotations": {"a": "b", "c": "d"}}, "spec": {"tags": {"team": "web"}}});
    let patched = cluster.merge("web", &patch).await.unwrap();
    assert_eq!(patched.annotations().len(), 2);
    assert_eq!(patched.data["spec"]["tags"], json!({"team": "web"}));
    let patch = json!({"metadata": {"annotations": {"a": null}}, "spec": {"tags": null, "interval": null}});
    let patched = cluster.merge("web", &patch).await.unwrap();
    assert_eq!(patched.annotations().iter().collect::<Vec<_>>(), [(&"c".to_owned(), &"d".to_owned())]);
    assert!(patched.data["spec"].get("tags").is_none());
    assert_eq!(patched.data["spec"]["interval"], "10m");
    // A list is replaced as a whole.
    let patch = json!({"spec": {"regions": [{"region": "eu-west-1"}]}});
    let patched = cluster.merge("web", &patch).await.unwrap();
    assert_eq!(patched.data["spec"]["regions"], json!([{"region": "eu-west-1"}]));
}

pub(crate) async fn a_merge_patch_with_a_stale_resource_version_is_a_conflict(cluster: Cluster) {
    let made = cluster.image("web").await;
    let patch = |value: &str| json!({"metadata": {"resourceVersion": version(&made), "finalizers": [value]}});
    let patched = cluster.merge("web", &patch("amiops.dev/retire")).await.unwrap();
    assert_eq!(patched.finalizers(), ["amiops.dev/retire"]);
    let says = "Operation cannot be fulfilled on machineimages.amiops.dev \"web\": the object has been modified; please apply \
                your changes to the latest version and try again";
    refused(cluster.merge("web", &patch("amiops.dev/other")).await, 409, "Conflict", says);
    refused(cluster.merge("web", &patch("amiops.dev/retire")).await, 409, "Conflict", says);
    let status = json!({"metadata": {"resourceVersion": version(&made)}, "status": {"replicas": "1/1"}});
    let by_status = cluster.images().patch_status("web", &PatchParams::default(), &Patch::Merge(&status)).await;
    refused(by_status, 409, "Conflict", says);
}

pub(crate) async fn a_merge_patch_of_the_status_changes_nothing_else(cluster: Cluster) {
    let made = cluster.image("web").await;
    let patch = json!({"status": {"replicas": "1/1"}, "metadata": {"finalizers": ["amiops.dev/retire"]}, "spec": {"suspend": true}});
    let patched = cluster.images().patch_status("web", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(patched.data["spec"], made.data["spec"]);
    assert!(patched.finalizers().is_empty());
    assert_eq!(patched.data["status"], json!({"observedGeneration": -1, "replicas": "1/1"}));
}

async fn json_patch(cluster: &Cluster, steps: Value) -> kube::Result<DynamicObject> {
    let path = format!("/apis/amiops.dev/v1alpha1/namespaces/{}/machineimages/web", cluster.namespace);
    let request = http::Request::patch(path).header("content-type", "application/json-patch+json");
    cluster.client.request(request.body(steps.to_string().into_bytes()).unwrap()).await
}

pub(crate) async fn a_json_patch_is_applied_step_by_step(cluster: Cluster) {
    cluster.image("web").await;
    let steps = json!([
        {"op": "test", "path": "/spec/interval", "value": "10m"},
        {"op": "replace", "path": "/spec/interval", "value": "20m"},
        {"op": "add", "path": "/spec/regions/-", "value": {"region": "eu-west-1"}},
        {"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}},
    ]);
    let patched = json_patch(&cluster, steps).await.unwrap();
    assert_eq!(patched.data["spec"]["interval"], "20m");
    assert_eq!(patched.data["spec"]["regions"], json!([{"region": "us-east-1"}, {"region": "eu-west-1"}]));
    assert_eq!(patched.annotations()["a"], "b");
}

pub(crate) async fn a_json_patch_whose_test_fails_is_refused(cluster: Cluster) {
    let made = cluster.image("web").await;
    let steps = json!([
        {"op": "replace", "path": "/spec/interval", "value": "20m"},
        {"op": "test", "path": "/spec/interval", "value": "10m"},
    ]);
    refused(json_patch(&cluster, steps).await, 422, "Invalid", "");
    let steps = json!([{"op": "remove", "path": "/spec/tags"}]);
    refused(json_patch(&cluster, steps).await, 422, "Invalid", "");
    assert_eq!(cluster.get("web").await, made);
}

pub(crate) async fn a_patch_of_nothing_is_not_found(cluster: Cluster) {
    let says = "machineimages.amiops.dev \"web\" not found";
    refused(cluster.merge("web", &json!({"spec": {"suspend": true}})).await, 404, "NotFound", says);
    let status = json!({"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "status": {"replicas": "1/1"}});
    let applied =
        cluster.images().patch_status("web", &PatchParams::apply("amiops").force(), &Patch::Apply(&status)).await;
    refused(applied, 404, "NotFound", says);
}

pub(crate) async fn a_merge_patch_is_an_object(cluster: Cluster) {
    cluster.image("web").await;
    refused(cluster.merge("web", &json!([1])).await, 400, "BadRequest", "");
    refused(cluster.merge("web", &json!({"metadata": 1})).await, 422, "Invalid", "");
}

pub(crate) async fn what_is_not_there_passes_the_test_of_a_json_patch_for_null(cluster: Cluster) {
    cluster.image("web").await;
    let steps = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["amiops.dev/retire"]},
    ]);
    assert_eq!(json_patch(&cluster, steps.clone()).await.unwrap().finalizers(), ["amiops.dev/retire"]);
    refused(json_patch(&cluster, steps).await, 422, "Invalid", "");
    let steps = json!([{"op": "test", "path": "/metadata/finalizers", "value": ["amiops.dev/retire", "another"]}]);
    refused(json_patch(&cluster, steps).await, 422, "Invalid", "");
}
