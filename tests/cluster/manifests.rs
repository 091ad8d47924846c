//! A manifest that is wrong gets a sentence; the same one from the API server and from `amiops plan`.

use std::collections::BTreeSet;

use axum::http::Request;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::fixtures::binary::amiops;
use crate::fixtures::{Stage, cluster, manifest};

/// A change that makes a manifest wrong, and part of the sentence that says so.
type Case = (&'static str, fn(&mut Value));

/// One case at least for each rule.
const RULES: &[Case] = &[
    ("metadata.name may have 63 characters at most", |m| m["metadata"]["name"] = json!("a".repeat(64))),
    ("is longer than the 128 characters that EC2 allows: shorten the template", |m| {
        m["spec"]["nameTemplate"] = json!("{name}-{version}".to_owned() + &"x".repeat(112));
        m["metadata"]["name"] = json!("a".repeat(20));
    }),
    ("list at least one version; to have every image removed", |m| {
        m["spec"]["versions"] = json!([]);
        m["spec"]["channels"] = json!([]);
    }),
    ("list at least one region", |m| m["spec"]["regions"] = json!([])),
    ("a channel points to a version that spec.versions does not list", |m| {
        m["spec"]["channels"][0]["version"] = json!("9.9");
    }),
    ("two channels publish to the same ssmParameter", |m| {
        let mut second = m["spec"]["channels"][0].clone();
        second["name"] = json!("second");
        m["spec"]["channels"].as_array_mut().unwrap().push(second);
    }),
    ("so spec.regions must list that region", |m| {
        m["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(true);
        m["spec"]["regions"] = json!([{"region": "eu-west-1"}]);
    }),
    ("an image with adopt: true can be the source of one version only", |m| {
        m["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(true);
        m["spec"]["versions"][1]["source"] = m["spec"]["versions"][0]["source"].clone();
    }),
    ("a version is made of letters, digits, '.', '_' and '-'", |m| m["spec"]["versions"][1]["version"] = json!("1 1")),
    ("an image id is 'ami-' and 8 or 17 hexadecimal digits", |m| {
        m["spec"]["versions"][0]["source"]["image"]["id"] = json!("ami-12345");
    }),
    ("a region is a name like eu-west-1 (not an availability zone", |m| {
        m["spec"]["regions"][1]["region"] = json!("eu-west-1a");
    }),
    ("kmsKeyId is a key id, a key ARN, an alias ARN, or 'alias/' and a name", |m| {
        m["spec"]["regions"][0]["kmsKeyId"] = json!("golden");
    }),
    ("kmsKeyId names a key of another region", |m| {
        m["spec"]["regions"][0]["kmsKeyId"] = json!("arn:aws:kms:eu-west-1:111111111111:alias/golden");
    }),
    ("nameTemplate must contain {version}", |m| m["spec"]["nameTemplate"] = json!("{name}")),
    ("nameTemplate knows the placeholders {name}, {namespace} and {version} only", |m| {
        m["spec"]["nameTemplate"] = json!("{name}-{version}-{region}");
    }),
    ("nameTemplate may use letters, digits and the characters", |m| {
        m["spec"]["nameTemplate"] = json!("{name} {version}");
    }),
    ("a tag key has 1 to 127 characters", |m| m["spec"]["tags"] = json!({"k".repeat(128): "v"})),
    ("tag keys that begin with 'aws:' are reserved by AWS", |m| m["spec"]["tags"] = json!({"AWS:x": "v"})),
    ("tag keys that begin with 'amiops.dev/' are amiops's own", |m| m["spec"]["tags"] = json!({"amiops.dev/x": "v"})),
    ("a channel name is made of lower case letters, digits and '-'", |m| {
        m["spec"]["channels"][0]["name"] = json!("Prod");
    }),
    ("ssmParameter is a full path like /golden/web/prod", |m| publish_to(m, "golden/web")),
    ("ssmParameter may not begin with /aws or /ssm", |m| publish_to(m, "/aws/web")),
    ("ssmParameter may have 15 levels at most", |m| publish_to(m, &"/a".repeat(16))),
    ("interval is a duration between 1m and 24h", |m| m["spec"]["interval"] = json!("30s")),
    ("interval is a duration between 1m and 24h", |m| m["spec"]["interval"] = json!("soon")),
];

/// What the schema bounds without a rule.
const BOUNDS: &[Case] = &[
    ("spec.versions[2]: Duplicate value", |m| repeat(m, "versions", 1)),
    ("spec.regions[2]: Duplicate value", |m| repeat(m, "regions", 1)),
    ("spec.channels[1]: Duplicate value", |m| repeat(m, "channels", 1)),
    ("spec.versions: Too many: 102: must have at most 100 items", |m| repeat(m, "versions", 100)),
    ("spec.regions: Too many: 42: must have at most 40 items", |m| repeat(m, "regions", 40)),
    ("spec.channels: Too many: 21: must have at most 20 items", |m| repeat(m, "channels", 20)),
    ("spec.tags: Too many: 41: must have at most 40 items", |m| {
        m["spec"]["tags"] = (0..41).map(|number| (format!("key-{number}"), json!("v"))).collect();
    }),
    ("spec.tags.k: Too long: may not be more than 255 bytes", |m| m["spec"]["tags"] = json!({"k": "v".repeat(256)})),
    ("spec.versions[0].version: Too long: may not be more than 63 bytes", |m| {
        m["spec"]["versions"][0]["version"] = json!("1".repeat(64));
    }),
    (
        "spec.versions[0].version: Invalid value: \"\": spec.versions[0].version in body should be at least 1 chars",
        |m| {
            m["spec"]["versions"][0]["version"] = json!("");
        },
    ),
    ("spec.versions[0].notes: Too long", |m| m["spec"]["versions"][0]["notes"] = json!("n".repeat(4097))),
    ("spec.versions[0].releasedAt", |m| m["spec"]["versions"][0]["releasedAt"] = json!("yesterday")),
    ("spec.versions[0].source: Required value", |m| {
        m["spec"]["versions"][0].as_object_mut().unwrap().remove("source");
    }),
    ("spec.nameTemplate: Too long", |m| m["spec"]["nameTemplate"] = json!("{version}".to_owned() + &"x".repeat(128))),
    ("spec.regions[0].kmsKeyId: Too long", |m| m["spec"]["regions"][0]["kmsKeyId"] = json!("k".repeat(513))),
    ("spec.channels[0].publish.ssmParameter: Too long", |m| publish_to(m, &"/a".repeat(451))),
    ("keepLast: Invalid value: 1001: spec.retention.keepLast in body should be less than or equal to 1000", |m| {
        m["spec"]["retention"] = json!({"keepLast": 1001});
    }),
    ("keepLast in body should be greater than or equal to 0", |m| m["spec"]["retention"] = json!({"keepLast": -1})),
    ("spec.deletionPolicy: Unsupported value: \"Orphan\": supported values: \"Retain\", \"Delete\"", |m| {
        m["spec"]["deletionPolicy"] = json!("Orphan");
    }),
    ("spec: Required value", |m| drop(m.as_object_mut().unwrap().remove("spec"))),
    ("unknown field \"spec.region\"", |m| m["spec"]["region"] = json!("eu-west-1")),
];

fn publish_to(manifest: &mut Value, parameter: &str) {
    manifest["spec"]["channels"][0]["publish"]["ssmParameter"] = json!(parameter);
}

/// Repeats the first entry of a list so many times more.
fn repeat(manifest: &mut Value, list: &str, times: usize) {
    let list = manifest["spec"][list].as_array_mut().unwrap();
    list.extend(vec![list[0].clone(); times]);
}

/// A manifest that is as it should be.
fn right() -> Value {
    let mut manifest = manifest("web", &["1.0", "1.1"], &["us-east-1", "eu-west-1"]);
    manifest["spec"]["channels"] =
        json!([{"name": "prod", "version": "1.1", "publish": {"ssmParameter": "/web/prod"}}]);
    manifest
}

fn wrong(change: fn(&mut Value)) -> Value {
    let mut manifest = right();
    change(&mut manifest);
    manifest
}

/// What the API server says to a manifest, as it says it to kubectl; `None` if it would take it.
async fn refusal(stage: &Stage, manifest: &Value) -> Option<String> {
    let path = format!("/apis/amiops.dev/v1alpha1/namespaces/{}/machineimages", stage.namespace);
    let uri = format!("{path}?dryRun=All&fieldValidation=Strict");
    let request = Request::post(uri).header("content-type", "application/json");
    let answer = stage.client.request_text(request.body(manifest.to_string().into_bytes()).unwrap()).await;
    answer.err().map(|error| error.to_string())
}

#[tokio::test]
async fn the_api_server_refuses_each_wrong_manifest_with_a_sentence() {
    let stage = Stage::new().await;
    assert_eq!(refusal(&stage, &right()).await, None);
    let mut surprises = Vec::new();
    for (sentence, change) in RULES.iter().chain(BOUNDS) {
        let said = refusal(&stage, &wrong(*change)).await;
        if !said.as_ref().is_some_and(|said| said.contains(sentence)) {
            surprises.push(format!("'{sentence}' was not said, but: {said:?}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[tokio::test]
async fn the_plan_command_refuses_it_with_the_same_sentence() {
    let stage = Stage::new().await;
    let mut surprises = Vec::new();
    for (sentence, change) in RULES {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wrong(*change).to_string()).unwrap();
        let output = amiops(&stage, &["plan", "-f"], &[file.path()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(1) || !said.contains(sentence) {
            surprises.push(format!("'{sentence}' was not said, but: {said}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert_eq!(stage.sim.calls(), [], "a wrong manifest costs no call");
}

#[test]
fn every_rule_of_the_definition_has_a_case() {
    let definition = serde_json::to_value(amiops::api::crd()).unwrap();
    let mut messages = BTreeSet::new();
    collect_messages(&definition, &mut messages);
    assert!(messages.len() > 20, "{messages:?}");
    messages.retain(|message| !RULES.iter().any(|(sentence, _)| message.contains(sentence)));
    assert!(messages.is_empty(), "no case for: {messages:#?}");
}

fn collect_messages(value: &Value, messages: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let rules = members.get("x-kubernetes-validations").and_then(Value::as_array);
            messages.extend(rules.into_iter().flatten().map(|rule| rule["message"].as_str().unwrap().to_owned()));
            members.values().for_each(|member| collect_messages(member, messages));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_messages(item, messages)),
        _ => {}
    }
}

#[tokio::test]
async fn every_field_is_explained() {
    let explained = cluster().kubectl(&["explain", "machineimages.spec", "--recursive"], "");
    let fields: Vec<_> = explained.lines().skip_while(|line| !line.starts_with("FIELDS")).collect();
    assert!(fields.len() > 20, "{explained}");
    let kubectl = |path: &str| cluster().kubectl(&["explain", path], "");
    for path in
        ["versions.source.image.adopt", "regions.kmsKeyId", "channels.publish.ssmParameter", "retention.keepLast"]
    {
        let text = kubectl(&format!("machineimages.spec.{path}"));
        assert!(text.contains("DESCRIPTION:") && !text.contains("<no description>"), "{text}");
    }
    let mut bare = Vec::new();
    find_bare(
        "",
        &serde_json::to_value(amiops::api::crd()).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        &mut bare,
    );
    assert!(bare.is_empty(), "no description: {bare:?}");
}

fn find_bare(path: &str, schema: &Value, bare: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().unwrap_or_default().is_empty() {
            bare.push(path.clone());
        }
        find_bare(&path, field, bare);
        find_bare(&path, &field["items"], bare);
    }
}
