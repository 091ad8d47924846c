//! From a manifest to images, and then nothing more.

use std::collections::BTreeMap;

use crate::fixtures::aws::{live_images, writes};
use crate::fixtures::{Binary, Stage, manifest};

const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-2"];
const VERSIONS: [&str; 3] = ["1.0", "1.1", "1.2"];

#[tokio::test]
async fn three_versions_in_four_regions_take_one_copy_each_and_then_no_write_to_anything() {
    let stage = Stage::new().await;
    stage.seed(&VERSIONS);
    let _binary = Binary::start(&stage);
    stage.apply(&manifest("web", &VERSIONS, &REGIONS)).await;

    let object = stage.until_ready("web").await;
    assert_eq!(object.status.unwrap().replicas.as_deref(), Some("12/12"));
    let mut copies = BTreeMap::new();
    for call in stage.sim.calls().into_iter().filter(|call| call.operation == "CopyImage") {
        *copies.entry((call.region, call.params["SourceImageId"].clone())).or_insert(0) += 1;
    }
    assert_eq!(copies.len(), 12);
    assert!(copies.values().all(|count| *count == 1), "{copies:?}");
    assert_eq!(live_images(&stage.sim).len(), 3 + 12);

    let before = stage.status("web").await;
    stage.sim.reset_calls();
    let after = stage.reconcile("web").await;
    assert_eq!(writes(&stage.sim), [], "the second pass wrote to AWS");
    let mut status = after.status.clone().unwrap();
    status.last_handled_reconcile_at = before.last_handled_reconcile_at.clone();
    assert_eq!(status, before, "the second pass changed the report");

    stage.sim.reset_calls();
    stage.until_aws("two more listings", |sim| sim.count("DescribeImages") >= 8).await;
    assert_eq!(writes(&stage.sim), []);
    assert_eq!(stage.resource_versions().await, [after.metadata.resource_version], "a listing wrote to Kubernetes");
}
