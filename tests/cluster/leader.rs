//! Of several processes one works, and another takes over when it ends. They stand for the one Lease that the chart's
//! RBAC allows, so these tests take turns.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Mutex;

use crate::fixtures::binary::http_get;
use crate::fixtures::cluster::SYSTEM_NAMESPACE;
use crate::fixtures::{Binary, Stage, cluster, manifest};

static ELECTION: Mutex<()> = Mutex::const_new(());

fn candidate(stage: &Stage, identity: &str, duration: &str) -> Binary {
    let identity = format!("--identity={identity}");
    Binary::start_with(stage, &[&identity, &format!("--lease-duration={duration}")])
}

async fn until_leader(stage: &Stage, identity: &str) {
    let lease = ["get", "lease", "amiops", "-n", SYSTEM_NAMESPACE, "--ignore-not-found", "-o"];
    let look = async || {
        let holder = cluster().kubectl(&[&lease[..], &["jsonpath={.spec.holderIdentity}"]].concat(), "");
        (holder == identity).then_some(())
    };
    stage.wait_for(&format!("{identity} is the leader"), look).await;
}

/// Two processes, of which the first works and the second stands by.
async fn two(stage: &Stage, duration: &str) -> (Binary, Binary) {
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    let first = candidate(stage, "first", duration);
    until_leader(stage, "first").await;
    let second = candidate(stage, "second", duration);
    let address = second.address(stage).await;
    stage.wait_for("the second stands by", async || (http_get(&address, "/readyz").0 == 200).then_some(())).await;
    stage.until_ready("web").await;
    let metrics = second.metrics(stage).await;
    assert!(metrics.contains("amiops_leader 0") && !metrics.contains("amiops_aws_calls_total{"), "{metrics}");
    (first, second)
}

/// The one that has taken over does the work.
async fn works(stage: &Stage, leader: &Binary) {
    stage.apply(&manifest("web", &["1.0", "1.1"], &["eu-west-1"])).await;
    stage.until_ready("web").await;
    let metrics = leader.metrics(stage).await;
    assert!(metrics.contains("amiops_leader 1"), "{metrics}");
    let versions = &stage.status("web").await.versions;
    assert_eq!(json!(versions.iter().map(|v| &v.version).collect::<Vec<_>>()), json!(["1.1", "1.0"]));
}

#[tokio::test]
async fn a_leader_that_is_asked_to_end_hands_over_at_once() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (mut first, second) = two(&stage, "15s").await;

    let asked = Instant::now();
    first.signal("TERM");
    until_leader(&stage, "second").await;
    assert!(asked.elapsed() < Duration::from_secs(10), "the lease was not released: {:?}", asked.elapsed());
    assert_eq!(first.ended(&stage).await, Some(0));
    works(&stage, &second).await;
}

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced_when_its_lease_runs_out() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (mut first, second) = two(&stage, "3s").await;

    let killed = Instant::now();
    first.kill();
    until_leader(&stage, "second").await;
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    works(&stage, &second).await;
}

#[tokio::test]
async fn a_leader_that_wakes_up_after_its_lease_ran_out_ends_instead_of_writing() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (mut first, second) = two(&stage, "3s").await;

    first.signal("STOP");
    until_leader(&stage, "second").await;
    first.signal("CONT");
    assert_eq!(first.ended(&stage).await, Some(1));
    assert!(first.log().contains("the lease was lost") || first.log().contains("has taken the lease"));
    works(&stage, &second).await;
}
