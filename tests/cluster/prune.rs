//! What has left the list goes, unless something keeps it.

use ec2sim::{Effect, Fault, SeedInstance, SeedLaunchTemplate};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fixtures::aws::{copies, ec2, live_images, parameter, snapshots, ssm, writes};
use crate::fixtures::{InProcess, Stage, manifest};

const REGION: &str = "eu-west-1";

/// A manifest that keeps none of the versions that have left it.
fn keeping(last: u32, versions: &[&str]) -> Value {
    let mut manifest = manifest("web", versions, &[REGION]);
    manifest["spec"]["retention"] = json!({"keepLast": last});
    manifest
}

/// An object with versions, of which the last one is to stay; answers the image of the first.
async fn made(stage: &Stage, versions: &[&str]) -> String {
    stage.seed(versions);
    stage.apply(&keeping(0, versions)).await;
    stage.until_ready("web").await;
    stage.replica("web", versions[0], REGION).await
}

fn versions(stage: &Stage) -> Vec<String> {
    let mut versions: Vec<_> = copies(&stage.sim).iter().map(|i| i.tags["amiops.dev/version"].clone()).collect();
    versions.sort();
    versions
}

#[tokio::test]
async fn of_the_versions_that_left_the_list_the_newest_are_kept_and_the_others_go_with_their_snapshots() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, &["1.0", "1.1", "1.2", "1.3"]).await;

    stage.apply(&keeping(1, &["1.3"])).await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    stage.until_aws("two versions are gone", |_| versions(&stage) == ["1.2", "1.3"]).await;
    assert_eq!(snapshots(&stage.sim, REGION).len(), 2);
    stage.until_event(&["Deregistered", "1.0", REGION, "has left the list and is not among the 1 newest"]).await;
}

#[tokio::test]
async fn without_retention_nothing_goes() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, &["1.0", "1.1"]).await;

    stage.merge("web", json!({"spec": {"retention": null}})).await;
    stage.apply(&manifest("web", &["1.1"], &[REGION])).await;
    stage.until_ready("web").await;
    stage.reconcile("web").await;
    assert_eq!(versions(&stage), ["1.0", "1.1"]);
}

#[tokio::test]
async fn what_an_instance_runs_from_stays_and_goes_when_the_instance_is_gone() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let image = made(&stage, &["1.0", "1.1"]).await;
    let instance = stage
        .sim
        .seed_instance(SeedInstance { region: REGION.into(), image: image.clone(), ..SeedInstance::default() })
        .unwrap();

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &[&image, REGION, "in use by", &instance]).await;
    let status = stage.status("web").await;
    assert!(status.pruning[0].blocked_by.as_ref().unwrap().contains(&instance), "{:?}", status.pruning);
    assert_eq!(versions(&stage), ["1.0", "1.1"]);

    ec2(&stage.sim, REGION, "TerminateInstances", &[("InstanceId.1", &instance)]);
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert_eq!(versions(&stage), ["1.1"]);
}

#[tokio::test]
async fn what_a_launch_template_names_stays_and_goes_when_the_template_is_gone() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let image = made(&stage, &["1.0", "1.1"]).await;
    let template = SeedLaunchTemplate { region: REGION.into(), image: image.clone(), ..SeedLaunchTemplate::default() };
    let template = stage.sim.seed_launch_template(template).unwrap();

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &[&image, REGION, "in use by", &template]).await;

    ec2(&stage.sim, REGION, "DeleteLaunchTemplate", &[("LaunchTemplateId", &template)]);
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert_eq!(versions(&stage), ["1.1"]);
}

#[tokio::test]
async fn when_its_use_cannot_be_checked_an_image_counts_as_in_use() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, &["1.0", "1.1"]).await;
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("DescribeImageReferences"));

    stage.apply(&keeping(0, &["1.1"])).await;
    let words = ["DescribeImageReferences", REGION, "UnauthorizedOperation", "Allow this call in the IAM policy"];
    stage.until_condition("web", "Pruned", false, &words).await;
    stage.until_event(&words).await;
    let status = stage.status("web").await;
    assert!(status.pruning[0].blocked_by.as_ref().unwrap().contains("counts as in use"), "{:?}", status.pruning);
    stage.until_ready("web").await;
    assert_eq!(versions(&stage), ["1.0", "1.1"]);

    stage.sim.clear_faults();
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert_eq!(versions(&stage), ["1.1"]);
}

