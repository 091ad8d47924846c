//! Channels: promotion, the way back, and parameters that other people touch.

use ec2sim::{Effect, Fault};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fixtures::aws::{parameter, source_id, ssm};
use crate::fixtures::{InProcess, Stage, manifest};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const PARAMETER: &str = "/golden/web/prod";

fn prod(version: &str) -> Value {
    let mut manifest = manifest("web", &["1.0", "1.1"], &REGIONS);
    manifest["spec"]["channels"] =
        json!([{"name": "prod", "version": version, "publish": {"ssmParameter": PARAMETER}}]);
    manifest
}

/// Whether the parameter of each region names that region's image of a version.
async fn is_published(stage: &Stage, version: &str) -> bool {
    for region in REGIONS {
        let image = stage.replica("web", version, region).await;
        if parameter(&stage.sim, region, PARAMETER) != Some(image) {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_channel_is_promoted_and_rolled_back_and_the_status_tells_since_when_and_what_was_before() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);

    let mut since = Vec::new();
    for version in ["1.0", "1.1", "1.0"] {
        stage.sim.advance(SignedDuration::from_hours(1));
        stage.apply(&prod(version)).await;
        stage.until_ready("web").await;
        assert!(is_published(&stage, version).await, "{version} is not published");
        let status = stage.status("web").await;
        assert_eq!(status.promoted, Some(format!("prod={version}")));
        since.push(status.channels[0].since.clone().unwrap());
    }

    let channel = stage.status("web").await.channels.remove(0);
    let history: Vec<_> = channel.history.iter().map(|h| (h.version.as_str(), h.since.clone())).collect();
    assert_eq!(history, [("1.1", since[1].clone()), ("1.0", since[0].clone())]);
    assert!(since.is_sorted() && since[0] != since[1] && since[1] != since[2], "{since:?}");
    assert_eq!(channel.regions.len(), 2);
    stage.until_event(&["Published", "prod publishes 1.1 in eu-west-1", PARAMETER]).await;
}

#[tokio::test]
async fn a_channel_moves_nowhere_until_its_version_is_available_everywhere() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    let denied = stage.sim.add_fault(Fault::new(Effect::Deny).operation("CopyImage").region("eu-west-1"));

    stage.apply(&prod("1.1")).await;
    stage.until_condition("web", "Promoted", false, &["waits until 1.1 is available in eu-west-1"]).await;
    let available =
        |sim: &ec2sim::Sim| crate::fixtures::aws::copies(sim).iter().filter(|i| i.state == "available").count() == 2;
    stage.until_aws("the other region has its copies", available).await;
    stage.reconcile("web").await;
    assert_eq!(parameter(&stage.sim, "us-east-1", PARAMETER), None);

    stage.sim.clear_fault(denied);
    stage.reconcile("web").await;
    stage.until_ready("web").await;
    assert!(is_published(&stage, "1.1").await);
}

/// Somebody gives the parameter of a region to the object.
fn hand_over(stage: &Stage, region: &str) {
    let tags = json!([{"Key": "amiops.dev/owner", "Value": format!("test/{}/web", stage.namespace)}]);
    let tagging = json!({"ResourceType": "Parameter", "ResourceId": PARAMETER, "Tags": tags});
    ssm(&stage.sim, region, "AddTagsToResource", tagging);
}

#[tokio::test]
async fn a_parameter_that_exists_and_is_not_ours_is_left_alone_and_said_so() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    ssm(&stage.sim, "eu-west-1", "PutParameter", json!({"Name": PARAMETER, "Value": "theirs", "Type": "String"}));

    stage.apply(&prod("1.1")).await;
    let words = [PARAMETER, "eu-west-1", "has no owner tag", "amiops leaves it alone", "choose another parameter"];
    stage.until_condition("web", "Promoted", false, &words).await;
    stage.until_condition("web", "Ready", false, &words).await;
    stage.until_event(&["Warning ParameterNotOurs", "eu-west-1"]).await;
    assert_eq!(parameter(&stage.sim, "eu-west-1", PARAMETER).as_deref(), Some("theirs"));
    let image = stage.replica("web", "1.1", "us-east-1").await;
    assert_eq!(parameter(&stage.sim, "us-east-1", PARAMETER), Some(image));

    hand_over(&stage, "eu-west-1");
    stage.reconcile("web").await;
    // It was made as text, which SSM lets nobody change.
    let words = [PARAMETER, "eu-west-1", "does not have the data type aws:ec2:image", "delete it"];
    stage.until_condition("web", "Promoted", false, &words).await;
    assert_eq!(parameter(&stage.sim, "eu-west-1", PARAMETER).as_deref(), Some("theirs"));

    ssm(&stage.sim, "eu-west-1", "DeleteParameter", json!({"Name": PARAMETER}));
    stage.reconcile("web").await;
    stage.until_ready("web").await;
    assert!(is_published(&stage, "1.1").await);
}

