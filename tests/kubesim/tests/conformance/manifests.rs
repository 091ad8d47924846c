//! The schema of the CRD: defaults, unknown fields, types and bounds.

use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{Cluster, manifest, object, refused};

/// The manifest with something else at a place of its spec.
fn with(place: &str, value: Value) -> Value {
    let mut manifest = manifest("web");
    if let Some(place) = manifest.pointer_mut(place) {
        *place = value;
        return manifest;
    }
    let (parent, field) = place.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap()[field] = value;
    manifest
}

pub(crate) async fn defaults_are_filled_in(cluster: Cluster) {
    let made = cluster.image("web").await;
    let spec = &made.data["spec"];
    assert_eq!(spec["deletionPolicy"], "Retain");
    assert_eq!(spec["interval"], "10m");
    assert_eq!(spec["nameTemplate"], "{name}-{version}");
    assert_eq!(spec["suspend"], false);
    assert_eq!(spec["versions"][0]["source"]["image"]["adopt"], false);
    assert!(spec.get("tags").is_none() && spec.get("channels").is_none());
}

pub(crate) async fn the_default_status_says_that_nothing_was_observed(cluster: Cluster) {
    let made = cluster.image("web").await;
    assert_eq!(made.data["status"], json!({"observedGeneration": -1}));
    assert_eq!(cluster.get("web").await.data["status"], json!({"observedGeneration": -1}));
}

pub(crate) async fn unknown_fields_are_dropped(cluster: Cluster) {
    let mut manifest = with("/spec/versions/0/unknown", json!(1));
    manifest["spec"]["unknown"] = json!({"a": 1});
    manifest["unknown"] = json!(1);
    manifest["metadata"]["unknown"] = json!(1);
    let made: Value = serde_json::to_value(cluster.create(&manifest).await.unwrap()).unwrap();
    assert!(made.get("unknown").is_none() && made["metadata"].get("unknown").is_none());
    assert!(made["spec"].get("unknown").is_none() && made["spec"]["versions"][0].get("unknown").is_none());
}

pub(crate) async fn unknown_fields_are_refused_when_validation_is_strict(cluster: Cluster) {
    let path =
        format!("/apis/amiops.dev/v1alpha1/namespaces/{}/machineimages?fieldValidation=Strict", cluster.namespace);
    let create = async |manifest: Value| {
        let request = http::Request::post(&path).header("content-type", "application/json");
        cluster.client.request::<DynamicObject>(request.body(manifest.to_string().into_bytes()).unwrap()).await
    };
    let says = "strict decoding error: unknown field \"spec.versions[0].unknown\"";
    refused(create(with("/spec/versions/0/unknown", json!(1))).await, 400, "BadRequest", says);
    refused(create(with("/unknown", json!(1))).await, 400, "BadRequest", "unknown field \"unknown\"");
    create(manifest("web")).await.unwrap();
    let strict = PatchParams::default().validation_strict();
    let patch = json!({"spec": {"unknown": 1}});
    let patched = cluster.images().patch("web", &strict, &Patch::Merge(&patch)).await;
    refused(patched, 422, "Invalid", "strict decoding error: unknown field \"spec.unknown\"");
}

pub(crate) async fn nulls_give_way_to_defaults(cluster: Cluster) {
    let mut manifest = with("/spec/deletionPolicy", Value::Null);
    manifest["spec"]["tags"] = Value::Null;
    manifest["spec"]["channels"] = Value::Null;
    manifest["spec"]["retention"] = Value::Null;
    let made = cluster.create(&manifest).await.unwrap();
    let spec = &made.data["spec"];
    assert_eq!(spec["deletionPolicy"], "Retain");
    assert!(spec.get("tags").is_none() && spec.get("channels").is_none(), "{spec}");
    // It may be null, so it stays.
    assert_eq!(spec.get("retention"), Some(&Value::Null));
}

