//! `amiops plan`: what a pass would do and why, without a cluster and without doing it.

use std::path::Path;
use std::process::Output;

use ec2sim::{Effect, Fault};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::fixtures::aws::writes;
use crate::fixtures::binary::amiops;
use crate::fixtures::{InProcess, Stage, manifest, source_id};

/// A manifest of the stage's namespace, as a file.
fn file(stage: &Stage, mut manifest: Value) -> NamedTempFile {
    manifest["metadata"]["namespace"] = json!(stage.namespace);
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    file
}

fn plan(stage: &Stage, output: &str, file: &Path) -> (i32, Output) {
    let result = amiops(stage, &["plan", "-o", output, "-f"], &[file]);
    (result.status.code().unwrap(), result)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn what_is_missing_is_told_with_its_reason_and_nothing_is_changed() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let file = file(&stage, manifest("web", &["1.0"], &["eu-west-1", "us-west-2"]));

    let (code, output) = plan(&stage, "text", file.path());
    assert_eq!(code, 2, "{output:?}");
    let told = text(&output.stdout);
    let source = source_id("1.0");
    assert!(told.contains(&format!("copy 1.0 from us-east-1/{source} to eu-west-1 as web-1.0")), "{told}");
    assert!(told.contains("because the region has no image of this version"), "{told}");
    assert!(told.ends_with("2 to do, 0 in the way\n"), "{told}");

    let (code, output) = plan(&stage, "json", file.path());
    assert_eq!(code, 2, "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let step = &told["objects"][0]["steps"][0];
    let expected = json!({"action": "Copy", "region": "eu-west-1", "version": "1.0", "reason": "Missing"});
    let parts = ["action", "region", "version", "reason"].map(|part| (part.to_owned(), step[part].clone()));
    assert_eq!(Value::Object(parts.into_iter().collect()), expected);
    assert_eq!(writes(&stage.sim), []);
}

#[tokio::test]
async fn when_all_is_as_it_should_be_there_is_nothing_to_do() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let manifest = manifest("web", &["1.0"], &["eu-west-1"]);
    let _controller = InProcess::start(&stage).await;
    stage.apply(&manifest).await;
    stage.until_ready("web").await;
    stage.sim.reset_calls();

    let (code, output) = plan(&stage, "text", file(&stage, manifest).path());
    assert_eq!(code, 0, "{output:?}");
    assert!(text(&output.stdout).contains("nothing to do"), "{output:?}");
    assert_eq!(writes(&stage.sim), []);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_too() {
    let stage = Stage::new().await;
    let file = file(&stage, manifest("web", &["1.0"], &["eu-west-1"]));
    let (code, output) = plan(&stage, "text", file.path());
    assert_eq!(code, 2, "{output:?}");
    assert!(text(&output.stdout).contains("was not found in us-east-1"), "{output:?}");

    let (code, output) = plan(&stage, "json", file.path());
    assert_eq!(code, 2, "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["objects"][0]["problems"][0]["reason"], "SourceNotFound");
}

#[tokio::test]
async fn a_region_that_cannot_be_seen_is_an_error() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("DescribeImages").region("eu-west-1"));
    let (code, output) = plan(&stage, "text", file(&stage, manifest("web", &["1.0"], &["eu-west-1"])).path());
    assert_eq!(code, 1, "{output:?}");
    assert!(text(&output.stderr).contains("could not be listed"), "{output:?}");
    assert!(text(&output.stdout).contains("UnauthorizedOperation"), "{output:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_the_file() {
    let stage = Stage::new().await;
    let (code, output) = plan(&stage, "text", Path::new("/no/such/file.yaml"));
    assert_eq!(code, 1);
    assert!(text(&output.stderr).contains("/no/such/file.yaml cannot be read"), "{output:?}");

    let other = file(&stage, json!({"apiVersion": "v1", "kind": "ConfigMap"}));
    let (code, output) = plan(&stage, "text", other.path());
    assert_eq!(code, 1);
    assert!(text(&output.stderr).contains("there is no MachineImage in the files"), "{output:?}");
}
