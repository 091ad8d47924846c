//! The manifest as the planner reads it, and the sentence for what it cannot act on.

use std::time::Duration;

use amiops::api::{DeletionPolicy, MachineImage};
use amiops::plan::ids::{ImageRef, Owner};
use amiops::plan::{Class, Desired, Version};

use crate::fixtures::*;

const FULL: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-0aa, adopt: true}}}
- {version: 1.4.1, source: {image: {region: us-east-1, id: ami-0bb}}}
regions: [{region: us-east-1}, {region: eu-west-1, kmsKeyId: alias/golden}]
nameTemplate: 'golden-{namespace}.{name}.{version}'
tags: {team: web}
channels:
- {name: prod, version: 1.4.1, publish: {ssmParameter: /golden/web/prod}}
- {name: next, version: 1.4.2}
retention: {keepLast: 3}
deletionPolicy: Delete
suspend: true
interval: 1h30m
";

#[test]
fn every_field_is_read() {
    let full = desired(FULL);
    let source = |id: &str| ImageRef { region: "us-east-1".into(), id: id.into() };
    let version = |name: &str, id: &str, adopt, released_at| Version {
        name: name.into(),
        source: source(id),
        adopt,
        released_at,
        image_name: format!("golden-images.web.{name}"),
    };
    assert_eq!(
        full.versions,
        [version("1.4.2", "ami-0aa", true, Some(at("2026-11-20T09:00:00Z"))), version("1.4.1", "ami-0bb", false, None),]
    );
    assert_eq!(full.regions, [("eu-west-1".into(), Some("alias/golden".into())), ("us-east-1".into(), None)].into());
    assert_eq!(full.tags, [("team".to_owned(), "web".to_owned())].into());
    let channels: Vec<_> = full.channels.iter().map(|c| (c.name.as_str(), c.version.as_str())).collect();
    assert_eq!(channels, [("prod", "1.4.1"), ("next", "1.4.2")]);
    let parameters: Vec<_> = full.channels.iter().map(|c| c.parameter.as_ref().map(|p| p.as_str())).collect();
    assert_eq!(parameters, [Some("/golden/web/prod"), None]);
    assert_eq!((full.keep_last, full.deletion_policy), (Some(3), DeletionPolicy::Delete));
    assert_eq!((full.suspended, full.deleting, full.interval), (true, false, Duration::from_mins(90)));
}

#[test]
fn what_is_left_out_keeps_everything_and_looks_every_ten_minutes() {
    let small = desired(WEB);
    assert_eq!((small.keep_last, small.deletion_policy), (None, DeletionPolicy::Retain));
    assert_eq!((small.suspended, small.interval), (false, Duration::from_mins(10)));
    assert_eq!((small.channels.len(), small.versions[0].image_name.as_str()), (0, "web-1.4.2"));
}

#[test]
fn the_owner_is_the_installation_the_namespace_and_the_name() {
    let desired = Desired::parse(&manifest(WEB), "blue").unwrap();
    assert_eq!(desired.owner.to_string(), "blue/images/web");
    assert_eq!(Owner::parse("blue/images/web"), Some(desired.owner));
}

#[test]
fn an_object_with_a_deletion_timestamp_is_being_deleted() {
    let mut object = manifest(FULL);
    object.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    let desired = Desired::parse(&object, "default").unwrap();
    assert!(desired.deleting && desired.retires_all());
}

#[test]
fn only_a_deleted_object_with_the_policy_delete_retires_all() {
    let cases = [
        (false, DeletionPolicy::Delete, false),
        (true, DeletionPolicy::Retain, false),
        (true, DeletionPolicy::Delete, true),
    ];
    for (deleting, deletion_policy, expected) in cases {
        let desired = Desired { deleting, deletion_policy, ..desired(WEB) };
        assert_eq!(desired.retires_all(), expected, "{deleting} {deletion_policy:?}");
    }
}

