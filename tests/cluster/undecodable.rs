//! An object that the schema accepts and the program cannot read.

use serde_json::json;

use crate::fixtures::{InProcess, Stage, manifest};

#[tokio::test]
async fn an_object_that_does_not_decode_is_told_of_and_spoils_no_other() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let mut odd = manifest("odd", &["1.0"], &["eu-west-1"]);
    // The API server's check of date-time leaves the offset to others.
    odd["spec"]["versions"][0]["releasedAt"] = json!("2026-11-20T09:00:00+99:99");
    let kubectl = |args: &[&str], input: &str| {
        crate::fixtures::cluster().kubectl(&[&["-n", &stage.namespace], args].concat(), input)
    };
    kubectl(&["create", "-f", "-"], &odd.to_string());

    let _controller = InProcess::start(&stage).await;
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    stage.until_event(&["Warning Undecodable", "does not decode", "time zone offset"]).await;
    stage.reconcile("web").await;

    let mended = r#"[{"op": "replace", "path": "/spec/versions/0/releasedAt", "value": "2026-11-20T09:00:00Z"}]"#;
    kubectl(&["patch", "machineimage", "odd", "--type=json", "-p", mended], "");
    stage.until_ready("odd").await;
}