#[tokio::test]
async fn a_parameter_of_images_that_is_handed_over_is_made_to_name_the_channels() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    let image = source_id("1.0");
    let theirs = json!({"Name": PARAMETER, "Value": image, "Type": "String", "DataType": "aws:ec2:image"});
    ssm(&stage.sim, "us-east-1", "PutParameter", theirs);
    hand_over(&stage, "us-east-1");

    stage.apply(&prod("1.1")).await;
    stage.until_ready("web").await;
    assert!(is_published(&stage, "1.1").await);
}

#[tokio::test]
async fn a_channel_is_not_told_to_publish_a_version_when_a_region_names_another_image() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&prod("1.1")).await;
    stage.until_ready("web").await;

    ssm(&stage.sim, "eu-west-1", "DeleteParameter", json!({"Name": PARAMETER}));
    ssm(&stage.sim, "eu-west-1", "PutParameter", json!({"Name": PARAMETER, "Value": "theirs", "Type": "String"}));
    let status = stage.reconcile("web").await.status.unwrap();
    assert_eq!((status.promoted, &status.channels[0].version), (None, &None));
    let history: Vec<_> = status.channels[0].history.iter().map(|h| h.version.as_str()).collect();
    assert_eq!(history, ["1.1"]);
}

/// AWS refuses a whole call for one name that it does not let us read.
#[tokio::test]
async fn a_parameter_that_may_not_be_read_holds_up_only_the_object_that_publishes_it() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.sim.add_fault(Fault::new(Effect::Deny).naming("/other/prod"));
    let mut other = prod("1.0");
    other["metadata"]["name"] = json!("other");
    other["spec"]["channels"][0]["publish"]["ssmParameter"] = json!("/other/prod");

    stage.apply(&other).await;
    stage.until_condition("other", "Promoted", false, &["/other/prod", "AccessDenied"]).await;
    stage.apply(&prod("1.0")).await;
    stage.until_ready("web").await;
    assert!(is_published(&stage, "1.0").await);
}

#[tokio::test]
async fn a_parameter_that_is_written_although_ssm_answers_with_an_error_is_not_written_again() {
    let stage = Stage::with(|config| config.parameter_delay = SignedDuration::from_secs(7)).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.sim.add_fault(Fault::new(Effect::InternalError).operation("PutParameter").times(2));
    stage.apply(&prod("1.0")).await;
    stage.until_ready("web").await;
    assert!(is_published(&stage, "1.0").await);
    assert_eq!(stage.sim.count("PutParameter"), 2, "one in each region");
}

#[tokio::test]
async fn a_parameter_that_was_changed_by_hand_is_put_back() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&prod("1.1")).await;
    stage.until_ready("web").await;

    let change = json!({"Name": PARAMETER, "Value": "by hand", "Type": "String", "Overwrite": true});
    ssm(&stage.sim, "eu-west-1", "PutParameter", change);
    stage.reconcile("web").await;
    assert!(is_published(&stage, "1.1").await);

    ssm(&stage.sim, "us-east-1", "DeleteParameter", json!({"Name": PARAMETER}));
    stage.reconcile("web").await;
    assert!(is_published(&stage, "1.1").await);
}

#[tokio::test]
async fn a_parameter_that_ssm_checks_late_lands_without_a_second_write() {
    let stage = Stage::with(|config| config.parameter_delay = SignedDuration::from_secs(2)).await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);

    stage.apply(&prod("1.1")).await;
    stage.until_condition("web", "Promoted", false, &["SSM is checking"]).await;
    stage.until_ready("web").await;
    assert_eq!(stage.sim.count("PutParameter"), 2);
}

#[tokio::test]
async fn a_channel_without_a_parameter_is_told_in_the_status_only() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    let mut manifest = prod("1.1");
    manifest["spec"]["channels"] = json!([{"name": "staging", "version": "1.1"}]);

    stage.apply(&manifest).await;
    let object = stage.until_ready("web").await;
    assert_eq!(object.status.unwrap().promoted.as_deref(), Some("staging=1.1"));
    assert_eq!(stage.sim.count("PutParameter") + stage.sim.count("GetParameters"), 0);
}

#[tokio::test]
async fn of_two_objects_that_publish_to_one_parameter_the_second_is_told_whose_it_is() {
    let stage = Stage::new().await;
    let _controller = InProcess::start(&stage).await;
    stage.seed(&["1.0", "1.1"]);
    stage.apply(&prod("1.1")).await;
    stage.until_ready("web").await;

    let mut second = prod("1.0");
    second["metadata"]["name"] = json!("second");
    stage.apply(&second).await;
    let whose = format!("belongs to test/{}/web", stage.namespace);
    stage.until_condition("second", "Promoted", false, &[PARAMETER, &whose, "choose another parameter"]).await;
    stage.reconcile("web").await;
    assert!(is_published(&stage, "1.1").await);
}
