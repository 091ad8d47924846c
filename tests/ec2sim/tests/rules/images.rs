//! Listing, sharing and ending images.

use std::collections::BTreeSet;

use crate::client::{ACCOUNT, Client, Fixture, OTHER, REGION, SOURCE_REGION, world, world_with};
use ec2sim::{Effect, Fault, SeedImage, SeedInstance, SeedKey, SeedLaunchTemplate};
use jiff::SignedDuration;

/// The pages of a list of images, each with the ids that are on it.
fn pages(client: &Client) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let mut params = vec![("Owner.1", "self"), ("MaxResults", "5")];
        if !token.is_empty() {
            params.push(("NextToken", token.as_str()));
        }
        let page = client.ec2("DescribeImages", &params);
        pages.push(page.texts("imageId"));
        match page.texts("nextToken").first() {
            Some(next) => token.clone_from(next),
            None => return pages,
        }
    }
}

fn seed_twelve(world: &Fixture) {
    for number in 0..12 {
        world.seed(SeedImage { name: Some(format!("web-{number}")), ..SeedImage::default() });
    }
}

#[test]
fn a_list_is_paged_without_losing_or_repeating_an_image() {
    let world = world();
    seed_twelve(&world);
    let pages = pages(&world.client_of(ACCOUNT, SOURCE_REGION));
    assert!(pages.iter().all(|page| page.len() <= 5));
    let seen: BTreeSet<_> = pages.iter().flatten().collect();
    assert_eq!((seen.len(), pages.concat().len()), (12, 12));
}

#[test]
fn a_list_can_begin_with_an_empty_page() {
    let world = world_with(|config| config.begins_empty = true);
    seed_twelve(&world);
    let pages = pages(&world.client_of(ACCOUNT, SOURCE_REGION));
    assert!(pages[0].is_empty());
    assert_eq!(pages.concat().len(), 12);
}

#[test]
fn a_page_size_is_refused_outside_its_bounds_and_beside_ids() {
    let world = world();
    let client = world.client();
    for size in ["0", "1001", "many"] {
        assert_eq!(client.ec2("DescribeImages", &[("MaxResults", size)]).code(), "InvalidParameterValue");
    }
    let both = [("MaxResults", "5"), ("ImageId.1", "ami-00000000000000000")];
    assert_eq!(client.ec2("DescribeImages", &both).code(), "InvalidParameterCombination");
    assert_eq!(client.ec2("DescribeImages", &[("NextToken", "zz")]).code(), "InvalidNextToken");
}

#[test]
fn what_is_not_known_is_refused() {
    let world = world();
    let client = world.client();
    assert_eq!(client.ec2("DescribeNatGateways", &[]).code(), "InvalidAction");
    assert_eq!(client.ec2("DescribeImages", &[("Colour", "red")]).code(), "UnknownParameter");
    let filter = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")];
    assert_eq!(client.ec2("DescribeImages", &filter).code(), "InvalidParameterValue");
    assert_eq!(client.ec2("DeregisterImage", &[]).code(), "MissingParameter");
    assert_eq!(client.ec2("DescribeImages", &[("DryRun", "true")]).code(), "DryRunOperation");
}

#[test]
fn others_see_an_image_only_once_it_is_shared_and_not_its_tags() {
    let world = world();
    let tags = [("team".to_owned(), "web".to_owned())].into();
    let image = world.seed(SeedImage { tags, ..SeedImage::default() });
    let owner = world.client_of(ACCOUNT, SOURCE_REGION);
    let other = world.client_of(OTHER, SOURCE_REGION);
    let look = [("ImageId.1", image.as_str())];
    assert_eq!(other.ec2("DescribeImages", &look).code(), "InvalidAMIID.NotFound");
    let share = [("ImageId", image.as_str()), ("LaunchPermission.Add.1.UserId", OTHER)];
    assert_eq!(owner.ec2("ModifyImageAttribute", &share).code(), "OK");
    assert!(other.ec2("DescribeImages", &look).texts("tagSet").is_empty());
    let shared = [("Owner.1", "self"), ("ExecutableBy.1", OTHER)];
    assert_eq!(owner.ec2("DescribeImages", &shared).texts("imageId"), [image]);
}

