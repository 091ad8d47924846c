//! Server-side apply.

use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::{Cluster, generation, manifest, refused, version};

async fn apply(cluster: &Cluster, manager: &str, spec: Value) -> kube::Result<DynamicObject> {
    applied(cluster, &PatchParams::apply(manager), spec).await
}

async fn applied(cluster: &Cluster, params: &PatchParams, spec: Value) -> kube::Result<DynamicObject> {
    let mut manifest = manifest("web");
    manifest["spec"] = spec;
    cluster.images().patch("web", params, &Patch::Apply(&manifest)).await
}

async fn apply_status(cluster: &Cluster, status: Value) -> kube::Result<DynamicObject> {
    let mut manifest = manifest("web");
    manifest.as_object_mut().unwrap().remove("spec");
    manifest["status"] = status;
    cluster.images().patch_status("web", &PatchParams::apply("amiops").force(), &Patch::Apply(&manifest)).await
}

fn version_of(version: &str) -> Value {
    json!({"version": version, "source": {"image": {"region": "us-east-1", "id": "ami-0aa11bb22cc33dd44"}}})
}

/// The keys of a list map.
fn keys<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

pub(crate) async fn apply_creates_what_is_not_there(cluster: Cluster) {
    let made = apply(&cluster, "a", json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}]}))
        .await
        .unwrap();
    assert_eq!(made.data["spec"]["interval"], "10m");
    assert_eq!(generation(&made), 1);
    assert_eq!(made, cluster.get("web").await);
}

pub(crate) async fn apply_removes_what_its_manager_no_longer_names(cluster: Cluster) {
    let spec = json!({
        "versions": [version_of("1"), version_of("2")], "regions": [{"region": "us-east-1", "kmsKeyId": "alias/a"}],
        "tags": {"team": "web", "env": "prod"}, "interval": "20m", "retention": {"keepLast": 3},
    });
    apply(&cluster, "a", spec).await.unwrap();
    // Somebody else adds a tag.
    cluster.merge("web", &json!({"spec": {"tags": {"other": "x"}}})).await.unwrap();
    let spec = json!({"versions": [version_of("2")], "regions": [{"region": "us-east-1"}], "tags": {"team": "web"}});
    let next = apply(&cluster, "a", spec.clone()).await.unwrap();
    let now = &next.data["spec"];
    assert_eq!(keys(&now["versions"], "version"), ["2"]);
    assert_eq!(now["regions"], json!([{"region": "us-east-1"}]));
    assert_eq!(now["tags"], json!({"other": "x", "team": "web"}));
    assert_eq!(now["interval"], "10m");
    assert!(now.get("retention").is_none(), "{now}");
    // A map of which only the other's field is left.
    let mut spec = spec;
    spec.as_object_mut().unwrap().remove("tags");
    let next = apply(&cluster, "a", spec).await.unwrap();
    assert_eq!(next.data["spec"]["tags"], json!({"other": "x"}));
}

fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status, "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

pub(crate) async fn apply_of_the_status_removes_absent_fields(cluster: Cluster) {
    cluster.image("web").await;
    let status = json!({
        "observedGeneration": 1, "replicas": "1/2", "promoted": "prod=1",
        "conditions": [condition("Ready", "False"), condition("Reconciling", "True")],
        "problems": [{"reason": "Denied", "message": "no"}],
        "versions": [{"version": "1", "listed": true, "regions": [
            {"region": "eu-west-1", "state": "Failed", "error": "no"}, {"region": "us-east-1", "state": "Available", "imageId": "ami-1"},
        ]}],
    });
    let first = apply_status(&cluster, status.clone()).await.unwrap();
    assert_eq!(first.data["status"], status);
    let status = json!({
        "observedGeneration": 1, "replicas": "2/2",
        "conditions": [condition("Ready", "True")],
        "versions": [{"version": "1", "listed": true, "regions": [
            {"region": "eu-west-1", "state": "Available", "imageId": "ami-2"}, {"region": "us-east-1", "state": "Available", "imageId": "ami-1"},
        ]}],
    });
    let second = apply_status(&cluster, status.clone()).await.unwrap();
    assert_eq!(second.data["status"], status);
    assert_eq!(generation(&second), 1);
    // All of the list.
    let status = json!({"observedGeneration": 1, "conditions": [], "versions": []});
    let third = apply_status(&cluster, status).await.unwrap();
    assert_eq!(third.data["status"], json!({"observedGeneration": 1}));
    let status = json!({"observedGeneration": 1});
    let fourth = apply_status(&cluster, status.clone()).await.unwrap();
    let left = &fourth.data["status"];
    assert_eq!(left["observedGeneration"], 1);
    assert!(left.get("versions").is_none_or(|v| *v == json!([])), "{left}");
}