#[tokio::test]
async fn what_a_parameter_still_names_stays_until_the_parameter_names_another() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    let channel =
        |version: &str| json!([{"name": "prod", "version": version, "publish": {"ssmParameter": "/web/prod"}}]);
    let mut manifest = keeping(0, &["1.0", "1.1"]);
    manifest["spec"]["channels"] = channel("1.0");
    stage.apply(&manifest).await;
    stage.until_ready("web").await;
    let image = stage.replica("web", "1.0", REGION).await;
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("PutParameter"));

    let mut manifest = keeping(0, &["1.1"]);
    manifest["spec"]["channels"] = channel("1.1");
    stage.apply(&manifest).await;
    stage.until_condition("web", "Pruned", false, &[&image, "parameter /web/prod names it"]).await;
    assert_eq!(parameter(&stage.sim, REGION, "/web/prod"), Some(image));

    stage.sim.clear_faults();
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert_eq!(versions(&stage), ["1.1"]);
}

#[tokio::test]
async fn a_parameter_of_somebody_else_keeps_an_image_too() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let image = made(&stage, &["1.0", "1.1"]).await;
    let put = json!({"Name": "/theirs", "Value": image, "Type": "String", "DataType": "aws:ec2:image"});
    ssm(&stage.sim, REGION, "PutParameter", put);

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &[&image, "in use by", "theirs"]).await;
    assert_eq!(versions(&stage), ["1.0", "1.1"]);
}

#[tokio::test]
async fn the_last_available_image_of_a_region_stays() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, &["1.0"]).await;
    stage.seed(&["1.1"]);
    stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage"));

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &["this object keeps an available image", REGION]).await;
    assert_eq!(versions(&stage), ["1.0"]);
}

#[tokio::test]
async fn a_snapshot_that_stayed_behind_is_deleted_once_it_can_be() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let image = made(&stage, &["1.0", "1.1"]).await;
    let live = live_images(&stage.sim);
    let snapshot = live.iter().find(|i| i.id == image).unwrap().snapshots[0].clone();
    let device = [
        ("Name", "theirs"),
        ("RootDeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshot),
    ];
    ec2(&stage.sim, REGION, "RegisterImage", &device);
    let theirs = live_images(&stage.sim).into_iter().find(|i| !live.iter().any(|l| l.id == i.id)).unwrap().id;

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_event(&["Warning SnapshotsLeft", &image, &snapshot]).await;
    stage.until_condition("web", "Pruned", false, &[&snapshot, "it is not an hour old"]).await;
    assert!(snapshots(&stage.sim, REGION).contains_key(&snapshot));

    stage.sim.advance(SignedDuration::from_mins(61));
    stage.touch("web").await;
    stage
        .until_condition("web", "Pruned", false, &[&snapshot, REGION, &theirs, "It stays until that image is gone"])
        .await;

    ec2(&stage.sim, REGION, "DeregisterImage", &[("ImageId", &theirs)]);
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert!(!snapshots(&stage.sim, REGION).contains_key(&snapshot));
}

#[tokio::test]
async fn an_image_that_is_protected_stays_and_says_so() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let image = made(&stage, &["1.0", "1.1"]).await;
    ec2(&stage.sim, REGION, "EnableImageDeregistrationProtection", &[("ImageId", &image)]);
    stage.reconcile("web").await;

    stage.sim.reset_calls();
    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", false, &[&image, "protected from deregistration"]).await;
    assert_eq!(writes(&stage.sim), []);
}

#[tokio::test]
async fn what_is_gone_and_still_listed_is_not_removed_again() {
    let stage = Stage::with(|config| config.stale_listing = SignedDuration::from_mins(5)).await;
    let _controller = InProcess::start(&stage).await;
    made(&stage, &["1.0", "1.1"]).await;

    stage.apply(&keeping(0, &["1.1"])).await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    stage.reconcile("web").await;
    stage.until_condition("web", "Pruned", true, &[]).await;
    assert_eq!(stage.sim.count("DeregisterImage"), 1);
}
