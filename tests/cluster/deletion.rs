//! The end of an object, its pause, and its second life.

use ec2sim::{Effect, Fault, SeedInstance};
use serde_json::{Value, json};

use crate::fixtures::aws::{copies, ec2, parameter, snapshots, ssm, writes};
use crate::fixtures::{InProcess, Stage, manifest};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const PARAMETER: &str = "/web/prod";

fn web(policy: &str) -> Value {
    let mut manifest = manifest("web", &["1.0", "1.1"], &REGIONS);
    manifest["spec"]["channels"] = json!([{"name": "prod", "version": "1.1", "publish": {"ssmParameter": PARAMETER}}]);
    manifest["spec"]["deletionPolicy"] = json!(policy);
    manifest
}

async fn made(stage: &Stage, policy: &str) {
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&web(policy)).await;
    stage.until_ready("web").await;
}

#[tokio::test]
async fn retain_leaves_everything_as_it_is() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, "Retain").await;
    stage.sim.reset_calls();

    stage.delete("web").await;
    stage.until_gone("web").await;
    assert_eq!(writes(&stage.sim), []);
    assert_eq!(copies(&stage.sim).len(), 4);
}

#[tokio::test]
async fn delete_removes_parameters_images_and_snapshots() {
    let stage = Stage::new().await;
    let controller = InProcess::start(&stage).await;
    made(&stage, "Delete").await;

    stage.delete("web").await;
    stage.until_gone("web").await;
    let metrics = controller.metrics.text().unwrap();
    assert!(!metrics.contains(r#"result="error""#), "the finalizer was not taken off at the first try:\n{metrics}");
    assert_eq!(copies(&stage.sim).len(), 0);
    assert_eq!(snapshots(&stage.sim, "eu-west-1").len(), 0);
    assert_eq!(snapshots(&stage.sim, "us-east-1").len(), 2, "the sources keep theirs");
    assert_eq!(REGIONS.map(|region| parameter(&stage.sim, region, PARAMETER)), [None, None]);
    stage.until_event(&["Deregistered", "is being deleted with deletionPolicy: Delete"]).await;
}

#[tokio::test]
async fn a_parameter_that_somebody_has_removed_unnoticed_does_not_hold_the_deletion() {
    let stage = Stage::new().await;
    let _controller = InProcess::start_with(&stage, std::time::Duration::from_hours(1)).await;
    made(&stage, "Delete").await;
    ssm(&stage.sim, "eu-west-1", "DeleteParameter", json!({"Name": PARAMETER}));

    stage.delete("web").await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}

#[tokio::test]
async fn a_parameter_of_one_level_holds_the_deletion_and_nothing_is_removed_in_its_place() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, "Delete").await;
    let image = stage.replica("web", "1.0", "eu-west-1").await;
    let named = json!({"Name": "golden", "Value": image, "Type": "String", "DataType": "aws:ec2:image"});
    ssm(&stage.sim, "eu-west-1", "PutParameter", named);
    stage.until_aws("SSM has checked it", |sim| parameter(sim, "eu-west-1", "golden").is_some()).await;

    stage.delete("web").await;
    stage.until_condition("web", "Ready", false, &[&image, "in use by", "golden"]).await;
    assert!(!stage.events().await.iter().any(|event| event.contains("/golden in")), "another parameter was meant");

    ssm(&stage.sim, "eu-west-1", "DeleteParameter", json!({"Name": "golden"}));
    stage.touch("web").await;
    stage.until_gone("web").await;
}

#[tokio::test]
async fn delete_waits_for_what_is_in_use_says_so_and_ends_when_it_is_free() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, "Delete").await;
    let image = stage.replica("web", "1.0", "eu-west-1").await;
    let instance = SeedInstance { region: "eu-west-1".into(), image: image.clone(), ..SeedInstance::default() };
    let instance = stage.sim.seed_instance(instance).unwrap();

    stage.delete("web").await;
    stage.until_aws("only what is in use is left", |sim| copies(sim).len() == 1).await;
    stage.until_condition("web", "Ready", false, &[&image, "eu-west-1", "in use by", &instance]).await;

    ec2(&stage.sim, "eu-west-1", "TerminateInstances", &[("InstanceId.1", &instance)]);
    stage.touch("web").await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}