pub(crate) async fn apply_of_the_status_touches_nothing_else(cluster: Cluster) {
    let made = cluster.image("web").await;
    let mut whole = manifest("web");
    whole["spec"]["suspend"] = json!(true);
    whole["metadata"]["labels"] = json!({"a": "b"});
    whole["status"] = json!({"observedGeneration": 1});
    let params = PatchParams::apply("amiops").force();
    let patched = cluster.images().patch_status("web", &params, &Patch::Apply(&whole)).await.unwrap();
    assert_eq!(patched.data["spec"], made.data["spec"]);
    assert!(patched.labels().is_empty());
    assert_eq!(patched.data["status"], json!({"observedGeneration": 1}));
}

pub(crate) async fn apply_of_the_status_does_not_look_at_the_uid(cluster: Cluster) {
    cluster.image("web").await;
    let mut patch = manifest("web");
    patch.as_object_mut().unwrap().remove("spec");
    patch["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    patch["status"] = json!({"observedGeneration": 1});
    let params = PatchParams::apply("amiops").force();
    let patched = cluster.images().patch_status("web", &params, &Patch::Apply(&patch)).await.unwrap();
    assert_eq!(patched.data["status"], json!({"observedGeneration": 1}));
}

pub(crate) async fn apply_merges_lists_by_their_keys(cluster: Cluster) {
    let spec = |versions: &[&str]| json!({"versions": versions.iter().map(|v| version_of(v)).collect::<Vec<_>>(), "regions": [{"region": "us-east-1"}]});
    let made = apply(&cluster, "a", spec(&["1", "2", "3"])).await.unwrap();
    assert_eq!(keys(&made.data["spec"]["versions"], "version"), ["1", "2", "3"]);
    let next = apply(&cluster, "b", spec(&["4", "2", "5"])).await.unwrap();
    assert_eq!(keys(&next.data["spec"]["versions"], "version"), ["1", "4", "2", "3", "5"]);
    let next = apply(&cluster, "a", spec(&["3", "1"])).await.unwrap();
    assert_eq!(keys(&next.data["spec"]["versions"], "version"), ["4", "2", "3", "5", "1"]);
    let next = apply(&cluster, "b", spec(&["5", "4"])).await.unwrap();
    assert_eq!(keys(&next.data["spec"]["versions"], "version"), ["3", "5", "1", "4"]);
}

pub(crate) async fn apply_of_the_same_keeps_the_resource_version(cluster: Cluster) {
    let spec = json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}], "tags": {"team": "web"}});
    let made = apply(&cluster, "a", spec.clone()).await.unwrap();
    let status = json!({"observedGeneration": 1, "conditions": [condition("Ready", "True")]});
    let first = apply_status(&cluster, status.clone()).await.unwrap();
    assert_ne!(version(&made), version(&first));
    // Times are whole seconds: in another second, nothing has changed either.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(apply_status(&cluster, status).await.unwrap(), first);
    assert_eq!(apply(&cluster, "a", spec).await.unwrap(), first);
}