pub(crate) async fn wrong_types_are_refused(cluster: Cluster) {
    let says = "MachineImage.amiops.dev \"web\" is invalid: [spec.suspend: Invalid value: \"string\": spec.suspend in body must \
                be of type boolean: \"string\", <nil>: Invalid value: null: some validation rules were not checked because the \
                object was invalid; correct the existing errors to complete validation]";
    refused(cluster.create(&with("/spec/suspend", json!("yes"))).await, 422, "Invalid", says);
    let says = "spec.regions: Invalid value: \"object\": spec.regions in body must be of type array: \"object\"";
    refused(cluster.create(&with("/spec/regions", json!({}))).await, 422, "Invalid", says);
    let says = "spec.versions[0].version: Invalid value: \"number\": spec.versions[0].version in body must be of type string: \"number\"";
    refused(cluster.create(&with("/spec/versions/0/version", json!(1.4))).await, 422, "Invalid", says);
    let says = "spec.retention.keepLast: Invalid value: \"number\": spec.retention.keepLast in body must be of type integer: \"number\"";
    refused(cluster.create(&with("/spec/retention", json!({"keepLast": 1.5}))).await, 422, "Invalid", says);
    cluster.image("web").await;
    let labels = json!({"metadata": {"labels": {"a": 1}}});
    refused(cluster.merge("web", &labels).await, 422, "Invalid", "patch: Invalid value: ");
}

pub(crate) async fn what_is_required_must_be_there(cluster: Cluster) {
    let status =
        refused(cluster.create(&with("/spec", json!({}))).await, 422, "Invalid", "spec.regions: Required value");
    assert!(status.message.contains("spec.versions: Required value"), "{}", status.message);
    let causes = status.details.unwrap().causes;
    let cause = causes.iter().find(|cause| cause.field == "spec.regions").unwrap();
    assert_eq!((cause.reason.as_str(), cause.message.as_str()), ("FieldValueRequired", "Required value"));
    let mut without = manifest("web");
    without.as_object_mut().unwrap().remove("spec");
    refused(cluster.create(&without).await, 422, "Invalid", "spec: Required value");
}

pub(crate) async fn bounds_are_kept(cluster: Cluster) {
    let says = "spec.retention.keepLast: Invalid value: 1001: spec.retention.keepLast in body should be less than or equal to 1000";
    refused(cluster.create(&with("/spec/retention", json!({"keepLast": 1001}))).await, 422, "Invalid", says);
    let says = "spec.retention.keepLast: Invalid value: -1: spec.retention.keepLast in body should be greater than or equal to 0";
    refused(cluster.create(&with("/spec/retention", json!({"keepLast": -1}))).await, 422, "Invalid", says);
    let says = "spec.versions[0].version: Too long: may not be more than 63 bytes";
    refused(cluster.create(&with("/spec/versions/0/version", json!("1".repeat(64)))).await, 422, "Invalid", says);
    let says = "spec.versions[0].version: Invalid value: \"\": spec.versions[0].version in body should be at least 1 chars long";
    refused(cluster.create(&with("/spec/versions/0/version", json!(""))).await, 422, "Invalid", says);
    let regions: Vec<_> = (1..=41).map(|n| json!({"region": format!("eu-west-{n}")})).collect();
    let says = "spec.regions: Too many: 41: must have at most 40 items";
    refused(cluster.create(&with("/spec/regions", json!(regions))).await, 422, "Invalid", says);
    let tags: serde_json::Map<_, _> = (0..41).map(|n| (format!("t{n}"), json!("v"))).collect();
    let says = "spec.tags: Too many: 41: must have at most 40 items";
    refused(cluster.create(&with("/spec/tags", json!(tags))).await, 422, "Invalid", says);
}

pub(crate) async fn choices_are_kept(cluster: Cluster) {
    let says = "spec.deletionPolicy: Unsupported value: \"Keep\": supported values: \"Retain\", \"Delete\"";
    let status = refused(cluster.create(&with("/spec/deletionPolicy", json!("Keep"))).await, 422, "Invalid", says);
    assert_eq!(status.details.unwrap().causes[0].reason, "FieldValueNotSupported");
}

pub(crate) async fn a_key_of_a_list_map_is_there_once(cluster: Cluster) {
    let twice = json!([{"region": "us-east-1"}, {"region": "us-east-1"}]);
    let says = "spec.regions[1]: Duplicate value: {\"region\":\"us-east-1\"}";
    refused(cluster.create(&with("/spec/regions", twice)).await, 422, "Invalid", says);
}