#[test]
fn disabling_drops_launch_permissions_and_hides_the_image() {
    let world = world();
    let image = world.seed(SeedImage { shared_with: vec![OTHER.to_owned()], ..SeedImage::default() });
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let named = [("ImageId", image.as_str())];
    assert_eq!(client.ec2("DisableImage", &named).code(), "OK");
    assert!(client.ec2("DescribeImages", &[("Owner.1", "self")]).texts("imageId").is_empty());
    let all = [("Owner.1", "self"), ("IncludeDisabled", "true")];
    assert_eq!(client.ec2("DescribeImages", &all).text("imageState"), "disabled");
    let run = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    assert_eq!(client.ec2("RunInstances", &run).code(), "InvalidAMIID.Unavailable");
    client.ec2("EnableImage", &named);
    let permissions = [("ImageId", image.as_str()), ("Attribute", "launchPermission")];
    assert!(client.ec2("DescribeImageAttribute", &permissions).texts("userId").is_empty());
}

#[test]
fn deregistering_can_delete_snapshots_and_answers_for_each() {
    let world = world();
    let image = world.seed(SeedImage { volumes: 2, ..SeedImage::default() });
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let snapshots = client.ec2("DescribeImages", &[("ImageId.1", &image)]).texts("snapshotId");
    let shared = [
        ("Name", "shares-a-snapshot"),
        ("RootDeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshots[0]),
    ];
    assert_eq!(client.ec2("RegisterImage", &shared).code(), "OK");
    let result = client.ec2("DeregisterImage", &[("ImageId", &image), ("DeleteAssociatedSnapshots", "true")]);
    assert_eq!(result.texts("snapshotId"), snapshots);
    assert_eq!(result.texts("returnCode"), ["skipped", "success"]);
    assert_eq!(client.ec2("DeleteSnapshot", &[("SnapshotId", &snapshots[0])]).code(), "InvalidSnapshot.InUse");
    assert_eq!(client.ec2("DeleteSnapshot", &[("SnapshotId", &snapshots[1])]).code(), "InvalidSnapshot.NotFound");
    assert_eq!(client.ec2("DeregisterImage", &[("ImageId", &image)]).code(), "InvalidAMIID.Unavailable");
}

#[test]
fn snapshots_stay_when_the_caller_may_not_delete_them() {
    let world = world();
    let image = world.seed(SeedImage::default());
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let snapshot = client.ec2("DescribeImages", &[("ImageId.1", &image)]).text("snapshotId");
    world.sim.add_fault(Fault::new(Effect::Deny).operation("DeleteSnapshot"));
    let result = client.ec2("DeregisterImage", &[("ImageId", &image), ("DeleteAssociatedSnapshots", "true")]);
    assert_eq!(result.texts("returnCode"), ["missing-permissions"]);
    assert_eq!(client.ec2("DescribeSnapshots", &[("SnapshotId.1", &snapshot)]).code(), "OK");
}

#[test]
fn a_deregistered_image_can_still_be_listed_for_a_while() {
    let world = world_with(|config| config.stale_listing = SignedDuration::from_secs(5));
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    client.ec2("DeregisterImage", &[("ImageId", &image)]);
    assert_eq!(client.state(&image), "available");
    world.pass(SignedDuration::from_secs(5));
    assert_eq!(client.ec2("DescribeImages", &[("ImageId.1", &image)]).code(), "InvalidAMIID.NotFound");
}

#[test]
fn protection_with_a_cooldown_holds_for_a_day_after_it_is_switched_off() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let named = [("ImageId", image.as_str())];
    let protect = [("ImageId", image.as_str()), ("WithCooldown", "true")];
    client.ec2("EnableImageDeregistrationProtection", &protect);
    assert_eq!(client.ec2("DeregisterImage", &named).code(), "OperationNotPermitted");
    client.ec2("DisableImageDeregistrationProtection", &named);
    assert_eq!(client.ec2("DeregisterImage", &named).code(), "OperationNotPermitted");
    world.pass(SignedDuration::from_hours(24));
    assert_eq!(client.ec2("DeregisterImage", &named).code(), "OK");
}

