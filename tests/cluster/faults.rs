//! What goes wrong ends in a condition and an event that name region, cause and what to do, while the other regions go
//! on; mended from outside, the object recovers by itself.

use amiops::api::ReplicaState;
use ec2sim::{Config, Effect, Fault, OptIn, SeedImage, SeedKey};
use serde_json::json;

use crate::fixtures::aws::{copies, ec2_as, source_id};
use crate::fixtures::{InProcess, Stage, condition, manifest};

const HERE: &str = "us-east-1";
const THERE: &str = "eu-west-1";

/// Waits until condition and event say all of `words`, and the region `HERE` has its replica nevertheless.
async fn told(stage: &Stage, reason: &str, words: &[&str]) {
    stage.until_condition("web", "Ready", false, words).await;
    stage.until_condition("web", "Replicated", false, words).await;
    stage.until_event(&[&["Warning", reason], words].concat()).await;
    let available = |o: &amiops::api::MachineImage| {
        let regions = o.status.iter().flat_map(|s| &s.versions).flat_map(|v| &v.regions);
        regions.filter(|r| r.region == HERE).all(|r| r.state == ReplicaState::Available)
    };
    stage.until("web", "the other region has its replica", available).await;
}

#[tokio::test]
async fn a_source_that_does_not_exist_is_named_and_copied_once_it_is_there() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.apply(&manifest("web", &["1.0", "1.1"], &[HERE, THERE])).await;

    let words = ["ami-00000000000000011", HERE, "was not found", "check the id and the region"];
    stage.until_condition("web", "Ready", false, &words).await;
    stage.until_event(&[&["Warning SourceNotFound"], &words[..]].concat()).await;
    stage.until("web", "the other version is complete", |o| replicas(o) == "2/4").await;
    stage.until_condition("web", "Stalled", true, &words).await;

    stage.seed(&["1.1"]);
    stage.reconcile("web").await;
    stage.until_ready("web").await;
    assert!(condition(&stage.get("web").await, "Stalled").is_none());
}

fn replicas(object: &amiops::api::MachineImage) -> &str {
    object.status.as_ref().and_then(|s| s.replicas.as_deref()).unwrap_or_default()
}

#[tokio::test]
async fn a_source_whose_snapshots_are_not_shared_is_told_as_that() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let (theirs, source) = ("222222222222", source_id("1.0"));
    let image = SeedImage { id: Some(source.clone()), account: Some(theirs.into()), ..Default::default() };
    stage.sim.seed_image(image).unwrap();
    let share = [("ImageId", source.as_str()), ("LaunchPermission.Add.1.UserId", "111111111111")];
    ec2_as(&stage.sim, theirs, HERE, "ModifyImageAttribute", &share);
    stage.apply(&manifest("web", &["1.0"], &[HERE])).await;

    let words = ["CopyImage", HERE, "InvalidRequest", "its snapshots, and the key that encrypts them, are shared"];
    stage.until_condition("web", "Ready", false, &words).await;
    stage.until_condition("web", "Stalled", true, &words).await;
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_named_and_joins_in_once_it_is() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.apply(&manifest("web", &["1.0"], &[HERE, "af-south-1"])).await;

    told(&stage, "AuthFailure", &["af-south-1", "AuthFailure", "Enable the region for the account"]).await;

    // Nobody has to ask: the next listing of the region finds it open.
    stage.sim.set_opt_in("af-south-1", OptIn::OptedIn).unwrap();
    stage.until_ready("web").await;
}

#[tokio::test]
async fn a_denied_copy_is_named_and_made_once_it_is_allowed() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage").region(THERE));
    stage.apply(&manifest("web", &["1.0"], &[HERE, THERE])).await;

    told(&stage, "UnauthorizedOperation", &["CopyImage", THERE, "UnauthorizedOperation", "Allow this call"]).await;

    stage.sim.clear_faults();
    stage.reconcile("web").await;
    stage.until_ready("web").await;
}

#[tokio::test]
async fn a_copy_that_failed_for_its_key_is_named_and_made_anew_once_the_key_is_enabled() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let key =
        |disabled| SeedKey { region: THERE.into(), alias: Some("alias/golden".into()), disabled, ..SeedKey::default() };
    stage.sim.seed_key(key(true)).unwrap();
    let mut manifest = manifest("web", &["1.0"], &[HERE, THERE]);
    manifest["spec"]["regions"][1]["kmsKeyId"] = json!("alias/golden");
    stage.apply(&manifest).await;

    let words = ["the copy of 1.0", THERE, "Given key ID is not accessible", "check that the KMS key alias/golden"];
    told(&stage, "CopyFailed", &words).await;

    stage.sim.seed_key(key(false)).unwrap();
    stage.reconcile("web").await;
    stage.until_ready("web").await;
    let one_live = |_: &ec2sim::Sim| copies(&stage.sim).iter().filter(|i| i.region == THERE).count() == 1;
    stage.until_aws("the failed copy is removed", one_live).await;
}