pub(crate) async fn apply_over_the_fields_of_another_is_a_conflict(cluster: Cluster) {
    let spec = |interval: &str| json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}], "interval": interval});
    apply(&cluster, "a", spec("20m")).await.unwrap();
    let says = "Apply failed with 1 conflict: conflict with \"a\": .spec.interval";
    let status = refused(apply(&cluster, "b", spec("30m")).await, 409, "Conflict", says);
    let causes = status.details.unwrap().causes;
    assert_eq!((causes[0].reason.as_str(), causes[0].field.as_str()), ("FieldManagerConflict", ".spec.interval"));
    assert_eq!(causes[0].message, "conflict with \"a\"");
    let forced = applied(&cluster, &PatchParams::apply("b").force(), spec("30m")).await.unwrap();
    assert_eq!(forced.data["spec"]["interval"], "30m");
    // Now it is b's.
    refused(apply(&cluster, "a", spec("20m")).await, 409, "Conflict", "conflict with \"b\": .spec.interval");
    // Who patches takes as well.
    cluster.merge("web", &json!({"spec": {"interval": "40m"}})).await.unwrap();
    let status = refused(apply(&cluster, "b", spec("30m")).await, 409, "Conflict", "using amiops.dev/v1alpha1");
    assert!(status.message.contains(".spec.interval"), "{}", status.message);
    let spec = json!({
        "versions": [{"version": "1", "source": {"image": {"region": "us-east-1", "id": "ami-0aa11bb22cc33dd45"}}}],
        "regions": [{"region": "us-east-1"}],
    });
    let status = refused(apply(&cluster, "c", spec).await, 409, "Conflict", "Apply failed with 2 conflicts: ");
    assert!(status.message.contains(".spec.versions[version=\"1\"].source.image.id"), "{}", status.message);
}

pub(crate) async fn two_appliers_share_what_they_agree_on(cluster: Cluster) {
    let spec = |tags: Value| json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}], "tags": tags});
    apply(&cluster, "a", spec(json!({"team": "web"}))).await.unwrap();
    apply(&cluster, "b", spec(json!({"team": "web"}))).await.unwrap();
    let next = apply(&cluster, "a", spec(json!({}))).await.unwrap();
    assert_eq!(next.data["spec"]["tags"], json!({"team": "web"}));
    // With the last one goes the map, although it was named: what is left is null, which the schema refuses.
    let says = "spec.tags: Invalid value: \"null\": spec.tags in body must be of type object: \"null\"";
    refused(apply(&cluster, "b", spec(json!({}))).await, 422, "Invalid", says);
    let spec = json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}]});
    apply(&cluster, "a", spec.clone()).await.unwrap();
    let next = apply(&cluster, "b", spec).await.unwrap();
    assert!(next.data["spec"].get("tags").is_none(), "{}", next.data["spec"]);
}

pub(crate) async fn apply_knows_declared_fields_only(cluster: Cluster) {
    let spec = json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}], "unknown": 1});
    let says = "Kind=MachineImage): .spec.unknown: field not declared in schema";
    let status = crate::harness::refusal(apply(&cluster, "a", spec).await);
    assert!(status.code == 500 && status.message.contains(says), "{status:?}");
}

pub(crate) async fn apply_takes_a_key_once(cluster: Cluster) {
    let spec = json!({"versions": [version_of("1"), version_of("1")], "regions": [{"region": "us-east-1"}]});
    let status = crate::harness::refusal(apply(&cluster, "a", spec).await);
    let says = ".spec.versions: duplicate entries for key [version=\"1\"]";
    assert!(status.code == 500 && status.message.contains(says), "{status:?}");
}

