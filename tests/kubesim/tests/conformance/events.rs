//! Events of events.k8s.io/v1.

use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Event as Told, EventType, Recorder, Reporter};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::harness::{Cluster, machine_images, refused};

fn events(cluster: &Cluster) -> Api<Event> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

fn event(cluster: &Cluster) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "web.1", "namespace": cluster.namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "CopyStarted", "action": "Copy/us-east-1",
        "note": "ami-1 is copied", "reportingController": "amiops", "reportingInstance": "amiops-0",
        "regarding": {"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "name": "web", "namespace": cluster.namespace, "uid": "1"},
    })
}

async fn create(cluster: &Cluster, event: &Value) -> kube::Result<Event> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", cluster.namespace);
    let request = http::Request::post(path).header("content-type", "application/json");
    cluster.client.request(request.body(event.to_string().into_bytes()).unwrap()).await
}

pub(crate) async fn an_event_is_created_and_becomes_a_series(cluster: Cluster) {
    let made = create(&cluster, &event(&cluster)).await.unwrap();
    assert_eq!(made.note.as_deref(), Some("ami-1 is copied"));
    assert_eq!(made.regarding.clone().unwrap().name.as_deref(), Some("web"));
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}});
    let patched = events(&cluster).patch("web.1", &PatchParams::default(), &Patch::Merge(&series)).await.unwrap();
    assert_eq!(patched.series.unwrap().count, 2);
    let says = "events.k8s.io \"web.1\" already exists";
    refused(create(&cluster, &event(&cluster)).await, 409, "AlreadyExists", says);
    refused(
        events(&cluster).patch("web.2", &PatchParams::default(), &Patch::Merge(&series)).await,
        404,
        "NotFound",
        "\"web.2\" not found",
    );
}

pub(crate) async fn an_event_is_checked(cluster: Cluster) {
    let with = |field: &str, value: Value| {
        let mut event = event(&cluster);
        event[field] = value;
        event
    };
    for (field, value, says) in [
        ("note", json!("a".repeat(1025)), "message: Invalid value: \"\": can have at most 1024 characters"),
        ("reason", json!("a".repeat(129)), "reason: Invalid value: \"\": can have at most 128 characters"),
        ("action", json!("a".repeat(129)), "action: Invalid value: \"\": can have at most 128 characters"),
        ("reason", json!(""), "reason: Required value"),
        ("action", json!(""), "action: Required value"),
        ("reportingInstance", json!(""), "reportingInstance: Required value"),
        ("reportingController", json!(""), "reportingController: Required value"),
        ("reportingController", json!("a b"), "reportingController: Invalid value: \"a b\": name part must consist of"),
        ("type", json!("Odd"), "type: Invalid value: \"\": has invalid value: Odd"),
        ("regarding", json!({}), "involvedObject.namespace: Invalid value: \"\": does not match event.namespace"),
        (
            "series",
            json!({"count": 1, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}),
            "series.count: Invalid value: \"\": should be at least 2",
        ),
    ] {
        refused(create(&cluster, &with(field, value)).await, 422, "Invalid", says);
    }
    let mut timeless = event(&cluster);
    timeless.as_object_mut().unwrap().remove("eventTime");
    refused(create(&cluster, &timeless).await, 422, "Invalid", "eventTime: Required value");
    // A note is counted in bytes.
    refused(
        create(&cluster, &with("note", json!("ä".repeat(513)))).await,
        422,
        "Invalid",
        "can have at most 1024 characters",
    );
    create(&cluster, &with("note", json!("ä".repeat(512)))).await.unwrap();
}

pub(crate) async fn an_event_tells_one_thing_for_ever(cluster: Cluster) {
    create(&cluster, &event(&cluster)).await.unwrap();
    for (field, says) in
        [("note", "message"), ("reason", "reason"), ("action", "action"), ("reportingInstance", "reportingInstance")]
    {
        let patch = json!({field: "other"});
        let says = format!("{says}: Invalid value: \"other\": field is immutable");
        refused(
            events(&cluster).patch("web.1", &PatchParams::default(), &Patch::Merge(&patch)).await,
            422,
            "Invalid",
            &says,
        );
    }
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    events(&cluster).patch("web.1", &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();
}

pub(crate) async fn the_recorder_of_kube_is_served(cluster: Cluster) {
    let image = cluster.image("web").await;
    let reporter = Reporter { controller: "amiops".into(), instance: Some("amiops-0".into()) };
    let recorder = Recorder::new(cluster.client.clone(), reporter);
    let told = |note: &str| Told {
        type_: EventType::Warning,
        reason: "Denied".into(),
        note: Some(note.into()),
        action: "Copy".into(),
        secondary: None,
    };
    let reference = image.object_ref(&machine_images());
    for note in ["one", "two", "three"] {
        recorder.publish(&told(note), &reference).await.unwrap();
    }
    let listed = events(&cluster).list(&Default::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let event = &listed.items[0];
    assert_eq!((event.note.as_deref(), event.series.as_ref().map(|s| s.count)), (Some("one"), Some(3)));
    assert!(event.name_any().starts_with("web."));
    assert!(events(&cluster).create(&PostParams::default(), event).await.is_err());
}
