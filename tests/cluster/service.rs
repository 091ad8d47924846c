//! What the process tells of itself.

use crate::fixtures::binary::http_get;
use crate::fixtures::{Binary, Stage, manifest};

#[tokio::test]
async fn health_readiness_and_metrics_are_served() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let binary = Binary::start(&stage);
    let address = binary.address(&stage).await;
    assert_eq!(http_get(&address, "/healthz"), (200, "ok\n".into()));
    stage.wait_for("it is ready", async || (http_get(&address, "/readyz").0 == 200).then_some(())).await;

    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    let (status, metrics) = http_get(&address, "/metrics");
    assert_eq!(status, 200);
    for line in [
        r#"amiops_aws_calls_total{operation="CopyImage",region="eu-west-1",code="OK"} 1"#,
        r#"amiops_images{region="eu-west-1",state="available"} 1"#,
        r#"amiops_reconciles_total{result="ok"}"#,
        "amiops_leader 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("web"), "no label names an object:\n{metrics}");
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_ends_well() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let mut binary = Binary::start(&stage);
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    binary.signal("TERM");
    assert_eq!(binary.ended(&stage).await, Some(0));
    assert!(binary.log().contains("amiops has stopped"));
}
