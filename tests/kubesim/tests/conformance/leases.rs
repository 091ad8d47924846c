//! Leases, as an election uses them.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::harness::{Cluster, refused};

fn leases(cluster: &Cluster) -> Api<Lease> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

fn spec(holder: &str, second: u32) -> Value {
    json!({
        "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": format!("2026-01-01T00:00:{second:02}.123456Z"),
    })
}

fn lease(spec: Value) -> Lease {
    serde_json::from_value(json!({"metadata": {"name": "amiops"}, "spec": spec})).unwrap()
}

pub(crate) async fn a_lease_is_made_once(cluster: Cluster) {
    let leases = leases(&cluster);
    assert!(leases.get_opt("amiops").await.unwrap().is_none());
    let made = leases.create(&PostParams::default(), &lease(spec("a", 0))).await.unwrap();
    assert_eq!(made, leases.get("amiops").await.unwrap());
    assert_eq!(serde_json::to_value(made.spec.unwrap()).unwrap(), spec("a", 0));
    assert_eq!(made.metadata.generation, None);
    let says = "leases.coordination.k8s.io \"amiops\" already exists";
    refused(leases.create(&PostParams::default(), &lease(spec("b", 0))).await, 409, "AlreadyExists", says);
}

pub(crate) async fn a_lease_is_renewed_by_a_patch_with_its_resource_version(cluster: Cluster) {
    let leases = leases(&cluster);
    let made = leases.create(&PostParams::default(), &lease(spec("a", 0))).await.unwrap();
    let renew = async |from: &Lease, holder: &str, second| {
        let patch = json!({"metadata": {"resourceVersion": from.resource_version()}, "spec": spec(holder, second)});
        leases.patch("amiops", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    let renewed = renew(&made, "a", 5).await.unwrap();
    assert_ne!(renewed.resource_version(), made.resource_version());
    let says = "Operation cannot be fulfilled on leases.coordination.k8s.io \"amiops\": the object has been modified";
    refused(renew(&made, "b", 6).await, 409, "Conflict", says);
    let taken = renew(&renewed, "b", 7).await.unwrap();
    refused(renew(&renewed, "a", 8).await, 409, "Conflict", says);
    // What changes nothing is no renewal.
    assert_eq!(renew(&taken, "b", 7).await.unwrap().resource_version(), taken.resource_version());
}

pub(crate) async fn a_lease_is_released_and_taken_over(cluster: Cluster) {
    let leases = leases(&cluster);
    let made = leases.create(&PostParams::default(), &lease(spec("a", 0))).await.unwrap();
    let patch = json!({"metadata": {"resourceVersion": made.resource_version()}, "spec": {"holderIdentity": "", "leaseTransitions": 1}});
    let released = leases.patch("amiops", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let spec = released.spec.unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(15)));
    let nobody = json!({"spec": {"holderIdentity": null}});
    let released = leases.patch("amiops", &PatchParams::default(), &Patch::Merge(&nobody)).await.unwrap();
    assert_eq!(released.spec.unwrap().holder_identity, None);
    leases.delete("amiops", &Default::default()).await.unwrap();
    let patch = leases.patch("amiops", &PatchParams::default(), &Patch::Merge(&nobody)).await;
    refused(patch, 404, "NotFound", "leases.coordination.k8s.io \"amiops\" not found");
}

pub(crate) async fn a_lease_is_checked(cluster: Cluster) {
    let leases = leases(&cluster);
    let create = async |field: &str, value: Value| {
        let mut spec = spec("a", 0);
        spec[field] = value;
        leases.create(&PostParams::default(), &lease(spec)).await
    };
    let says = "Lease.coordination.k8s.io \"amiops\" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0";
    refused(create("leaseDurationSeconds", json!(0)).await, 422, "Invalid", says);
    let says = "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0";
    refused(create("leaseTransitions", json!(-1)).await, 422, "Invalid", says);
    create("leaseDurationSeconds", json!(1)).await.unwrap();
    for wrong in [json!({"holderIdentity": 5}), json!({"renewTime": "now"}), json!({"leaseDurationSeconds": "5"})] {
        let patch = json!({"spec": wrong});
        refused(
            leases.patch("amiops", &PatchParams::default(), &Patch::Merge(&patch)).await,
            422,
            "Invalid",
            "patch: Invalid value: ",
        );
    }
}

pub(crate) async fn a_put_makes_a_lease(cluster: Cluster) {
    let leases = leases(&cluster);
    let made = leases.replace("amiops", &PostParams::default(), &lease(spec("a", 0))).await.unwrap();
    let unconditional = leases.replace("amiops", &PostParams::default(), &lease(spec("b", 0))).await;
    refused(unconditional, 422, "Invalid", "metadata.resourceVersion: Invalid value: ");
    let mut next = made.clone();
    next.spec = lease(spec("b", 1)).spec;
    leases.replace("amiops", &PostParams::default(), &next).await.unwrap();
    refused(
        leases.replace("amiops", &PostParams::default(), &next).await,
        409,
        "Conflict",
        "the object has been modified",
    );
}
