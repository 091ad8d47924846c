//! An object that the schema accepts and the program cannot read.

use serde_json::json;

use crate::fixtures::aws::copies;
use crate::fixtures::{InProcess, Stage, cluster, manifest};

const MENDED: &str = r#"[{"op": "replace", "path": "/spec/versions/0/releasedAt", "value": "2026-11-20T09:00:00Z"}]"#;

impl Stage {
    fn kubectl(&self, args: &[&str], input: &str) {
        cluster().kubectl(&[&["-n", &self.namespace], args].concat(), input);
    }

    /// An object that does not decode: the API server's check of date-time leaves the offset to others.
    fn create_odd(&self) {
        let mut odd = manifest("odd", &["1.0"], &["eu-west-1"]);
        odd["spec"]["versions"][0]["releasedAt"] = json!("2026-11-20T09:00:00+99:99");
        self.kubectl(&["create", "-f", "-"], &odd.to_string());
    }

    fn mend_odd(&self) {
        self.kubectl(&["patch", "machineimage", "odd", "--type=json", "-p", MENDED], "");
    }
}

#[tokio::test]
async fn an_object_that_does_not_decode_is_told_of_and_spoils_no_other() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    stage.create_odd();

    let _controller = InProcess::start(&stage).await;
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    stage.until_event(&["Warning Undecodable", "does not decode", "time zone offset"]).await;
    stage.reconcile("web").await;

    stage.mend_odd();
    stage.until_ready("odd").await;
}

#[tokio::test]
async fn while_an_object_does_not_decode_no_image_goes_that_it_may_name() {
    let stage = Stage::new().await;
    stage.seed(&["1.0", "1.1"]);
    let keeping = |versions: &[&str]| {
        let mut manifest = manifest("web", versions, &["eu-west-1"]);
        manifest["spec"]["retention"] = json!({"keepLast": 0});
        manifest
    };
    let _controller = InProcess::start(&stage).await;
    stage.apply(&keeping(&["1.0", "1.1"])).await;
    stage.until_ready("web").await;

    stage.create_odd();
    stage.until_event(&["Warning Undecodable"]).await;
    stage.apply(&keeping(&["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &["odd does not decode and may name it"]).await;

    stage.mend_odd();
    stage.until_ready("odd").await;
    stage.reconcile("web").await;
    let left = |sim: &ec2sim::Sim| {
        copies(sim)
            .iter()
            .any(|i| i.tags["amiops.dev/owner"].ends_with("/web") && i.tags["amiops.dev/version"] == "1.0")
    };
    stage.until_aws("1.0 is gone", |sim| !left(sim)).await;
}
