//! The rules (CEL) of the CRD.

use serde_json::{Value, json};

use crate::harness::{Cluster, manifest, refused, spec};

/// A spec that breaks a rule, and what the server says.
fn broken() -> Vec<(Value, &'static str)> {
    let with = |change: fn(&mut Value)| {
        let mut spec = spec();
        change(&mut spec);
        spec
    };
    vec![
        (
            with(|s| s["versions"] = json!([])),
            "spec: Invalid value: list at least one version; to have every image removed, set deletionPolicy: Delete and delete the object",
        ),
        (with(|s| s["regions"] = json!([])), "spec: Invalid value: list at least one region"),
        (
            with(|s| s["versions"][0]["version"] = json!("-1")),
            "spec.versions[0].version: Invalid value: \"-1\": a version is made of letters, digits, '.', '_' and '-', and begins with a letter or digit, like 1.4.2",
        ),
        (
            with(|s| s["versions"][0]["source"]["image"]["id"] = json!("ami-1")),
            "spec.versions[0].source.image.id: Invalid value: \"ami-1\": an image id is 'ami-' and 8 or 17 hexadecimal digits, like ami-0aa11bb22cc33dd44",
        ),
        (
            with(|s| s["versions"][0]["source"]["image"]["region"] = json!("eu-west-1a")),
            "spec.versions[0].source.image.region: Invalid value: \"eu-west-1a\": a region is a name like eu-west-1 (not an availability zone such as eu-west-1a)",
        ),
        (
            with(|s| s["regions"][0]["region"] = json!("Europe")),
            "spec.regions[0].region: Invalid value: \"Europe\": a region is a name like eu-west-1 (not an availability zone such as eu-west-1a)",
        ),
        (
            with(|s| s["regions"][0]["kmsKeyId"] = json!("golden")),
            "spec.regions[0]: Invalid value: kmsKeyId is a key id, a key ARN, an alias ARN, or 'alias/' and a name",
        ),
        (
            with(|s| s["regions"][0]["kmsKeyId"] = json!("arn:aws:kms:eu-west-1:111122223333:alias/golden")),
            "spec.regions[0]: Invalid value: kmsKeyId names a key of another region: EC2 encrypts with a key of the region that the copy is made in",
        ),
        (
            with(|s| s["nameTemplate"] = json!("web")),
            "spec.nameTemplate: Invalid value: \"web\": nameTemplate must contain {version}: image names are unique in a region, so each version needs its own",
        ),
        (
            with(|s| s["nameTemplate"] = json!("{nam}-{version}")),
            "spec.nameTemplate: Invalid value: \"{nam}-{version}\": nameTemplate knows the placeholders {name}, {namespace} and {version} only",
        ),
        (
            with(|s| s["nameTemplate"] = json!("web {version}")),
            "spec.nameTemplate: Invalid value: \"web {version}\": nameTemplate may use letters, digits and the characters ( ) . / _ - beside its placeholders",
        ),
        (
            with(|s| {
                s["nameTemplate"] = json!(format!("{}-{{version}}", "a".repeat(100)));
                s["versions"][0]["version"] = json!("1".repeat(63));
            }),
            "is longer than the 128 characters that EC2 allows: shorten the template, the version or metadata.name",
        ),
        (with(|s| s["tags"] = json!({"": "a"})), "spec.tags: Invalid value: a tag key has 1 to 127 characters"),
        (
            with(|s| s["tags"] = json!({"AWS:a": "a"})),
            "spec.tags: Invalid value: tag keys that begin with 'aws:' are reserved by AWS: choose another key",
        ),
        (
            with(|s| s["tags"] = json!({"amiops.dev/owner": "a"})),
            "spec.tags: Invalid value: tag keys that begin with 'amiops.dev/' are amiops's own: choose another key",
        ),
        (
            with(|s| s["interval"] = json!("10")),
            "spec.interval: Invalid value: \"10\": interval is a duration between 1m and 24h, like 10m or 1h30m",
        ),
        (
            with(|s| s["interval"] = json!("59s")),
            "spec.interval: Invalid value: \"59s\": interval is a duration between 1m and 24h, like 10m or 1h30m",
        ),
        (
            with(|s| s["interval"] = json!("25h")),
            "spec.interval: Invalid value: \"25h\": interval is a duration between 1m and 24h, like 10m or 1h30m",
        ),
        (
            with(|s| s["channels"] = json!([{"name": "Prod", "version": "1.4.1"}])),
            "spec.channels[0].name: Invalid value: \"Prod\": a channel name is made of lower case letters, digits and '-', like prod",
        ),
        (
            with(|s| s["channels"] = json!([{"name": "prod", "version": "1.4.2"}])),
            "spec: Invalid value: a channel points to a version that spec.versions does not list: add that version, or point the channel to a listed one",
        ),
        (
            with(|s| {
                s["channels"] = json!([{"name": "prod", "version": "1.4.1", "publish": {"ssmParameter": "golden"}}])
            }),
            "spec.channels[0].publish.ssmParameter: Invalid value: \"golden\": ssmParameter is a full path like /golden/web/prod, of letters, digits, '_', '.', '-' and '/'",
        ),
        (
            with(|s| {
                s["channels"] = json!([{"name": "prod", "version": "1.4.1", "publish": {"ssmParameter": "/AWS/a"}}])
            }),
            "spec.channels[0].publish.ssmParameter: Invalid value: \"/AWS/a\": ssmParameter may not begin with /aws or /ssm: AWS reserves those paths",
        ),
        (
            with(|s| {
                s["channels"] =
                    json!([{"name": "prod", "version": "1.4.1", "publish": {"ssmParameter": "/a".repeat(16)}}])
            }),
            "ssmParameter may have 15 levels at most",
        ),
        (
            with(
                |s| s["channels"] = json!([{"name": "a", "version": "1.4.1", "publish": {"ssmParameter": "/a"}}, {"name": "b", "version": "1.4.1", "publish": {"ssmParameter": "/a"}}]),
            ),
            "spec: Invalid value: two channels publish to the same ssmParameter: give each channel a parameter of its own",
        ),
        (
            with(|s| {
                s["versions"][0]["source"]["image"] =
                    json!({"region": "eu-west-1", "id": "ami-0aa11bb22cc33dd44", "adopt": true})
            }),
            "spec: Invalid value: adopt: true makes the source the replica of its own region, so spec.regions must list that region",
        ),
        (
            with(|s| {
                let image = json!({"region": "us-east-1", "id": "ami-0aa11bb22cc33dd44", "adopt": true});
                s["versions"] =
                    json!([{"version": "1", "source": {"image": image}}, {"version": "2", "source": {"image": image}}]);
            }),
            "spec: Invalid value: an image with adopt: true can be the source of one version only",
        ),
    ]
}

