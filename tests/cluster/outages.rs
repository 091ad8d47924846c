//! The API server and etcd fail and come back. They are not those that the other tests use.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fixtures::aws::{copies, parameter};
use crate::fixtures::{Binary, Stage, fragile, manifest};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const PARAMETER: &str = "/web/prod";

fn web(versions: &[&str]) -> Value {
    let mut manifest = manifest("web", versions, &REGIONS);
    let last = versions.last().unwrap();
    manifest["spec"]["channels"] = json!([{"name": "prod", "version": last, "publish": {"ssmParameter": PARAMETER}}]);
    manifest
}

/// An AWS in which copies take longer than it takes to stop a server.
async fn stage(cluster: &'static crate::fixtures::cluster::Cluster) -> Stage {
    let stage = Stage::on(cluster, |config| config.copy_time = SignedDuration::from_secs(2)).await;
    stage.seed(&["1.0", "1.1", "1.2"]);
    stage
}

/// The object gets there, with one call for each copy, and a later change is seen too.
async fn recovers(stage: &Stage) {
    stage.until_ready("web").await;
    assert_eq!((stage.sim.count("CopyImage"), copies(&stage.sim).len()), (4, 4));
    stage.apply(&web(&["1.0", "1.1", "1.2"])).await;
    stage.until_ready("web").await;
    assert_eq!((stage.sim.count("CopyImage"), copies(&stage.sim).len()), (6, 6));
    for region in REGIONS {
        assert_eq!(parameter(&stage.sim, region, PARAMETER), Some(stage.replica("web", "1.2", region).await));
    }
}

async fn until_copied(stage: &Stage) {
    let all = |images: &[_]| images.len() == 4;
    stage
        .until_aws("all copies are available", |sim| {
            let copies = copies(sim);
            all(&copies) && copies.iter().all(|image| image.state == "available")
        })
        .await;
}

#[tokio::test]
async fn an_api_server_that_is_killed_while_copies_are_made_holds_up_the_report_alone() {
    let turn = fragile().await;
    let stage = stage(turn.cluster).await;
    let mut binary = Binary::start(&stage);
    stage.apply(&web(&["1.0", "1.1"])).await;
    stage.until_aws("the first copy is begun", |sim| sim.count("CopyImage") > 0).await;

    turn.cluster.world(&["stop-apiserver", "KILL"]);
    until_copied(&stage).await;
    turn.cluster.world(&["start-apiserver"]);
    recovers(&stage).await;
    assert!(binary.is_running());
}

#[tokio::test]
async fn a_leader_whose_api_server_is_killed_ends_and_its_next_life_copies_nothing_twice() {
    let turn = fragile().await;
    let stage = stage(turn.cluster).await;
    let mut binary = Binary::start_with(&stage, &["--identity=one", "--lease-duration=3s"]);
    stage.apply(&web(&["1.0", "1.1"])).await;
    stage.until_aws("the first copy is begun", |sim| sim.count("CopyImage") > 0).await;

    turn.cluster.world(&["stop-apiserver", "KILL"]);
    assert_eq!(binary.ended(&stage).await, Some(1));
    assert!(binary.log().contains("the lease was lost"));
    turn.cluster.world(&["start-apiserver"]);
    binary.restart(&stage);
    recovers(&stage).await;
}

#[tokio::test]
async fn while_etcd_is_away_copies_go_on_and_are_reported_afterwards() {
    let turn = fragile().await;
    let stage = stage(turn.cluster).await;
    let mut binary = Binary::start(&stage);
    stage.sim.configure(|config| config.copy_time = SignedDuration::from_secs(5));
    stage.apply(&web(&["1.0", "1.1"])).await;
    stage.until_aws("the first copy is begun", |sim| sim.count("CopyImage") > 0).await;

    turn.cluster.world(&["stop-etcd", "KILL"]);
    until_copied(&stage).await;
    turn.cluster.world(&["start-etcd"]);
    recovers(&stage).await;
    assert!(binary.is_running());
}

#[tokio::test]
async fn a_watch_whose_place_in_history_is_compacted_away_is_made_anew() {
    let turn = fragile().await;
    let stage = stage(turn.cluster).await;
    let binary = Binary::start(&stage);
    stage.apply(&web(&["1.0"])).await;
    let mut old = manifest("old", &["1.0"], &["eu-west-1"]);
    old["spec"]["deletionPolicy"] = json!("Delete");
    stage.apply(&old).await;
    stage.until_ready("web").await;
    stage.until_ready("old").await;

    // It sleeps through changes, which no connection brings it, and of which the server has no memory when it wakes.
    binary.signal("STOP");
    turn.cluster.world(&["stop-apiserver", "KILL"]);
    turn.cluster.world(&["start-apiserver"]);
    stage.apply(&web(&["1.0", "1.1"])).await;
    stage.delete("old").await;
    stage.apply(&manifest("new", &["1.2"], &["eu-west-1"])).await;
    let version = stage.get("new").await.metadata.resource_version.unwrap();
    turn.cluster.compact(&version).await;
    turn.cluster.world(&["stop-apiserver", "KILL"]);
    turn.cluster.world(&["start-apiserver"]);
    let lists = binary.lists();
    binary.signal("CONT");

    stage.until_ready("web").await;
    stage.until_ready("new").await;
    stage.until_gone("old").await;
    assert!(binary.lists() > lists, "this did not try what it was to try");
    let mut versions: Vec<_> = copies(&stage.sim).iter().map(|i| i.tags["amiops.dev/version"].clone()).collect();
    versions.sort();
    assert_eq!(versions, ["1.0", "1.0", "1.1", "1.1", "1.2"]);
}