#[tokio::test]
async fn an_object_that_is_deleted_while_its_copies_are_under_way_leaves_nothing() {
    let stage = Stage::with(|config| config.copy_time = jiff::SignedDuration::from_secs(3600)).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&web("Delete")).await;
    stage.until_aws("all copies are under way", |sim| copies(sim).len() == 4).await;

    stage.delete("web").await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
    assert_eq!(snapshots(&stage.sim, "eu-west-1").len(), 0);
}

#[tokio::test]
async fn while_suspended_nothing_changes_and_what_would_be_is_done_afterwards() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, "Delete").await;
    stage.merge("web", json!({"spec": {"suspend": true}})).await;
    stage.until_condition("web", "Ready", true, &["suspended"]).await;
    stage.sim.reset_calls();

    let image = stage.replica("web", "1.0", "eu-west-1").await;
    ec2(&stage.sim, "eu-west-1", "DeregisterImage", &[("ImageId", &image)]);
    ec2(
        &stage.sim,
        "us-east-1",
        "CreateTags",
        &[
            ("ResourceId.1", &stage.replica("web", "1.0", "us-east-1").await),
            ("Tag.1.Key", "amiops.dev/version"),
            ("Tag.1.Value", "1.0"),
        ],
    );
    stage.sim.reset_calls();
    stage.reconcile("web").await;
    stage.reconcile("web").await;
    stage.until_condition("web", "Ready", false, &["suspended"]).await;
    stage.delete("web").await;
    stage.until_condition("web", "Ready", false, &[]).await;
    stage.reconcile("web").await;
    assert_eq!(writes(&stage.sim), []);
    assert_eq!(copies(&stage.sim).len(), 3);

    stage.merge("web", json!({"spec": {"suspend": false}})).await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}

#[tokio::test]
async fn a_cluster_that_is_lost_and_made_anew_copies_nothing_twice() {
    let stage = Stage::new().await;
    let controller = InProcess::start(&stage).await;
    made(&stage, "Retain").await;
    let before: Vec<_> = copies(&stage.sim).into_iter().map(|i| i.id).collect();
    drop(controller);
    stage.merge("web", json!({"metadata": {"finalizers": null}})).await;
    stage.delete("web").await;
    stage.until_gone("web").await;
    stage.sim.reset_calls();

    let _controller = InProcess::start(&stage).await;
    stage.apply(&web("Retain")).await;
    let object = stage.until_ready("web").await;
    assert_eq!(object.status.unwrap().promoted.as_deref(), Some("prod=1.1"));
    assert_eq!(writes(&stage.sim), []);
    assert_eq!(copies(&stage.sim).into_iter().map(|i| i.id).collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn delete_finds_a_copy_that_was_begun_before_a_crash_and_is_listed_late() {
    let stage = Stage::with(|config| config.late_listing = jiff::SignedDuration::from_mins(2)).await;
    let controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.sim.advance(jiff::SignedDuration::from_mins(3));
    stage.apply(&web("Delete")).await;
    stage.until_aws("all copies are begun", |sim| copies(sim).len() == 4).await;
    drop(controller);
    stage.delete("web").await;

    let _controller = InProcess::start(&stage).await;
    stage.until_aws("the regions are listed", |sim| sim.count("DescribeSnapshots") >= 6).await;
    stage.until_condition("web", "Pruned", false, &["the deletion waits some minutes"]).await;
    stage.pass(std::time::Duration::from_mins(15)).await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}

#[tokio::test]
async fn delete_waits_for_a_copy_whose_answer_was_lost_and_whose_repetition_was_refused() {
    let stage = Stage::with(|config| config.late_listing = jiff::SignedDuration::from_mins(2)).await;
    stage.seed(&["1.0", "1.1"]);
    stage.sim.advance(jiff::SignedDuration::from_mins(3));
    stage.sim.add_fault(Fault::new(Effect::DropReply).operation("CopyImage").region("eu-west-1").times(1));
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage"));
    let _controller = InProcess::start(&stage).await;
    stage.apply(&web("Delete")).await;
    stage.until_condition("web", "Replicated", false, &["not authorized"]).await;
    assert_eq!(copies(&stage.sim).len(), 1);

    stage.delete("web").await;
    stage.until_condition("web", "Pruned", false, &["the deletion waits some minutes"]).await;
    stage.pass(std::time::Duration::from_mins(15)).await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}