#[test]
fn references_are_the_callers_own_instances_templates_and_parameters() {
    let world = world();
    let image = world.source();
    let region = SOURCE_REGION.to_owned();
    let seed = SeedInstance { region: region.clone(), image: image.clone(), ..SeedInstance::default() };
    let instance = world.sim.seed_instance(seed.clone()).unwrap();
    world.sim.seed_instance(SeedInstance { account: Some(OTHER.to_owned()), ..seed }).unwrap();
    let seed = SeedLaunchTemplate { region, image: image.clone(), ..SeedLaunchTemplate::default() };
    let template = world.sim.seed_launch_template(seed).unwrap();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    client.ssm(
        "PutParameter",
        serde_json::json!({"Name": "/web", "Value": image, "Type": "String", "DataType": "aws:ec2:image"}),
    );
    let all = [("ImageId.1", image.as_str()), ("IncludeAllResourceTypes", "true")];
    let place = format!("{SOURCE_REGION}:{ACCOUNT}");
    assert_eq!(
        client.ec2("DescribeImageReferences", &all).texts("arn"),
        [
            format!("arn:aws:ec2:{place}:instance/{instance}"),
            format!("arn:aws:ec2:{place}:launch-template/{template}"),
            format!("arn:aws:ssm:{place}:parameter/web"),
        ]
    );
    let many: Vec<(String, &str)> = (1..=11).map(|n| (format!("ImageId.{n}"), image.as_str())).collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    many.push(("IncludeAllResourceTypes", "true"));
    assert_eq!(client.ec2("DescribeImageReferences", &many).code(), "InvalidParameterValue");
}

#[test]
fn tags_keep_to_their_rules() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let tag =
        |key: &str| client.ec2("CreateTags", &[("ResourceId.1", &image), ("Tag.1.Key", key), ("Tag.1.Value", "v")]);
    assert_eq!(tag("aws:mine").code(), "InvalidParameterValue");
    assert_eq!(tag(&"k".repeat(128)).code(), "InvalidParameterValue");
    for number in 0..50 {
        assert_eq!(tag(&format!("k{number}")).code(), "OK");
    }
    assert_eq!(tag("one-more").code(), "TagLimitExceeded");
    client.ec2("DeleteTags", &[("ResourceId.1", &image), ("Tag.1.Key", "k0"), ("Tag.1.Value", "other")]);
    client.ec2("DeleteTags", &[("ResourceId.1", &image), ("Tag.1.Key", "k1")]);
    assert_eq!(client.ec2("DescribeTags", &[]).texts("key").len(), 49);
}

#[test]
fn an_account_holds_its_images_in_each_region_apart() {
    let world = world();
    let image = world.source();
    let elsewhere = world.client_of(ACCOUNT, REGION);
    assert_eq!(elsewhere.ec2("DescribeImages", &[("ImageId.1", &image)]).code(), "InvalidAMIID.NotFound");
}

#[test]
fn an_encrypted_image_is_not_made_public() {
    let world = world();
    let key = world.sim.seed_key(SeedKey { region: SOURCE_REGION.to_owned(), ..SeedKey::default() }).unwrap();
    let image = world.seed(SeedImage { encrypted: true, kms_key_id: Some(key), ..SeedImage::default() });
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let public = [("ImageId", image.as_str()), ("LaunchPermission.Add.1.Group", "all")];
    assert_eq!(client.ec2("ModifyImageAttribute", &public).code(), "UnsupportedOperation");
}

#[test]
fn the_deprecation_of_an_image_is_cancelled_only_once_it_is_private() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let permit = |change: &str| client.ec2("ModifyImageAttribute", &[("ImageId", &image), (change, "all")]);
    let cancel = || client.ec2("DisableImageDeprecation", &[("ImageId", &image)]).code();
    permit("LaunchPermission.Add.1.Group");
    assert_eq!(cancel(), "InvalidRequest");
    permit("LaunchPermission.Remove.1.Group");
    assert_eq!(cancel(), "OK");
    assert!(client.ec2("DescribeImages", &[("ImageId.1", &image)]).texts("deprecationTime").is_empty());
}
