//! From a manifest to images, and then nothing more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ec2sim::Sim;
use jiff::SignedDuration;
use serde_json::json;

use crate::fixtures::aws::{live_images, writes};
use crate::fixtures::{Binary, InProcess, Stage, manifest};

const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-2"];
const VERSIONS: [&str; 3] = ["1.0", "1.1", "1.2"];

#[tokio::test]
async fn three_versions_in_four_regions_take_one_copy_each_and_then_no_write_to_anything() {
    let stage = Stage::new().await;
    stage.seed(&VERSIONS);
    let binary = Binary::start(&stage);
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
    let kubernetes_writes = binary.kubernetes_writes().len();
    stage.sim.reset_calls();
    let made = passes(&binary.metrics(&stage).await);
    stage.touch("web").await;
    let again = async || (passes(&binary.metrics(&stage).await) > made).then_some(());
    stage.wait_for("a second pass", again).await;
    stage.until_aws("two more listings", |sim| sim.count("DescribeImages") >= 8).await;
    assert_eq!(writes(&stage.sim), [], "the second pass wrote to AWS");
    assert_eq!(binary.kubernetes_writes()[kubernetes_writes..], [""; 0], "the second pass wrote to Kubernetes");

    let mut after = stage.reconcile("web").await;
    assert_eq!(writes(&stage.sim), [], "the pass that was asked for wrote to AWS");
    assert_eq!(binary.kubernetes_writes().len(), kubernetes_writes + 1, "one report says that it was made");
    let status = after.status.as_mut().unwrap();
    status.last_handled_reconcile_at = None;
    assert_eq!(*status, before);

    stage.sim.reset_calls();
    stage.until_aws("two more listings", |sim| sim.count("DescribeImages") >= 8).await;
    assert_eq!(writes(&stage.sim), []);
    assert_eq!(binary.kubernetes_writes().len(), kubernetes_writes + 1, "a listing wrote to Kubernetes");
    assert_eq!(stage.get("web").await.metadata.resource_version, after.metadata.resource_version);
}

#[tokio::test]
async fn a_region_that_only_has_the_source_is_asked_for_that_and_never_listed() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let _controller = InProcess::start(&stage).await;
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    let listed = |region: &str| {
        let listings = stage.sim.calls().into_iter().filter(|call| call.operation == "DescribeSnapshots");
        listings.filter(|call| call.region == region).count()
    };
    assert!(listed("eu-west-1") > 0);
    assert_eq!(listed("us-east-1"), 0);
}

/// How often the images of a region are listed in the test below.
const LISTING: Duration = Duration::from_secs(4);

#[tokio::test]
async fn looking_at_a_hundred_objects_again_costs_one_listing_for_each_region() {
    let stage = Stage::new().await;
    stage.seed(&["1.0"]);
    let controller = InProcess::start_with(&stage, LISTING).await;
    let names: Vec<_> = (0..100).map(|number| format!("object-{number}")).collect();
    for name in &names {
        let mut manifest = manifest(name, &["1.0"], &REGIONS);
        let parameter = format!("/web/{name}");
        manifest["spec"]["channels"] =
            json!([{"name": "prod", "version": "1.0", "publish": {"ssmParameter": parameter}}]);
        stage.apply(&manifest).await;
    }
    for name in &names {
        stage.until_ready(name).await;
    }
    assert_eq!(live_images(&stage.sim).len(), 1 + 400);

    // Between two listings everything that was read becomes old, so a pass over each object reads what it may not remember.
    stage.until_aws("two listings are over", listings(&stage, 2)).await;
    stage.sim.reset_calls();
    let started = Instant::now();
    stage.sim.advance(SignedDuration::from_hours(1));
    let made = passes(&controller.metrics.text().unwrap());
    futures::future::join_all(names.iter().map(|name| stage.touch(name))).await;
    stage
        .wait_for("a pass over each", async || {
            (passes(&controller.metrics.text().unwrap()) >= made + 100).then_some(())
        })
        .await;
    stage.until_aws("another listing is over", listings(&stage, 1)).await;

    let intervals = started.elapsed().as_secs() / LISTING.as_secs() + 1;
    for count in stage.sim.call_counts() {
        let most = match count.operation.as_str() {
            "DescribeImages" | "DescribeSnapshots" => intervals,
            "GetParameters" => 10 * intervals,
            _ => 0,
        };
        assert!(count.count <= most, "{} calls of {} in {}", count.count, count.operation, count.region);
    }
    assert!(stage.sim.count("GetParameters") >= 40, "the parameters were not read");
    for name in &names {
        let object = stage.get(name).await;
        let managers = object.metadata.managed_fields.unwrap();
        let wrote = managers.iter().find(|m| m.subresource.as_deref() == Some("status")).unwrap().time.clone();
        assert!(wrote.unwrap().0 < stage.sim.now() - SignedDuration::from_hours(1), "the status of {name} was written");
    }
}

/// Whether so many more listings of each region have begun.
fn listings(stage: &Stage, more: u64) -> impl Fn(&Sim) -> bool + use<> {
    let before = stage.sim.count("DescribeSnapshots");
    move |sim| sim.count("DescribeSnapshots") >= before + 4 * more
}

/// How many passes have been made.
fn passes(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(r#"amiops_reconciles_total{result="ok"} "#));
    line.map_or(0, |count| count.parse().unwrap())
}
