//! What several accounts see of each other, and the settings that are off unless a test wants them.

use crate::client::{ACCOUNT, Client, OTHER, REGION, SOURCE_REGION, world, world_with};
use ec2sim::{Membership, OptIn, RetentionRule, SeedImage, SeedKey};
use jiff::SignedDuration;

const ORGANIZATION: &str = "arn:aws:organizations::999999999999:organization/o-abcde12345";

fn sees(client: &Client, image: &str) -> bool {
    client.ec2("DescribeImages", &[("ImageId.1", image)]).code() == "OK"
}

#[test]
fn an_organization_sees_what_is_shared_with_it_while_the_account_is_in_it() {
    let world = world();
    let image = world.source();
    let share = [("ImageId", image.as_str()), ("LaunchPermission.Add.1.OrganizationArn", ORGANIZATION)];
    world.client_of(ACCOUNT, SOURCE_REGION).ec2("ModifyImageAttribute", &share);
    let other = world.client_of(OTHER, SOURCE_REGION);
    assert!(!sees(&other, &image));
    let member = Membership { organization: Some(ORGANIZATION.to_owned()), ..Membership::default() };
    world.sim.set_membership(OTHER, member);
    assert!(sees(&other, &image));
    world.sim.set_membership(OTHER, Membership::default());
    assert!(!sees(&other, &image));
}

