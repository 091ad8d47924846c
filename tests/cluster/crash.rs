//! kill -9 while a call is under way: it has reached AWS, and its answer reaches nobody.

use std::collections::{BTreeMap, BTreeSet};

use ec2sim::{Effect, Fault};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fixtures::aws::{copies, ec2, live_images, parameter, snapshots};
use crate::fixtures::{Binary, Stage, manifest};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const PARAMETER: &str = "/web/prod";

/// A change that takes every kind of write: adopt 1.1, copy 1.1 and 1.2, publish 1.2, prune 1.0.
fn everything() -> Value {
    let mut manifest = manifest("web", &["1.1", "1.2"], &REGIONS);
    manifest["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(true);
    manifest["spec"]["channels"] = json!([{"name": "prod", "version": "1.2", "publish": {"ssmParameter": PARAMETER}}]);
    manifest["spec"]["retention"] = json!({"keepLast": 0});
    manifest
}

/// Kills the program at the call of `operation` that comes after `skip` others, starts it again and looks at the end.
async fn survives(operation: &str, skip: u32, late_listing: SignedDuration) {
    survives_and(operation, skip, late_listing, json!({})).await;
}

/// The same, with a change of the manifest while the program is dead.
async fn survives_and(operation: &str, skip: u32, late_listing: SignedDuration, change: Value) {
    let stage = Stage::with(|config| config.late_listing = late_listing).await;
    stage.seed(&["1.0", "1.1", "1.2"]);
    let mut binary = Binary::start(&stage);
    stage.apply(&manifest("web", &["1.0"], &REGIONS)).await;
    stage.until_ready("web").await;

    stage.sim.reset_calls();
    let fault = stage.sim.add_fault(Fault::new(Effect::Delay(3_600_000)).operation(operation).skip(skip));
    stage.apply(&everything()).await;
    stage.until_aws("the call is made", |sim| sim.count(operation) > u64::from(skip)).await;
    binary.kill();
    stage.sim.clear_fault(fault);
    stage.merge("web", change).await;
    binary.restart(&stage);

    stage.until_ready("web").await;
    stage.until_condition("web", "Pruned", true, &["no image is to be pruned"]).await;
    stage.reconcile("web").await;
    let mut replicas = BTreeMap::new();
    for image in copies(&stage.sim) {
        *replicas.entry((image.tags["amiops.dev/version"].clone(), image.region)).or_insert(0) += 1;
    }
    let wanted = ["1.1", "1.2"].iter().flat_map(|v| REGIONS.map(|r| ((v.to_string(), r.to_owned()), 1)));
    assert_eq!(replicas, wanted.collect::<BTreeMap<_, _>>());
    let mut tokens = BTreeMap::<_, BTreeSet<_>>::new();
    for call in stage.sim.calls().into_iter().filter(|call| call.operation == "CopyImage") {
        let params = call.params;
        tokens.entry((call.region, params["Name"].clone())).or_default().insert(params["ClientToken"].clone());
    }
    assert!(tokens.values().all(|tokens| tokens.len() == 1), "both lives must use one token: {tokens:#?}");
    for region in REGIONS {
        assert_eq!(parameter(&stage.sim, region, PARAMETER), Some(stage.replica("web", "1.2", region).await));
    }
}

/// Kills the program at the first call of `operation`, which `begin` leads to, and starts it again.
async fn killed_at(stage: &Stage, binary: &mut Binary, operation: &str, begin: impl AsyncFnOnce()) {
    let fault = stage.sim.add_fault(Fault::new(Effect::Delay(3_600_000)).operation(operation));
    begin().await;
    stage.until_aws("the call is made", |sim| sim.count(operation) > 0).await;
    binary.kill();
    stage.sim.clear_fault(fault);
    binary.restart(stage);
}

#[tokio::test]
async fn killed_at_the_removal_of_a_parameter() {
    let stage = Stage::new().await;
    stage.seed(&["1.1", "1.2"]);
    let mut binary = Binary::start(&stage);
    let mut manifest = everything();
    manifest["spec"]["versions"] = json!([manifest["spec"]["versions"][1].clone()]);
    manifest["spec"]["deletionPolicy"] = json!("Delete");
    stage.apply(&manifest).await;
    stage.until_ready("web").await;

    killed_at(&stage, &mut binary, "DeleteParameter", async || stage.delete("web").await).await;
    stage.until_aws("all copies are gone", |sim| copies(sim).is_empty()).await;
    let waits = "the deletion waits some minutes: EC2 may not list yet what was copied just before amiops was started";
    stage.until_condition("web", "Pruned", false, &[waits]).await;
    assert_eq!(REGIONS.map(|region| parameter(&stage.sim, region, PARAMETER)), [None, None]);
    assert_eq!(live_images(&stage.sim).len(), 2, "the sources stay");
}

#[tokio::test]
async fn killed_at_the_deletion_of_a_snapshot_that_stayed_behind() {
    let stage = Stage::new().await;
    // A snapshot without an image is left alone for an hour; AWS's clock is behind, so that the hour is over.
    stage.sim.advance(SignedDuration::from_hours(-2));
    stage.seed(&["1.0", "1.1"]);
    let mut binary = Binary::start(&stage);
    let mut manifest = manifest("web", &["1.0", "1.1"], &REGIONS[1..]);
    manifest["spec"]["retention"] = json!({"keepLast": 0});
    stage.apply(&manifest).await;
    stage.until_ready("web").await;
    let image = stage.replica("web", "1.0", REGIONS[1]).await;
    let theirs = share_snapshot(&stage, &image);
    manifest["spec"]["versions"] = json!([manifest["spec"]["versions"][1].clone()]);
    stage.apply(&manifest).await;
    stage.until_event(&["Warning SnapshotsLeft", &image]).await;

    let free = async || drop(ec2(&stage.sim, REGIONS[1], "DeregisterImage", &[("ImageId", &theirs)]));
    killed_at(&stage, &mut binary, "DeleteSnapshot", free).await;
    stage.until_condition("web", "Pruned", true, &["no image is to be pruned"]).await;
    assert_eq!((copies(&stage.sim).len(), snapshots(&stage.sim, REGIONS[1]).len()), (1, 1));
}

/// Registers an image of somebody else with the snapshot of an image, which then cannot be deleted.
fn share_snapshot(stage: &Stage, image: &str) -> String {
    let images = live_images(&stage.sim);
    let snapshot = images.iter().find(|i| i.id == image).unwrap().snapshots[0].clone();
    let device = [
        ("Name", "theirs"),
        ("RootDeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshot),
    ];
    ec2(&stage.sim, REGIONS[1], "RegisterImage", &device);
    live_images(&stage.sim).into_iter().find(|i| !images.iter().any(|l| l.id == i.id)).unwrap().id
}

const AT_ONCE: SignedDuration = SignedDuration::ZERO;
const LATE: SignedDuration = SignedDuration::from_secs(3);

#[tokio::test]
async fn killed_at_the_first_copy() {
    survives("CopyImage", 0, AT_ONCE).await;
}

#[tokio::test]
async fn killed_at_the_last_copy() {
    survives("CopyImage", 2, AT_ONCE).await;
}

#[tokio::test]
async fn killed_at_a_copy_that_is_listed_late() {
    survives("CopyImage", 0, LATE).await;
}

#[tokio::test]
async fn killed_at_the_last_copy_when_all_are_listed_late() {
    survives("CopyImage", 2, LATE).await;
}

#[tokio::test]
async fn killed_at_a_copy_whose_tags_change_before_it_is_listed() {
    // The same ClientToken with other tags is refused: the copy that was made must be found by listing.
    survives_and("CopyImage", 1, LATE, json!({"spec": {"tags": {"team": "web"}}})).await;
}

#[tokio::test]
async fn killed_at_the_adoption() {
    survives("CreateTags", 0, AT_ONCE).await;
}

#[tokio::test]
async fn killed_at_the_adoption_when_copies_are_listed_late() {
    survives("CreateTags", 0, LATE).await;
}

#[tokio::test]
async fn killed_at_the_first_parameter() {
    survives("PutParameter", 0, AT_ONCE).await;
}

#[tokio::test]
async fn killed_at_the_second_parameter_when_copies_are_listed_late() {
    survives("PutParameter", 1, LATE).await;
}

#[tokio::test]
async fn killed_at_the_first_deregistration() {
    survives("DeregisterImage", 0, AT_ONCE).await;
}

#[tokio::test]
async fn killed_at_the_second_deregistration_when_copies_are_listed_late() {
    survives("DeregisterImage", 1, LATE).await;
}