#[test]
fn a_manifest_that_cannot_be_acted_on_says_what_to_write() {
    let long = "x".repeat(125);
    let with = |change: &dyn Fn(&mut MachineImage)| {
        let mut object = manifest(WEB);
        change(&mut object);
        object
    };
    let template = |text: &str| with(&|o| o.spec.name_template = text.to_owned());
    let channel = || amiops::api::Channel { name: "prod".into(), version: "1.4.0".into(), publish: None };
    let cases = [
        (with(&|o| o.spec.versions.clear()), "spec.versions is empty: list at least one"),
        (with(&|o| o.spec.regions.clear()), "spec.regions is empty: list at least one"),
        (
            with(&|o| o.spec.channels = vec![channel()]),
            "channel 'prod' points to version '1.4.0', which spec.versions does not list",
        ),
        (
            template(&format!("{long}-{{version}}")),
            &format!(
                "spec.nameTemplate makes the image name '{long}-1.4.2' for version 1.4.2, which has 131 characters; \
                 EC2 allows 3 to 128"
            ),
        ),
        (
            template("ab"),
            "spec.nameTemplate makes the image name 'ab' for version 1.4.2, which has 2 characters; EC2 allows 3 to 128",
        ),
        (with(&|o| o.metadata.name = None), "metadata.name is missing"),
        (with(&|o| o.metadata.namespace = None), "metadata.namespace is missing"),
    ];
    for (object, sentence) in cases {
        assert_eq!(Desired::parse(&object, "default").unwrap_err().to_string(), sentence);
    }
}

#[test]
fn a_name_of_exactly_the_bounds_of_ec2_is_accepted() {
    for length in [3, 128] {
        let mut object = manifest(WEB);
        object.spec.name_template = "x".repeat(length);
        assert_eq!(Desired::parse(&object, "default").unwrap().versions[0].image_name.len(), length);
    }
}

#[test]
fn intervals_are_read_as_people_write_them() {
    let cases = [("1m", 60), ("90s", 90), ("1h30m", 5400), ("24h", 86400)];
    for (text, seconds) in cases {
        assert_eq!(desired(&format!("{WEB}interval: {text}")).interval, Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn an_interval_that_is_no_duration_or_out_of_bounds_is_refused() {
    let cases =
        ["", "soon", "10", "10 m", "-10m", "1h-5m", "m", "59s", "24h1s", "0m", "500ms", "1e3s", "99999999999999999h"];
    for text in cases {
        let mut object = manifest(WEB);
        object.spec.interval = text.into();
        assert_eq!(
            Desired::parse(&object, "default").unwrap_err().to_string(),
            format!("spec.interval '{text}' is not a duration between 1m and 24h: write one like 10m or 1h30m")
        );
    }
}

#[test]
fn trouble_is_tried_again_after_twice_the_time_up_to_a_bound_of_its_class() {
    // The class, the first wait, the second, and the longest, in seconds.
    let cases = [
        (Class::Transient, 5, 10, 300),
        (Class::Throttled, 30, 60, 600),
        (Class::NeedsPerson, 15, 30, 600),
        (Class::Terminal, 60, 120, 3600),
    ];
    for (class, first, second, most) in cases {
        let waits = [0, 1, 2, 31, u32::MAX].map(|count| class.retry_after(count).as_secs());
        assert_eq!(waits, [first, first, second, most, most], "{class:?}");
    }
}

#[test]
fn an_ownership_tag_has_three_parts() {
    for text in ["", "a", "a/b", "a/b/c/d"] {
        assert_eq!(Owner::parse(text), None, "{text}");
    }
}

#[test]
fn a_source_tag_is_a_region_and_an_id() {
    let parsed = ImageRef::parse("us-east-1/ami-0aa").unwrap();
    assert_eq!((parsed.region.as_str(), parsed.id.as_str()), ("us-east-1", "ami-0aa"));
    assert_eq!(ImageRef::parse("ami-0aa"), None);
}