#[test]
fn a_filter_by_a_tag_that_others_may_not_see_finds_nothing() {
    let world = world();
    world.seed(SeedImage {
        tags: [("team".to_owned(), "web".to_owned())].into(),
        public: true,
        ..SeedImage::default()
    });
    let filter = [("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "web")];
    let found = |account| {
        let client = world.client_of(account, SOURCE_REGION);
        client.ec2("DescribeImages", &filter).texts("imageId").len()
    };
    assert_eq!((found(ACCOUNT), found(OTHER)), (1, 0));
}

#[test]
fn a_region_can_be_enabled_for_one_account_alone() {
    let world = world();
    let region = "me-south-1";
    world.sim.set_account_opt_in(region, ACCOUNT, OptIn::OptedIn).unwrap();
    let code = |account| {
        let client = world.client_of(account, region);
        client.ec2("DescribeImages", &[]).code()
    };
    assert_eq!(code(ACCOUNT), "OK");
    assert_eq!(code(OTHER), "AuthFailure");
}

#[test]
fn the_key_of_a_shared_image_must_be_shared_to_copy_it() {
    let world = world();
    let copy = |name: &str, shared_with: Vec<String>| {
        let key = SeedKey {
            region: SOURCE_REGION.to_owned(),
            account: Some(OTHER.to_owned()),
            shared_with,
            ..SeedKey::default()
        };
        let source = world.seed(SeedImage {
            account: Some(OTHER.to_owned()),
            encrypted: true,
            kms_key_id: Some(world.sim.seed_key(key).unwrap()),
            shared_with: vec![ACCOUNT.to_owned()],
            ..SeedImage::default()
        });
        let client = world.client();
        let copy = client.copy(&source, name);
        world.pass(crate::client::COPY_TIME);
        client.state(&copy)
    };
    assert_eq!(copy("closed", Vec::new()), "failed");
    assert_eq!(copy("opened", vec![ACCOUNT.to_owned()]), "available");
}

#[test]
fn a_bucket_is_empty_after_its_size_and_fills_by_its_rate() {
    let world = world_with(|config| config.request_limits = true);
    let client = world.client();
    let describe = || client.ec2("DescribeImages", &[]).code();
    assert!((0..100).all(|_| describe() == "OK"));
    assert_eq!(describe(), "RequestLimitExceeded");
    world.pass(SignedDuration::from_millis(50));
    assert_eq!(describe(), "OK");
    assert_eq!(describe(), "RequestLimitExceeded");
}

#[test]
fn a_token_is_forgotten_after_its_life() {
    let world = world_with(|config| config.token_life = Some(SignedDuration::from_hours(24)));
    let source = world.source();
    let client = world.client();
    let copy = |name: &str| client.try_copy(&source, name, &[("ClientToken", "t-1")]);
    assert_eq!(copy("web-1").code(), "OK");
    assert_eq!(copy("web-2").code(), "IdempotentParameterMismatch");
    world.pass(SignedDuration::from_hours(24));
    assert_eq!(copy("web-2").code(), "OK");
}

#[test]
fn a_deregistered_image_can_be_restored_until_it_leaves_the_bin() {
    let world = world();
    let image = world.source();
    let rule = RetentionRule {
        region: SOURCE_REGION.to_owned(),
        resource_type: "image".to_owned(),
        days: Some(2),
        ..RetentionRule::default()
    };
    world.sim.set_retention(rule).unwrap();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let named = [("ImageId", image.as_str())];
    client.ec2("DeregisterImage", &named);
    world.pass(SignedDuration::from_hours(47));
    assert_eq!(client.ec2("RestoreImageFromRecycleBin", &named).code(), "OK");
    assert!(sees(&client, &image));
    client.ec2("DeregisterImage", &named);
    world.pass(SignedDuration::from_hours(48));
    assert_eq!(client.ec2("RestoreImageFromRecycleBin", &named).code(), "InvalidAMIID.NotFound");
}

#[test]
fn what_is_in_the_bin_is_tagged_by_its_owner_and_by_aws_until_it_is_restored() {
    let world = world();
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let snapshot = client.ec2("DescribeSnapshots", &[]).text("snapshotId");
    for kind in ["image", "snapshot"] {
        let rule = RetentionRule {
            region: SOURCE_REGION.to_owned(),
            resource_type: kind.to_owned(),
            days: Some(2),
            ..RetentionRule::default()
        };
        world.sim.set_retention(rule).unwrap();
    }
    client.ec2("DeregisterImage", &[("ImageId", &image), ("DeleteAssociatedSnapshots", "true")]);

    let both = [("ResourceId.1", image.as_str()), ("ResourceId.2", &snapshot)];
    let tag = [&both[..], &[("Tag.1.Key", "team"), ("Tag.1.Value", "web")]].concat();
    assert_eq!(client.ec2("CreateTags", &tag).code(), "OK");
    assert_eq!(world.client_of(OTHER, SOURCE_REGION).ec2("CreateTags", &tag).code(), "InvalidAMIID.NotFound");
    let keys = || client.ec2("DescribeTags", &[]).texts("key");
    assert_eq!(keys(), ["aws:recycle-bin:resource-in-bin", "team"].repeat(2));

    client.ec2("RestoreSnapshotFromRecycleBin", &[("SnapshotId", &snapshot)]);
    client.ec2("RestoreImageFromRecycleBin", &[("ImageId", &image)]);
    assert_eq!(keys(), ["team"; 2]);
}

#[test]
fn a_region_that_is_not_enabled_is_shown_when_it_is_named() {
    let world = world();
    let named = [("RegionName.1", "me-south-1")];
    assert_eq!(world.client().ec2("DescribeRegions", &named).text("optInStatus"), "not-opted-in");
}

#[test]
fn new_tags_can_be_seen_late_and_are_refused_at_once() {
    let world = world_with(|config| config.late_tags = SignedDuration::from_secs(5));
    let image = world.source();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let tag = |key: &str| {
        let params = [("ResourceId.1", image.as_str()), ("Tag.1.Key", key), ("Tag.1.Value", "web")];
        client.ec2("CreateTags", &params).code()
    };
    assert_eq!(tag("aws:team"), "InvalidParameterValue");
    assert_eq!(tag("team"), "OK");
    let seen = || client.ec2("DescribeTags", &[]).texts("key").len();
    assert_eq!(seen(), 0);
    world.pass(SignedDuration::from_secs(5));
    assert_eq!(seen(), 1);
}

#[test]
fn the_same_calls_give_the_same_answers() {
    let run = || {
        let world = world();
        let source = world.source();
        let client = world.client_of(ACCOUNT, REGION);
        client.copy(&source, "web-1");
        let here = world.client_of(ACCOUNT, SOURCE_REGION);
        let launch = [("ImageId", source.as_str()), ("MinCount", "1"), ("MaxCount", "2")];
        here.ec2("RunInstances", &launch);
        world.pass(crate::client::COPY_TIME);
        world.sim.dump().to_string()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_view_shows_the_images_snapshots_and_uses_that_a_dump_tells_of() {
    let world = world();
    let source = world.source();
    let copy = world.client_of(ACCOUNT, REGION).copy(&source, "web-1");
    let here = world.client_of(ACCOUNT, SOURCE_REGION);
    here.ec2("RunInstances", &[("ImageId", source.as_str()), ("MinCount", "1"), ("MaxCount", "1")]);
    world.pass(crate::client::COPY_TIME);

    let dump = world.sim.dump();
    let ids = |region: &str, kind: &str| -> Vec<String> {
        dump[region][kind]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v["id"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let mut seen = Vec::new();
    world.sim.view(|view| {
        let images: Vec<_> =
            view.images().map(|i| (i.id.to_owned(), i.copied_from.map(|(_, id)| id.to_owned()))).collect();
        let snapshots: Vec<_> = view.snapshots().map(|s| s.id.to_owned()).collect();
        let uses: Vec<_> = view.uses().map(|u| (u.image.to_owned(), u.by.to_owned())).collect();
        seen.push((view.name().to_owned(), images, snapshots, uses));
    });
    let of = |region: &str| seen.iter().find(|(name, ..)| name == region).unwrap();
    let (_, copies, snapshots, _) = of(REGION);
    assert_eq!(copies, &[(copy, Some(source.clone()))]);
    assert_eq!(snapshots, &ids(REGION, "snapshots"));
    let (_, _, _, uses) = of(SOURCE_REGION);
    assert_eq!(uses, &[(source, ids(SOURCE_REGION, "instances").remove(0))]);
}
