//! Tags: put back where somebody changed them; and the handing over of a source by them.

use std::time::Duration;

use serde_json::json;

use crate::fixtures::aws::{copies, ec2, live_images, snapshots};
use crate::fixtures::{InProcess, Stage, manifest, source_id};

const REGION: &str = "us-east-1";

#[tokio::test]
async fn tags_that_were_changed_by_hand_are_put_back_and_those_of_other_people_stay() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let mut manifest = manifest("web", &["1.0"], &[REGION]);
    manifest["spec"]["tags"] = json!({"team": "web"});
    stage.apply(&manifest).await;
    stage.until_ready("web").await;
    let image = copies(&stage.sim).remove(0);
    let snapshot = image.snapshots[0].clone();

    // For a minute, what was just written is believed before what EC2 shows.
    stage.pass(Duration::from_secs(61)).await;
    for id in [&image.id, &snapshot] {
        let theirs = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "cost"), ("Tag.1.Value", "42")];
        ec2(&stage.sim, REGION, "CreateTags", &theirs);
        let changed = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "team"), ("Tag.1.Value", "db")];
        ec2(&stage.sim, REGION, "CreateTags", &changed);
    }
    let removed = [("ResourceId.1", image.id.as_str()), ("Tag.1.Key", "amiops.dev/source")];
    ec2(&stage.sim, REGION, "DeleteTags", &removed);
    let disowned = [("ResourceId.1", snapshot.as_str()), ("Tag.1.Key", "amiops.dev/owner")];
    ec2(&stage.sim, REGION, "DeleteTags", &disowned);

    stage.reconcile("web").await;
    let mut wanted = image.tags.clone();
    assert_eq!(wanted["team"], "web");
    wanted.insert("cost".into(), "42".into());
    assert_eq!(copies(&stage.sim)[0].tags, wanted);
    assert_eq!(snapshots(&stage.sim, REGION)[&snapshot], wanted);
}

#[tokio::test]
async fn new_tags_of_the_manifest_reach_what_exists() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let mut manifest = manifest("web", &["1.0"], &[REGION, "eu-west-1"]);
    stage.apply(&manifest).await;
    stage.until_ready("web").await;

    manifest["spec"]["tags"] = json!({"team": "web"});
    stage.apply(&manifest).await;
    let tagged = |sim: &ec2sim::Sim| copies(sim).iter().all(|i| i.tags.get("team").is_some_and(|team| team == "web"));
    stage.until_aws("both copies have the tag", tagged).await;
    stage.until_event(&["Tagged", "eu-west-1"]).await;
}

#[tokio::test]
async fn without_adopt_the_source_is_not_touched_even_in_its_own_region() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let before = stage.sim.dump()[REGION]["images"][0].clone();

    stage.apply(&manifest("web", &["1.0"], &[REGION])).await;
    stage.until_ready("web").await;
    assert_ne!(stage.replica("web", "1.0", REGION).await, source_id("1.0"));
    stage.merge("web", json!({"spec": {"deletionPolicy": "Delete"}})).await;
    stage.delete("web").await;
    stage.until_gone("web").await;
    assert_eq!(stage.sim.dump()[REGION]["images"][0], before);
}

#[tokio::test]
async fn with_adopt_the_source_becomes_the_replica_of_its_region() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0"]);
    let mut manifest = manifest("web", &["1.0"], &[REGION, "eu-west-1"]);
    manifest["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(true);

    stage.apply(&manifest).await;
    stage.until_ready("web").await;
    assert_eq!(stage.replica("web", "1.0", REGION).await, source_id("1.0"));
    assert_eq!(live_images(&stage.sim).len(), 2);
    assert_eq!(stage.sim.count("CopyImage"), 1);
    let owner = format!("test/{}/web", stage.namespace);
    let source = live_images(&stage.sim).into_iter().find(|i| i.id == source_id("1.0")).unwrap();
    assert_eq!(source.tags["amiops.dev/owner"], owner);
    assert_eq!(snapshots(&stage.sim, REGION)[&source.snapshots[0]]["amiops.dev/owner"], owner);
}

#[tokio::test]
async fn an_image_of_another_account_cannot_be_adopted() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    let theirs = ec2sim::SeedImage {
        id: Some(source_id("1.0")),
        account: Some("222222222222".into()),
        shared_with: vec!["111111111111".into()],
        ..Default::default()
    };
    stage.sim.seed_image(theirs).unwrap();
    let mut manifest = manifest("web", &["1.0"], &[REGION]);
    manifest["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(true);

    stage.apply(&manifest).await;
    let words = ["belongs to account 222222222222, so it cannot be adopted", "take out adopt: true"];
    stage.until_condition("web", "Ready", false, &words).await;
    stage.until_condition("web", "Stalled", true, &words).await;

    manifest["spec"]["versions"][0]["source"]["image"]["adopt"] = json!(false);
    stage.apply(&manifest).await;
    stage.until_ready("web").await;
}
