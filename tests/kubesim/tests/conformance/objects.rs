//! Creating, reading, replacing.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::harness::{Cluster, manifest, object, refusal, refused, spec, version};

pub(crate) async fn what_is_created_can_be_read(cluster: Cluster) {
    let made = cluster.image("web").await;
    assert_eq!(made, cluster.get("web").await);
    assert_eq!(made.namespace().as_deref(), Some(cluster.namespace.as_str()));
    assert_eq!(made.metadata.generation, Some(1));
    assert_eq!(made.uid().unwrap().len(), 36);
    assert!(version(&made).parse::<u64>().unwrap() > 0);
    let age = jiff::Timestamp::now().duration_since(made.creation_timestamp().unwrap().0);
    assert!(age.as_secs() < 60);
    let types = made.types.unwrap();
    assert_eq!((types.api_version.as_str(), types.kind.as_str()), ("amiops.dev/v1alpha1", "MachineImage"));
}

pub(crate) async fn the_server_names_what_is_created_with_a_prefix(cluster: Cluster) {
    let manifest = json!({
        "apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "metadata": {"generateName": "web-"}, "spec": spec(),
    });
    let (one, other) = (cluster.create(&manifest).await.unwrap(), cluster.create(&manifest).await.unwrap());
    assert_ne!(one.name_any(), other.name_any());
    assert!(one.name_any().starts_with("web-") && one.name_any().len() == 9, "{}", one.name_any());
    let mut nameless = manifest;
    nameless["metadata"] = json!({});
    refused(
        cluster.create(&nameless).await,
        422,
        "Invalid",
        "metadata.name: Required value: name or generateName is required",
    );
}

pub(crate) async fn a_name_is_taken_once(cluster: Cluster) {
    cluster.image("web").await;
    let again = cluster.create(&manifest("web")).await;
    refused(again, 409, "AlreadyExists", "machineimages.amiops.dev \"web\" already exists");
}

pub(crate) async fn a_namespace_must_exist(cluster: Cluster) {
    let elsewhere = Cluster { namespace: "nowhere".into(), ..cluster };
    refused(elsewhere.create(&manifest("web")).await, 404, "NotFound", "namespaces \"nowhere\" not found");
    let mut other = manifest("web");
    other["metadata"]["namespace"] = json!("default");
    let says = "the namespace of the provided object does not match the namespace sent on the request";
    refused(elsewhere.create(&other).await, 400, "BadRequest", says);
}

pub(crate) async fn what_is_not_there_is_not_found(cluster: Cluster) {
    let status =
        refused(cluster.images().get("web").await, 404, "NotFound", "machineimages.amiops.dev \"web\" not found");
    let details = status.details.unwrap();
    assert_eq!(
        (details.name.as_str(), details.group.as_str(), details.kind.as_str()),
        ("web", "amiops.dev", "machineimages")
    );
    assert!(cluster.images().get_opt("web").await.unwrap().is_none());
    let replaced = cluster.images().replace("web", &PostParams::default(), &object(&manifest("web"))).await;
    refused(replaced, 404, "NotFound", "machineimages.amiops.dev \"web\" not found");
    for unknown in ["/apis/amiops.dev/v1alpha1/machines", "/apis/amiops.dev/v1/machineimages"] {
        assert_eq!(refusal(cluster.raw(unknown).await).code, 404);
    }
}

pub(crate) async fn a_replacement_needs_the_current_resource_version(cluster: Cluster) {
    let made = cluster.image("web").await;
    let replace = async |object| cluster.images().replace("web", &PostParams::default(), &object).await;
    let mut next = made.clone();
    next.data["spec"]["suspend"] = json!(true);
    let changed = replace(next.clone()).await.unwrap();
    assert_ne!(version(&made), version(&changed));
    let says = "Operation cannot be fulfilled on machineimages.amiops.dev \"web\": the object has been modified; please apply \
                your changes to the latest version and try again";
    let status = refused(replace(next.clone()).await, 409, "Conflict", says);
    assert_eq!(status.details.unwrap().kind, "machineimages");
    next.metadata.resource_version = None;
    refused(
        replace(next).await,
        422,
        "Invalid",
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    );
}

pub(crate) async fn a_replacement_of_another_uid_is_a_conflict(cluster: Cluster) {
    let mut other = cluster.image("web").await;
    other.metadata.uid = Some("11111111-2222-3333-4444-555555555555".into());
    let replaced = cluster.images().replace("web", &PostParams::default(), &other).await;
    refused(
        replaced,
        409,
        "Conflict",
        "Precondition failed: UID in precondition: 11111111-2222-3333-4444-555555555555",
    );
}

pub(crate) async fn a_dry_run_changes_nothing(cluster: Cluster) {
    let dry = PostParams { dry_run: true, ..Default::default() };
    let tried = cluster.images().create(&dry, &object(&manifest("web"))).await.unwrap();
    assert_eq!(tried.data["spec"]["deletionPolicy"], "Retain");
    assert!(cluster.images().get_opt("web").await.unwrap().is_none());
    let made = cluster.image("web").await;
    let suspend = json!({"spec": {"suspend": true}});
    let tried =
        cluster.images().patch("web", &PatchParams::default().dry_run(), &Patch::Merge(&suspend)).await.unwrap();
    assert_eq!(tried.data["spec"]["suspend"], true);
    assert_eq!(cluster.get("web").await, made);
}

pub(crate) async fn metadata_can_be_had_alone(cluster: Cluster) {
    let made = cluster.image("web").await;
    let alone = cluster.images().get_metadata("web").await.unwrap();
    assert_eq!(alone.metadata, made.metadata);
    assert_eq!(alone.types.unwrap().kind, "PartialObjectMetadata");
    let patch = json!({"metadata": {"annotations": {"a": "b"}}});
    let patched = cluster.images().patch_metadata("web", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(patched.annotations()["a"], "b");
    let listed = cluster.images().list_metadata(&Default::default()).await.unwrap();
    assert_eq!(listed.items[0].metadata, patched.metadata);
}

pub(crate) async fn a_namespace_is_an_object_too(cluster: Cluster) {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    assert_eq!(namespaces.get(&cluster.namespace).await.unwrap().status.unwrap().phase.as_deref(), Some("Active"));
    let again = serde_json::from_value(json!({"metadata": {"name": cluster.namespace}})).unwrap();
    let says = format!("namespaces \"{}\" already exists", cluster.namespace);
    refused(namespaces.create(&PostParams::default(), &again).await, 409, "AlreadyExists", &says);
    let names: Vec<_> = namespaces.list(&Default::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert!(names.contains(&"default".to_owned()) && names.contains(&cluster.namespace));
}
