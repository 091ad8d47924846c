//! What takes hours, on a clock that the test moves.

use std::time::Duration;

use ec2sim::{Effect, Fault, ReplayDead, Sim};
use jiff::SignedDuration;

use crate::fixtures::aws::copies;
use crate::fixtures::{InProcess, Stage, manifest};

const REGION: &str = "eu-west-1";

#[tokio::test]
async fn a_copy_may_take_two_hours_and_is_not_started_again_meanwhile() {
    let stage = Stage::with(|config| config.copy_time = SignedDuration::from_hours(2)).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;

    let words = ["0/1 replicas are available", "waiting for 1.0", REGION];
    stage.until_condition("web", "Reconciling", true, &words).await;
    // The object is told of before the copy is started, and the two hours run from there.
    stage.until_aws("the copy is started", |sim| copies(sim).len() == 1).await;
    for _ in 0..3 {
        stage.sim.advance(SignedDuration::from_mins(35));
        stage.reconcile("web").await;
        stage.until_condition("web", "Replicated", false, &words).await;
    }
    stage.sim.advance(SignedDuration::from_mins(20));
    stage.until_ready("web").await;
    assert_eq!(stage.sim.count("CopyImage"), 1);
}

#[tokio::test]
async fn a_copy_that_failed_is_made_anew_after_its_backoff_and_not_before() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.sim.add_fault(Fault::new(Effect::FailCopy { reason: "no space".into() }).operation("CopyImage"));
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;

    // The first backoff is a minute, the second two.
    for (attempt, early, late) in [(1, 30, 40), (2, 90, 40)] {
        stage.until_aws("there is a copy", |sim| copies(sim).len() == 1).await;
        let copy = copies(&stage.sim).remove(0).id;
        let words = [copy.as_str(), "failed", "no space", "amiops tries again"];
        stage.until_condition("web", "Replicated", false, &words).await;
        stage.sim.advance(SignedDuration::from_secs(early));
        stage.touch("web").await;
        stage.until_aws("two listings", listings(&stage, 2)).await;
        assert_eq!(started(&stage.sim), attempt);
        if attempt == 2 {
            stage.sim.clear_faults();
        }
        stage.sim.advance(SignedDuration::from_secs(late));
        stage.touch("web").await;
        stage.until_aws("the copy is made anew", |sim| started(sim) == attempt + 1).await;
    }
    stage.until_ready("web").await;
    assert_eq!(copies(&stage.sim).len(), 1, "failed copies are removed");
}

/// How many copies were started.
fn started(sim: &Sim) -> usize {
    sim.calls().iter().filter(|call| call.operation == "CopyImage" && call.code == "OK").count()
}

/// Whether so many listings have begun since now.
fn listings(stage: &Stage, more: u64) -> impl Fn(&Sim) -> bool + use<> {
    let before = stage.sim.count("DescribeSnapshots");
    move |sim| sim.count("DescribeSnapshots") >= before + more
}

#[tokio::test]
async fn a_denied_call_is_tried_again_after_its_backoff_and_not_before() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let denied = stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage"));
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;
    stage.until_condition("web", "Replicated", false, &["UnauthorizedOperation"]).await;
    stage.sim.clear_fault(denied);

    stage.touch("web").await;
    stage.until_aws("two listings", listings(&stage, 2)).await;
    assert_eq!(stage.sim.count("CopyImage"), 1);
    stage.pass(Duration::from_mins(10)).await;
    stage.touch("web").await;
    stage.until_ready("web").await;
    assert_eq!(stage.sim.count("CopyImage"), 2);
}

#[tokio::test]
async fn one_missing_answer_never_means_that_an_image_is_gone() {
    let stage = Stage::with(|config| config.late_listing = SignedDuration::from_mins(5)).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    // The sources must be seen, the copies late.
    stage.sim.advance(SignedDuration::from_mins(6));
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;
    stage.until_aws("the copy is made", |sim| copies(sim).len() == 1).await;

    for _ in 0..4 {
        stage.sim.advance(SignedDuration::from_mins(1));
        stage.reconcile("web").await;
    }
    stage.sim.advance(SignedDuration::from_mins(2));
    stage.until_ready("web").await;
    assert_eq!(stage.sim.count("CopyImage"), 1);
}

#[tokio::test]
async fn an_image_that_somebody_deregistered_is_copied_anew() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;
    stage.until_ready("web").await;
    let first = stage.replica("web", "1.0", REGION).await;

    stage.sim.advance(SignedDuration::from_hours(1));
    crate::fixtures::aws::ec2(&stage.sim, REGION, "DeregisterImage", &[("ImageId", &first)]);
    stage.until_aws("it is copied anew", |sim| sim.count("CopyImage") == 2).await;
    let anew = |o: &amiops::api::MachineImage| o.status.as_ref().is_some_and(|s| s.replicas.as_deref() == Some("1/1"));
    stage.until("web", "the new copy is available", anew).await;
    assert_ne!(copies(&stage.sim)[0].id, first);
}

#[tokio::test]
async fn a_crash_between_two_attempts_recovers_when_the_used_token_answers_the_dead_image() {
    crash_between_two_attempts(ReplayDead::SameId).await;
}

#[tokio::test]
async fn a_crash_between_two_attempts_recovers_when_the_used_token_makes_a_new_copy() {
    crash_between_two_attempts(ReplayDead::NewCopy).await;
}

#[tokio::test]
async fn a_crash_between_two_attempts_recovers_when_the_used_token_is_refused() {
    crash_between_two_attempts(ReplayDead::Mismatch).await;
}

/// The failed copy is gone, the next was not made, and the program has forgotten that there was a first attempt.
async fn crash_between_two_attempts(replay_dead: ReplayDead) {
    let stage = Stage::with(|config| config.replay_dead = replay_dead).await;
    let controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.sim.add_fault(Fault::new(Effect::FailCopy { reason: "no space".into() }).operation("CopyImage").times(1));
    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;
    stage.until_condition("web", "Replicated", false, &["failed", "no space"]).await;
    stage.sim.add_fault(Fault::new(Effect::DropRequest).operation("CopyImage"));
    stage.pass(Duration::from_mins(2)).await;
    stage.touch("web").await;
    stage.until_aws("the failed copy is removed", |sim| copies(sim).is_empty()).await;
    drop(controller);
    stage.sim.clear_faults();

    let _controller = InProcess::start(&stage).await;
    for _ in 0..8 {
        stage.pass(Duration::from_mins(3)).await;
        stage.touch("web").await;
        stage.until_aws("a listing", listings(&stage, 1)).await;
    }
    stage.until_ready("web").await;
    assert_eq!(copies(&stage.sim).len(), 1);
}
