//! kill -9 while a call is under way: it has reached AWS, and its answer reaches nobody.

use std::collections::{BTreeMap, BTreeSet};

use ec2sim::{Effect, Fault};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fixtures::aws::{copies, parameter};
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