pub(crate) async fn apply_needs_the_right_uid_to_make_nothing(cluster: Cluster) {
    let mut manifest = manifest("web");
    manifest["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    let applied = cluster.images().patch("web", &PatchParams::apply("a"), &Patch::Apply(&manifest)).await;
    let says = "uid mismatch: the provided object specified uid 11111111-2222-3333-4444-555555555555, and no existing object was found";
    refused(applied, 409, "Conflict", says);
    cluster.image("web").await;
    let applied = cluster.images().patch("web", &PatchParams::apply("a").force(), &Patch::Apply(&manifest)).await;
    refused(applied, 422, "Invalid", "metadata.uid: Invalid value");
}

pub(crate) async fn managed_fields_tell_who_set_what(cluster: Cluster) {
    let spec = json!({"versions": [version_of("1")], "regions": [{"region": "us-east-1"}], "tags": {"team": "web"}});
    apply(&cluster, "a", spec).await.unwrap();
    apply_status(&cluster, json!({"observedGeneration": 1, "conditions": [condition("Ready", "True")]})).await.unwrap();
    let patch = json!({"metadata": {"annotations": {"x": "y"}, "finalizers": ["amiops.dev/retire"]}, "spec": {"suspend": true}});
    let params = PatchParams { field_manager: Some("c".into()), ..Default::default() };
    let last = cluster.images().patch("web", &params, &Patch::Merge(&patch)).await.unwrap();
    let entries: Vec<_> = last
        .managed_fields()
        .iter()
        .map(|entry| {
            let fields = entry.fields_v1.clone().unwrap().0;
            json!([entry.manager, entry.operation, entry.subresource, fields])
        })
        .collect();
    let version = json!({".": {}, "f:version": {}, "f:source": {"f:image": {"f:id": {}, "f:region": {}}}});
    let of_a = json!({"f:spec": {
        "f:versions": {"k:{\"version\":\"1\"}": version},
        "f:regions": {"k:{\"region\":\"us-east-1\"}": {".": {}, "f:region": {}}},
        "f:tags": {"f:team": {}},
    }});
    let condition =
        json!({".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:reason": {}, "f:status": {}, "f:type": {}});
    let of_status =
        json!({"f:status": {"f:observedGeneration": {}, "f:conditions": {"k:{\"type\":\"Ready\"}": condition}}});
    let of_c = json!({
        "f:metadata": {"f:annotations": {".": {}, "f:x": {}}, "f:finalizers": {".": {}, "v:\"amiops.dev/retire\"": {}}},
        "f:spec": {"f:suspend": {}},
    });
    let expected = [
        json!(["a", "Apply", null, of_a]),
        json!(["amiops", "Apply", "status", of_status]),
        json!(["c", "Update", null, of_c]),
    ];
    for expected in expected {
        assert!(entries.contains(&expected), "{expected} is not among {entries:#?}");
    }
    assert_eq!(entries.len(), 3, "{entries:#?}");
}

pub(crate) async fn apply_merges_finalizers_as_a_set(cluster: Cluster) {
    cluster.image("web").await;
    cluster.merge("web", &json!({"metadata": {"finalizers": ["amiops.dev/a"]}})).await.unwrap();
    let finalize = async |finalizers: &[&str]| {
        let mut patch = manifest("web");
        patch.as_object_mut().unwrap().remove("spec");
        patch["metadata"]["finalizers"] = json!(finalizers);
        cluster.images().patch("web", &PatchParams::apply("b"), &Patch::Apply(&patch)).await.unwrap()
    };
    assert_eq!(finalize(&["amiops.dev/b"]).await.finalizers(), ["amiops.dev/a", "amiops.dev/b"]);
    assert_eq!(finalize(&[]).await.finalizers(), ["amiops.dev/a"]);
}

pub(crate) async fn apply_with_a_stale_resource_version_is_a_conflict(cluster: Cluster) {
    let made = cluster.image("web").await;
    cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    let mut patch = manifest("web");
    patch["metadata"]["resourceVersion"] = json!(version(&made));
    let applied = cluster.images().patch("web", &PatchParams::apply("b").force(), &Patch::Apply(&patch)).await;
    refused(applied, 409, "Conflict", "the object has been modified");
}

pub(crate) async fn apply_must_name_kind_and_version(cluster: Cluster) {
    cluster.image("web").await;
    let mut patch = manifest("web");
    patch["apiVersion"] = json!("amiops.dev/v1");
    let applied = cluster.images().patch("web", &PatchParams::apply("b"), &Patch::Apply(&patch)).await;
    let says = "invalid object type: amiops.dev/v1, Kind=MachineImage";
    refused(applied, 400, "BadRequest", says);
    patch = manifest("web");
    patch["metadata"]["managedFields"] = json!([{"manager": "a"}]);
    let applied = cluster.images().patch("web", &PatchParams::apply("b"), &Patch::Apply(&patch)).await;
    refused(applied, 400, "BadRequest", "metadata.managedFields must be nil");
}