pub(crate) async fn times_must_be_times(cluster: Cluster) {
    let says = "spec.versions[0].releasedAt: Invalid value: \"yesterday\": spec.versions[0].releasedAt in body must be of type \
                date-time: \"yesterday\"";
    refused(cluster.create(&with("/spec/versions/0/releasedAt", json!("yesterday"))).await, 422, "Invalid", says);
    let made = cluster.create(&with("/spec/versions/0/releasedAt", json!("2026-11-20T09:00:00+01:00"))).await.unwrap();
    assert_eq!(made.data["spec"]["versions"][0]["releasedAt"], "2026-11-20T09:00:00+01:00");
}

pub(crate) async fn times_are_not_looked_at_closely(cluster: Cluster) {
    let dry = PostParams { dry_run: true, ..Default::default() };
    let taken = async |time: &str| {
        let manifest = with("/spec/versions/0/releasedAt", json!(time));
        cluster.images().create(&dry, &object(&manifest)).await.is_ok()
    };
    for time in [
        "2026-11-20T09:00:00+99:99",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-11-20t09:00:00,123456789123z",
        "2026-11-20T09:00:00Zt",
    ] {
        assert!(taken(time).await, "{time} is refused");
    }
    for time in [
        "2026-11-20T23:59:60Z",
        "2026-11-20T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "-000001-01-01T00:00:00Z",
        "20261120T090000Z",
        "2026-11-20 09:00:00Z",
        "2026-11-20T09:00:00",
        "2026-11-20",
    ] {
        assert!(!taken(time).await, "{time} is taken");
    }
}

pub(crate) async fn whole_numbers_are_read_back_as_such(cluster: Cluster) {
    let made = cluster.create(&with("/spec/retention", json!({"keepLast": 2.0}))).await.unwrap();
    assert_eq!(made.data["spec"]["retention"]["keepLast"], json!(2));
    assert_eq!(cluster.get("web").await.data["spec"]["retention"]["keepLast"], json!(2));
    let says = "spec.retention.keepLast: Invalid value: \"number\": spec.retention.keepLast in body must be of type integer: \"number\"";
    refused(cluster.create(&with("/spec/retention", json!({"keepLast": 1e300}))).await, 422, "Invalid", says);
}

pub(crate) async fn the_kind_must_be_right(cluster: Cluster) {
    let mut wrong = manifest("web");
    wrong["kind"] = json!("Machine");
    refused(cluster.create(&wrong).await, 422, "Invalid", "kind: Invalid value: \"Machine\": must be MachineImage");
    wrong = manifest("web");
    wrong["apiVersion"] = json!("amiops.dev/v1");
    let says =
        "the API version in the data (amiops.dev/v1) does not match the expected API version (amiops.dev/v1alpha1)";
    refused(cluster.create(&wrong).await, 400, "BadRequest", says);
}

pub(crate) async fn the_status_has_a_schema_too(cluster: Cluster) {
    cluster.image("web").await;
    let made = cluster.merge("web", &json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    let patch = async |status: Value| {
        let patch = json!({"status": status});
        cluster.images().patch_status("web", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    let says = "status.replicas: Invalid value: \"integer\": replicas in body must be of type string: \"integer\"";
    refused(patch(json!({"replicas": 3})).await, 422, "Invalid", says);
    let condition = json!({"type": "Ready", "status": "Yes", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let says =
        "status.conditions[0].status: Unsupported value: \"Yes\": supported values: \"True\", \"False\", \"Unknown\"";
    refused(patch(json!({"conditions": [condition]})).await, 422, "Invalid", says);
    let says = "status.conditions[0].lastTransitionTime: Required value";
    refused(patch(json!({"conditions": [{"type": "Ready"}]})).await, 422, "Invalid", says);
    let dropped = patch(json!({"unknown": 1})).await.unwrap();
    assert_eq!(dropped.resource_version(), made.resource_version());
    assert_eq!(object(&serde_json::to_value(&dropped).unwrap()), made);
}