pub(crate) async fn each_rule_refuses_with_its_sentence(cluster: Cluster) {
    for (spec, says) in broken() {
        let mut manifest = manifest("web");
        manifest["spec"] = spec;
        let status = refused(cluster.create(&manifest).await, 422, "Invalid", says);
        let whole = format!("MachineImage.amiops.dev \"web\" is invalid: {}", says);
        let exact = !says.starts_with("spec")
            || status.message == whole
            || status.message.starts_with("MachineImage.amiops.dev \"web\" is invalid: [");
        assert!(exact, "{:?} is not {whole:?}", status.message);
    }
    let long = "a".repeat(64);
    let says = "metadata.name may have 63 characters at most: it is part of the ownership tag of every image";
    refused(cluster.create(&manifest(&long)).await, 422, "Invalid", says);
    cluster.image("web").await;
}

pub(crate) async fn rules_wait_for_a_valid_object(cluster: Cluster) {
    let mut manifest = manifest("web");
    manifest["spec"]["regions"] = json!([]);
    manifest["spec"]["deletionPolicy"] = json!("Keep");
    let says = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid";
    let status = refused(cluster.create(&manifest).await, 422, "Invalid", says);
    assert!(!status.message.contains("list at least one region"), "{}", status.message);
    // What is merely out of bounds keeps nothing waiting.
    manifest["spec"]["deletionPolicy"] = json!("Retain");
    manifest["spec"]["retention"] = json!({"keepLast": -1});
    refused(cluster.create(&manifest).await, 422, "Invalid", "list at least one region");
}

pub(crate) async fn rules_hold_for_updates_too(cluster: Cluster) {
    cluster.image("web").await;
    let says = "spec: Invalid value: list at least one region";
    refused(cluster.merge("web", &json!({"spec": {"regions": []}})).await, 422, "Invalid", says);
    let says = "spec.interval: Invalid value: \"1s\": interval is a duration between 1m and 24h, like 10m or 1h30m";
    refused(cluster.merge("web", &json!({"spec": {"interval": "1s"}})).await, 422, "Invalid", says);
}
