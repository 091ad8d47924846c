//! Of several processes one works, and another takes over when it ends. They stand for the one Lease that the chart's
//! RBAC allows, so these tests take turns.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ec2sim::{Effect, Fault};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;

use crate::fixtures::aws::{copies, writes};
use crate::fixtures::binary::http_get;
use crate::fixtures::cluster::SYSTEM_NAMESPACE;
use crate::fixtures::{Binary, Relay, Stage, cluster, manifest};

static ELECTION: Mutex<()> = Mutex::const_new(());

/// A process that AWS knows by the same name as the Lease.
fn candidate(stage: &Stage, identity: &str, duration: &str, kubeconfig: PathBuf) -> Binary {
    let flags = [format!("--identity={identity}"), format!("--lease-duration={duration}")];
    Binary::start_as(stage, identity, kubeconfig, &flags.each_ref().map(String::as_str))
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
    two_of(stage, duration, stage.cluster.controller()).await
}

/// The same, where the first reaches the API server in its own way.
async fn two_of(stage: &Stage, duration: &str, first_by: PathBuf) -> (Binary, Binary) {
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&manifest("web", &["1.0"], &["eu-west-1"])).await;
    let first = candidate(stage, "first", duration, first_by);
    until_leader(stage, "first").await;
    let second = candidate(stage, "second", duration, stage.cluster.controller());
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
    let status = stage.status("web").await;
    let listed: Vec<_> = status.versions.iter().filter(|v| v.listed).map(|v| &*v.version).collect();
    assert_eq!(listed, ["1.1", "1.0"]);
}

/// The versions of a change that takes the leader some seconds.
const MANY: [&str; 12] = ["1.0", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "3.0"];

/// Gives the leader more to copy than it can do before its lease runs out, and waits until it is at work.
async fn at_work(stage: &Stage) {
    stage.sim.reset_calls();
    stage.sim.add_fault(Fault::new(Effect::Delay(300)).operation("CopyImage"));
    stage.seed(&MANY[1..]);
    stage.apply(&manifest("web", &MANY, &["eu-west-1"])).await;
    stage.until_aws("copies are being made", |sim| sim.count("CopyImage") > 1).await;
}

/// Both have written to AWS, one after the other; what the first had begun was not made twice.
async fn work_was_handed_over(stage: &Stage, leader: &Binary) {
    stage.until_ready("web").await;
    let mut writers: Vec<_> = writes(&stage.sim).into_iter().map(|call| call.access_key).collect();
    writers.dedup();
    assert_eq!(writers, ["first", "second"]);
    assert_eq!(copies(&stage.sim).len(), MANY.len());
    works(stage, leader).await;
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
async fn a_leader_that_is_killed_while_it_copies_is_replaced_when_its_lease_runs_out() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (mut first, second) = two(&stage, "3s").await;
    at_work(&stage).await;

    let killed = Instant::now();
    first.kill();
    until_leader(&stage, "second").await;
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    work_was_handed_over(&stage, &second).await;
}

#[tokio::test]
async fn a_leader_that_wakes_up_after_its_lease_ran_out_ends_instead_of_writing() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (mut first, second) = two(&stage, "3s").await;
    at_work(&stage).await;

    first.signal("STOP");
    until_leader(&stage, "second").await;
    stage.until_aws("the second is at work", |sim| writes(sim).iter().any(|call| call.access_key == "second")).await;
    first.signal("CONT");
    assert_eq!(first.ended(&stage).await, Some(1));
    assert!(first.log().contains("the lease was lost") || first.log().contains("has taken the lease"));
    work_was_handed_over(&stage, &second).await;
}

#[tokio::test]
async fn a_leader_that_hears_nothing_from_the_api_server_ends_before_another_takes_over() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let way = Relay::to(stage.cluster);
    let (mut first, second) = two_of(&stage, "3s", way.kubeconfig()).await;
    at_work(&stage).await;

    // Of AWS it hears, and goes on copying while it may hold itself for the leader.
    let cut = Instant::now();
    way.cut();
    assert_eq!(first.ended(&stage).await, Some(1));
    until_leader(&stage, "second").await;
    assert!(cut.elapsed() < Duration::from_secs(30), "{:?}", cut.elapsed());
    work_was_handed_over(&stage, &second).await;
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_is_not_taken_before_it_would_have_run_out() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let (first, second) = two(&stage, "6s").await;

    // A leader that cannot learn of it in time.
    first.signal("STOP");
    let stopped = Instant::now();
    cluster().kubectl(&["delete", "lease", "amiops", "-n", SYSTEM_NAMESPACE], "");
    until_leader(&stage, "second").await;
    assert!(stopped.elapsed() >= Duration::from_secs(4), "it was taken after {:?}", stopped.elapsed());
    first.signal("CONT");
    works(&stage, &second).await;
}

#[tokio::test]
async fn a_lease_that_somebody_annotates_all_the_time_is_held_and_passed_on() {
    let _turn = ELECTION.lock().await;
    let stage = Stage::new().await;
    let mut leader = candidate(&stage, "first", "3s", stage.cluster.controller());
    until_leader(&stage, "first").await;
    let lease = Api::<Lease>::namespaced(stage.client.clone(), SYSTEM_NAMESPACE);
    let annotate = async |number: usize| {
        let note = json!({"metadata": {"annotations": {"test/note": number.to_string()}}});
        lease.patch("amiops", &PatchParams::default(), &Patch::Merge(note)).await.unwrap().spec.unwrap()
    };

    let writes = |leader: &Binary| leader.kubernetes_writes().iter().filter(|w| w.contains("/leases/")).count();
    let enough = writes(&leader) + 5;
    let mut number = 0;
    while writes(&leader) < enough {
        annotate(number).await;
        number += 1;
        assert!(leader.is_running(), "the lease was given up");
    }

    leader.kill();
    let _next = candidate(&stage, "second", "3s", stage.cluster.controller());
    let killed = Instant::now();
    while annotate(number).await.holder_identity.as_deref() != Some("second") {
        number += 1;
        assert!(killed.elapsed() < Duration::from_secs(30), "nobody takes over");
    }
}