/// The failed copy has the name that the next one is to get, so it goes first.
#[tokio::test]
async fn a_failed_copy_that_was_removed_for_one_that_is_then_denied_is_told() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let failing = Effect::FailCopy { reason: "Internal error".into() };
    let failing = stage.sim.add_fault(Fault::new(failing).operation("CopyImage"));
    stage.apply(&manifest("web", &["1.0"], &[THERE])).await;
    told(&stage, "CopyFailed", &["Internal error"]).await;

    stage.sim.clear_fault(failing);
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage"));
    stage.reconcile("web").await;
    stage.until_event(&["Deregistered", "deregistered ami-", "a failed copy", "Internal error"]).await;
    told(&stage, "UnauthorizedOperation", &["CopyImage"]).await;
}

#[tokio::test]
async fn a_region_that_is_down_holds_up_no_other_and_catches_up() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let down = stage.sim.add_fault(Fault::new(Effect::RegionDown).region(THERE));
    stage.apply(&manifest("web", &["1.0"], &[HERE, THERE])).await;

    told(&stage, "Unreachable", &[THERE, "Unreachable"]).await;

    stage.sim.clear_fault(down);
    stage.until_ready("web").await;
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    // More often than the SDK tries by itself.
    stage.sim.add_fault(Fault::new(Effect::Throttle).operation("CopyImage").region(THERE).times(5));
    stage.apply(&manifest("web", &["1.0"], &[HERE, THERE])).await;
    told(&stage, "RequestLimitExceeded", &[THERE, "RequestLimitExceeded", "calls less often"]).await;
    stage.until_ready("web").await;
    assert_eq!(copies(&stage.sim).len(), 2);
}

#[tokio::test]
async fn a_name_that_somebody_else_holds_is_named_and_the_copy_made_once_it_is_free() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let theirs = ec2sim::SeedImage { region: THERE.into(), name: Some("web-1.0".into()), ..Default::default() };
    let theirs = stage.sim.seed_image(theirs).unwrap();
    stage.apply(&manifest("web", &["1.0"], &[HERE, THERE])).await;

    told(&stage, "NameTaken", &[THERE, "'web-1.0' is taken by", &theirs, "choose another spec.nameTemplate"]).await;

    crate::fixtures::aws::ec2(&stage.sim, THERE, "DeregisterImage", &[("ImageId", &theirs)]);
    stage.reconcile("web").await;
    stage.until_ready("web").await;
}

#[tokio::test]
async fn a_copy_whose_tags_were_made_to_name_another_source_holds_the_name_and_that_is_told() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    stage.apply(&manifest("web", &["1.0"], &[HERE, THERE])).await;
    stage.until_ready("web").await;
    let copy = stage.replica("web", "1.0", THERE).await;

    // For a minute, what was just written is believed before what EC2 shows.
    stage.pass(std::time::Duration::from_secs(61)).await;
    let source = [("ResourceId.1", copy.as_str()), ("Tag.1.Key", "amiops.dev/source")];
    let nowhere = ("Tag.1.Value", "us-east-1/ami-0dead0dead0dead00");
    crate::fixtures::aws::ec2(&stage.sim, THERE, "CreateTags", &[&source[..], &[nowhere]].concat());
    stage.reconcile("web").await;
    told(&stage, "NameTaken", &[THERE, "'web-1.0' is taken by", &copy, "carries the tags of version 1.0"]).await;

    crate::fixtures::aws::ec2(&stage.sim, THERE, "DeleteTags", &source);
    stage.reconcile("web").await;
    stage.until_ready("web").await;
    assert_eq!(stage.replica("web", "1.0", THERE).await, copy);
}

#[tokio::test]
async fn a_reply_that_is_lost_after_the_copy_began_makes_no_second_copy() {
    one_copy_each(|_| {}).await;
}

#[tokio::test]
async fn late_listing_after_a_lost_reply_makes_no_second_copy() {
    one_copy_each(|config| config.late_listing = jiff::SignedDuration::from_secs(3)).await;
}

async fn one_copy_each(change: impl FnOnce(&mut Config)) {
    let stage = Stage::with(change).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    // Every attempt of the SDK is lost too: it tries three times.
    stage.sim.add_fault(Fault::new(Effect::DropReply).operation("CopyImage").times(9));
    stage.apply(&manifest("web", &["1.0", "1.1"], &[HERE, THERE])).await;
    stage.until_ready("web").await;
    assert_eq!(copies(&stage.sim).len(), 4);
}
