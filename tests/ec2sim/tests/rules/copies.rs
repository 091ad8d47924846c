//! CopyImage.

use crate::client::{ACCOUNT, COPY_TIME, Client, Fixture, OTHER, REGION, SOURCE_REGION, world, world_with};
use ec2sim::{Effect, Fault, OptIn, ReplayDead, SeedImage, SeedKey};
use jiff::SignedDuration;

#[test]
fn a_copy_is_pending_until_the_copy_time_has_passed() {
    let world = world();
    let client = world.client();
    let copy = client.copy(&world.source(), "web-1");
    assert_eq!(client.state(&copy), "pending");
    world.pass(COPY_TIME / 2);
    assert_eq!(client.ec2("DescribeSnapshots", &[("Owner.1", "self")]).text("progress"), "50%");
    world.pass(COPY_TIME / 2);
    assert_eq!(client.state(&copy), "available");
    assert_eq!(client.ec2("DescribeSnapshots", &[("Owner.1", "self")]).text("status"), "completed");
}

#[test]
fn a_copy_names_its_source_and_gets_the_tags_of_the_call_on_image_and_snapshots() {
    let world = world();
    let source = world.source();
    let client = world.client();
    let tags = [
        ("TagSpecification.1.ResourceType", "image"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "web"),
        ("TagSpecification.2.ResourceType", "snapshot"),
        ("TagSpecification.2.Tag.1.Key", "team"),
        ("TagSpecification.2.Tag.1.Value", "disk"),
    ];
    client.try_copy(&source, "web-1", &tags);
    let image = client.ec2("DescribeImages", &[("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "w?b")]);
    assert_eq!(image.text("sourceImageId"), source);
    assert_eq!(image.text("sourceImageRegion"), SOURCE_REGION);
    let snapshot = client.ec2("DescribeSnapshots", &[("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "disk")]);
    assert_eq!(snapshot.text("snapshotId"), image.text("snapshotId"));
}

#[test]
fn a_name_is_taken_once_for_each_account_and_region_and_is_free_after_deregistration() {
    let world = world();
    let source = world.seed(SeedImage { public: true, ..SeedImage::default() });
    let client = world.client();
    let first = client.copy(&source, "web-1");
    assert_eq!(client.try_copy(&source, "web-1", &[]).code(), "InvalidAMIName.Duplicate");
    assert_eq!(world.client_of(OTHER, REGION).try_copy(&source, "web-1", &[]).code(), "OK");
    client.ec2("DeregisterImage", &[("ImageId", &first)]);
    assert_eq!(client.try_copy(&source, "web-1", &[]).code(), "OK");
}

#[test]
fn a_name_can_linger_after_deregistration() {
    let world = world_with(|config| config.name_linger = SignedDuration::from_secs(10));
    let source = world.source();
    let client = world.client();
    let first = client.copy(&source, "web-1");
    client.ec2("DeregisterImage", &[("ImageId", &first)]);
    assert_eq!(client.try_copy(&source, "web-1", &[]).code(), "InvalidAMIName.Duplicate");
    world.pass(SignedDuration::from_secs(10));
    assert_eq!(client.try_copy(&source, "web-1", &[]).code(), "OK");
}

#[test]
fn a_name_outside_the_rules_is_malformed() {
    let world = world();
    let source = world.source();
    let long = "x".repeat(129);
    for name in ["ab", "web:1", &long] {
        assert_eq!(world.client().try_copy(&source, name, &[]).code(), "InvalidAMIName.Malformed", "{name}");
    }
}

#[test]
fn the_same_client_token_makes_one_copy_and_other_parameters_are_a_mismatch() {
    let world = world();
    let source = world.source();
    let client = world.client();
    let token = [("ClientToken", "t-1")];
    let first = client.try_copy(&source, "web-1", &token).text("imageId");
    assert_eq!(client.try_copy(&source, "web-1", &token).text("imageId"), first);
    assert_eq!(client.try_copy(&source, "web-2", &token).code(), "IdempotentParameterMismatch");
    assert_eq!(client.ec2("DescribeImages", &[("Owner.1", "self")]).texts("imageId").len(), 1);
}

#[test]
fn a_token_whose_image_is_dead_answers_as_configured() {
    let replay = |policy| {
        let world = world_with(|config| config.replay_dead = policy);
        let source = world.source();
        let client = world.client();
        let token = [("ClientToken", "t-1")];
        let first = client.try_copy(&source, "web-1", &token).text("imageId");
        client.ec2("DeregisterImage", &[("ImageId", &first)]);
        let again = client.try_copy(&source, "web-1", &token);
        (again.code(), again.status == 200 && again.text("imageId") == first)
    };
    assert_eq!(replay(ReplayDead::SameId), ("OK".to_owned(), true));
    assert_eq!(replay(ReplayDead::NewCopy), ("OK".to_owned(), false));
    assert_eq!(replay(ReplayDead::Mismatch), ("IdempotentParameterMismatch".to_owned(), false));
}

#[test]
fn the_source_must_exist_be_visible_and_be_available() {
    let world = world();
    let client = world.client();
    assert_eq!(client.try_copy("ami-xyz", "web-1", &[]).code(), "InvalidAMIID.Malformed");
    assert_eq!(client.try_copy("ami-00000000000000000", "web-1", &[]).code(), "InvalidAMIID.NotFound");
    let foreign = world.seed(SeedImage { account: Some(OTHER.to_owned()), ..SeedImage::default() });
    assert_eq!(client.try_copy(&foreign, "web-1", &[]).code(), "InvalidAMIID.NotFound");
    let source = world.client_of("111111111111", SOURCE_REGION);
    let pending = source.copy(&world.source(), "pending");
    assert_eq!(client.try_copy(&pending, "web-1", &[]).code(), "InvalidAMIID.Unavailable");
}

#[test]
fn a_shared_image_can_be_copied_only_if_its_snapshots_are_shared_too() {
    let world = world();
    let seed = |share_snapshots| {
        world.seed(SeedImage {
            account: Some(OTHER.to_owned()),
            shared_with: vec!["111111111111".to_owned()],
            share_snapshots,
            ..SeedImage::default()
        })
    };
    assert_eq!(world.client().try_copy(&seed(false), "web-1", &[]).code(), "InvalidRequest");
    assert_eq!(world.client().try_copy(&seed(true), "web-1", &[]).code(), "OK");
}

/// The state and the message of its reason, once a copy has ended.
fn end_of(client: &Client, image: &str) -> (String, Option<String>) {
    let image = client.ec2("DescribeImages", &[("ImageId.1", image)]);
    (image.text("imageState"), image.texts("message").first().cloned())
}

#[test]
fn a_key_that_cannot_be_used_fails_the_copy_after_the_call_was_answered() {
    let world = world();
    let source = world.source();
    let client = world.client();
    let key = |disabled| SeedKey {
        region: REGION.to_owned(),
        alias: Some("alias/golden".to_owned()),
        disabled,
        ..SeedKey::default()
    };
    world.sim.seed_key(key(false)).unwrap();
    let encrypt =
        |name, alias| client.try_copy(&source, name, &[("Encrypted", "true"), ("KmsKeyId", alias)]).text("imageId");
    let (good, unknown) = (encrypt("good", "alias/golden"), encrypt("unknown", "alias/nothing"));
    world.pass(COPY_TIME);
    assert_eq!(end_of(&client, &good), ("available".to_owned(), None));
    let failed = ("failed".to_owned(), Some("Given key ID is not accessible".to_owned()));
    assert_eq!(end_of(&client, &unknown), failed);

    let meanwhile = encrypt("meanwhile", "alias/golden");
    world.sim.seed_key(key(true)).unwrap();
    world.pass(COPY_TIME);
    assert_eq!(end_of(&client, &meanwhile), failed);
}

#[test]
fn copies_in_flight_are_limited_for_each_account_and_region() {
    let world = world_with(|config| config.copies_in_flight = 2);
    let source = world.source();
    let client = world.client();
    client.copy(&source, "web-1");
    let second = client.copy(&source, "web-2");
    assert_eq!(client.try_copy(&source, "web-3", &[]).code(), "ResourceLimitExceeded");
    client.ec2("DeregisterImage", &[("ImageId", &second)]);
    assert_eq!(client.try_copy(&source, "web-3", &[]).code(), "OK");
    world.pass(COPY_TIME);
    assert_eq!(client.try_copy(&source, "web-4", &[]).code(), "OK");
}

#[test]
fn a_fault_can_fail_a_copy_at_its_end() {
    let world = world();
    let source = world.source();
    let client = world.client();
    world.sim.add_fault(Fault::new(Effect::FailCopy { reason: "disk full".to_owned() }).times(1));
    let copy = client.copy(&source, "web-1");
    assert_eq!(client.state(&copy), "pending");
    world.pass(COPY_TIME);
    assert_eq!(end_of(&client, &copy), ("failed".to_owned(), Some("disk full".to_owned())));
}

#[test]
fn a_new_copy_is_listed_late_where_that_is_switched_on() {
    let world = world_with(|config| config.late_listing = SignedDuration::from_secs(2));
    let source = world.source();
    let client = world.client();
    let copy = client.copy(&source, "web-1");
    assert_eq!(client.ec2("DescribeImages", &[("ImageId.1", &copy)]).code(), "InvalidAMIID.NotFound");
    assert!(client.ec2("DescribeImages", &[("Owner.1", "self")]).texts("imageId").is_empty());
    world.pass(SignedDuration::from_secs(2));
    assert_eq!(client.state(&copy), "pending");
}

#[test]
fn a_region_that_is_not_enabled_refuses_every_call() {
    let world = world();
    let client = world.client_of("111111111111", "me-south-1");
    let refused = client.try_copy(&world.source(), "web-1", &[]);
    assert_eq!((refused.status, refused.code().as_str()), (401, "AuthFailure"));
    world.sim.set_opt_in("me-south-1", OptIn::OptedIn).unwrap();
    assert_eq!(client.try_copy("ami-00000000000000000", "web-1", &[]).code(), "InvalidAMIID.NotFound");
}

/// An image that its owner encrypted with a key of its own, and that key.
fn encrypted(world: &Fixture) -> (String, String) {
    let key = world.sim.seed_key(SeedKey { region: SOURCE_REGION.to_owned(), ..SeedKey::default() }).unwrap();
    let seed = SeedImage { encrypted: true, kms_key_id: Some(key.clone()), ..SeedImage::default() };
    (world.seed(seed), key)
}

#[test]
fn an_image_is_not_decrypted_by_copying_it() {
    let world = world();
    let (source, _) = encrypted(&world);
    let snapshot = world.client_of(ACCOUNT, SOURCE_REGION).ec2("DescribeSnapshots", &[]).text("snapshotId");
    let refused = world.client().try_copy(&source, "web-1", &[("Encrypted", "false")]);
    assert_eq!(refused.code(), "InvalidRequest");
    let sentence = "is encrypted. Creating unencrypted copy from an encrypted snapshot is not supported.";
    assert_eq!(refused.message(), format!("Snapshot {snapshot} {sentence}"));
}

#[test]
fn what_is_ones_own_and_encrypted_keeps_its_key_within_the_region_when_encryption_is_asked_for() {
    let world = world();
    let (source, key) = encrypted(&world);
    let here = world.client_of(ACCOUNT, SOURCE_REGION);
    let snapshot = here.ec2("DescribeSnapshots", &[]).text("snapshotId");
    here.try_copy(&source, "web-1", &[("Encrypted", "true")]);
    assert_eq!(here.ec2("DescribeSnapshots", &[]).texts("kmsKeyId"), [key.as_str(), &key]);
    let volume = [("SnapshotId", snapshot.as_str()), ("AvailabilityZone", "us-east-1a"), ("Encrypted", "true")];
    assert_eq!(here.ec2("CreateVolume", &volume).text("kmsKeyId"), key);
    let there = world.client();
    there.try_copy(&source, "web-1", &[("Encrypted", "true")]);
    assert_ne!(there.ec2("DescribeSnapshots", &[]).text("kmsKeyId"), key);
}

#[test]
fn ancestry_goes_back_50_images_at_most() {
    let world = world();
    let client = world.client_of(ACCOUNT, SOURCE_REGION);
    let mut image = world.source();
    for number in 0..50 {
        image = client.copy(&image, &format!("web-{number}"));
        world.pass(COPY_TIME);
    }
    assert_eq!(client.ec2("GetImageAncestry", &[("ImageId", &image)]).texts("imageId").len(), 50);
}
