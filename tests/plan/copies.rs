//! Copies: when one is started, as what, and what a person reads while it is not.

use amiops::api::ReplicaState;
use amiops::plan::ids::ImageRef;
use amiops::plan::tags::{self, Tags};
use amiops::plan::{Action, Class, Copy, ImageState, Reason, Sight, Trouble};

use crate::fixtures::*;

const ONE_REGION: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.2}}}
regions: [{region: eu-west-1}]
";

/// The only step, which is a copy.
fn copy(world: &World) -> (Copy, Reason) {
    let steps = world.plan().steps;
    let [step] = steps.as_slice() else { panic!("one step, not {steps:?}") };
    let Action::Copy(copy) = &step.action else { panic!("a copy, not {step:?}") };
    (copy.clone(), step.reason.clone())
}

#[test]
fn a_missing_image_is_copied_to_every_region_with_the_key_of_that_region() {
    assert_eq!(
        world(WEB).steps(),
        [
            "copy 1.4.2 from us-east-1/ami-src-1.4.2 to eu-west-1 as web-1.4.2, encrypted with alias/golden \
             (the region has no image of this version)",
            "copy 1.4.2 from us-east-1/ami-src-1.4.2 to us-east-1 as web-1.4.2 \
             (the region has no image of this version)",
        ]
    );
}

#[test]
fn a_missing_image_is_reported_as_missing_without_an_error() {
    let plan = world(WEB).plan();
    let replica = replica(&plan, "eu-west-1", "1.4.2");
    assert_eq!((replica.state, &replica.image, &replica.error), (ReplicaState::Missing, &None, &None));
    assert_eq!(plan.problems, []);
}

#[test]
fn a_copy_is_born_with_the_tags_of_the_manifest_and_of_amiops() {
    let mut world = world(ONE_REGION);
    world.desired.tags.insert("team".into(), "web".into());
    let expected = [
        ("amiops.dev/attempt", "1"),
        ("amiops.dev/owner", "default/images/web"),
        ("amiops.dev/released-at", "2026-11-20T09:00:00Z"),
        ("amiops.dev/source", "us-east-1/ami-src-1.4.2"),
        ("amiops.dev/version", "1.4.2"),
        ("team", "web"),
    ];
    let expected: Tags = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    assert_eq!(copy(&world).0.tags, expected);
}

#[test]
fn a_version_without_a_release_date_is_tagged_with_the_date_of_its_source() {
    let mut world = world(ONE_REGION);
    world.desired.versions[0].released_at = None;
    assert_eq!(copy(&world).0.tags["amiops.dev/released-at"], "2026-11-19T06:00:00Z");
}

#[test]
fn the_name_of_a_copy_follows_the_template() {
    let world = world(&format!("{ONE_REGION}nameTemplate: 'golden/{{namespace}}/{{name}}-{{version}}'\n"));
    assert_eq!(copy(&world).0.name, "golden/images/web-1.4.2");
}

#[test]
fn nothing_is_copied_where_an_image_is_there_or_on_its_way() {
    for state in [ImageState::Available, ImageState::Pending, ImageState::Disabled] {
        let mut world = world(ONE_REGION);
        world.hold("eu-west-1", "1.4.2").state = state;
        assert_eq!(world.steps(), [""; 0], "{state:?}");
    }
}

#[test]
fn a_copy_that_ec2_does_not_list_yet_is_not_made_twice() {
    let mut world = world(ONE_REGION);
    let image = world.hold("eu-west-1", "1.4.2");
    (image.state, image.sight) = (ImageState::Pending, Sight::Assumed);
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn an_image_that_was_deregistered_is_copied_anew() {
    let mut world = world(ONE_REGION);
    world.hold("eu-west-1", "1.4.2").state = ImageState::Deregistered;
    assert_eq!(copy(&world).1, Reason::Missing);
}

#[test]
fn an_attempt_follows_the_highest_that_is_known() {
    let cases: [(&str, &[u32], Option<u32>, u32); 6] = [
        ("nothing was ever made", &[], None, 1),
        ("one copy failed", &[1], None, 2),
        ("two copies failed", &[2, 1], None, 3),
        ("an image of an attempt that was made is gone", &[], Some(4), 5),
        ("a later attempt than that of the failed copy was made", &[1], Some(3), 4),
        ("the failed copy is of a later attempt than is remembered", &[3], Some(1), 4),
    ];
    for (case, failed, remembered, expected) in cases {
        let mut world = world(ONE_REGION);
        for attempt in failed {
            world.hold_failed("eu-west-1", "1.4.2", *attempt, minutes(600));
        }
        world.region("eu-west-1").attempts.extend(remembered.map(|n| (version("1.4.2"), n)));
        let copies: Vec<_> = world.plan().steps.into_iter().filter(|s| s.action.verb() == "Copy").collect();
        let [step] = copies.as_slice() else { panic!("{case}: one copy") };
        let Action::Copy(copy) = &step.action else { unreachable!() };
        assert_eq!(copy.attempt, expected, "{case}");
        assert_eq!(copy.tags["amiops.dev/attempt"], expected.to_string(), "{case}");
    }
}

#[test]
fn an_attempt_that_amiops_cannot_have_made_counts_as_the_first() {
    for illegible in ["4294967295", "1000001", "4294967296", "-1", "many", ""] {
        let mut world = world(ONE_REGION);
        let failed = world.hold_failed("eu-west-1", "1.4.2", 1, minutes(600));
        failed.tags.insert(tags::ATTEMPT.into(), illegible.into());
        assert_eq!(copy(&world).0.attempt, 2, "{illegible}");
    }
}

#[test]
fn a_failed_copy_from_the_end_of_time_is_waited_for() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(0)).created = Some(jiff::Timestamp::MAX);
    let plan = world.plan();
    assert_eq!((plan.steps, plan.look_again), (vec![], Some(jiff::Timestamp::MAX)));
}

#[test]
fn a_new_attempt_says_why_the_last_failed() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(60));
    assert_eq!(copy(&world).1.to_string(), "the last copy failed: Given key ID is not accessible");
}

#[test]
fn a_failed_copy_that_holds_the_name_and_is_protected_is_told_and_not_tried_against() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(60)).protected = true;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(
        problem(&plan, "FailedCopyProtected").message,
        "ami-failed-1, a failed copy, holds the name 'web-1.4.2' in eu-west-1, and somebody protected it from \
         deregistration: disable the protection to have it copied anew"
    );
}

#[test]
fn a_failed_copy_that_holds_the_name_makes_room_for_the_next_and_the_plan_says_so() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(60));
    assert_eq!(copy(&world).0.replaces, Some("ami-failed-1".into()));
    assert!(
        world.steps()[0].contains(" as web-1.4.2, in place of ami-failed-1, which failed ("),
        "{:?}",
        world.steps()
    );
}

#[test]
fn a_protected_failed_copy_of_another_name_is_not_in_the_way() {
    let mut world = world(ONE_REGION);
    let failed = world.hold_failed("eu-west-1", "1.4.2", 1, minutes(60));
    (failed.protected, failed.name) = (true, "web-before".into());
    assert_eq!((copy(&world).0.attempt, copy(&world).0.replaces), (2, None));
}

#[test]
fn a_failed_copy_waits_longer_after_each_attempt() {
    // The attempt that failed, and how many minutes must pass after it.
    for (attempt, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (6, 32), (7, 60), (40, 60)] {
        let mut world = world(ONE_REGION);
        world.hold_failed("eu-west-1", "1.4.2", attempt, minutes(0));
        let due = now() + minutes(wait);

        world.now = "2026-11-24T12:00:59Z".parse::<jiff::Timestamp>().unwrap().max(due - minutes(1));
        if world.now < due {
            let plan = world.plan();
            assert_eq!((plan.steps.len(), plan.look_again), (0, Some(due)), "before, attempt {attempt}");
        }
        world.now = due;
        assert_eq!(copy(&world).0.attempt, attempt + 1, "after, attempt {attempt}");
    }
}

#[test]
fn a_failed_copy_is_told_with_its_cause_and_what_to_do() {
    let cases = [
        (None, "check the source and its snapshots, and the default encryption key of the region"),
        (
            Some("alias/golden"),
            "check that the KMS key alias/golden exists in eu-west-1, is enabled, and may be used by amiops",
        ),
    ];
    for (kms_key, advice) in cases {
        let mut world = world(ONE_REGION);
        world.desired.regions.insert("eu-west-1".into(), kms_key.map(str::to_owned));
        world.hold_failed("eu-west-1", "1.4.2", 1, minutes(0));
        let plan = world.plan();
        let expected = format!(
            "the copy of 1.4.2 to eu-west-1 failed (ami-failed-1): Given key ID is not accessible. \
             amiops tries again; {advice}"
        );
        let problem = problem(&plan, "CopyFailed");
        assert_eq!((problem.message.as_str(), problem.class), (expected.as_str(), Class::NeedsPerson));
        let replica = replica(&plan, "eu-west-1", "1.4.2");
        assert_eq!((replica.state, replica.error.as_deref()), (ReplicaState::Failed, Some(expected.as_str())));
        assert_eq!(replica.image, Some("ami-failed-1".into()));
    }
}

#[test]
fn a_failed_copy_without_a_cause_says_so() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(60)).state_reason = None;
    assert_eq!(copy(&world).1, Reason::CopyFailed { cause: "EC2 gives no reason".into() });
}

#[test]
fn a_pass_that_was_asked_for_does_not_wait_after_a_failed_copy() {
    let mut world = world(ONE_REGION);
    world.hold_failed("eu-west-1", "1.4.2", 3, minutes(0));
    world.observed.requested = true;
    assert_eq!(copy(&world).0.attempt, 4);
}

#[test]
fn a_copy_known_to_exist_under_an_unknown_id_is_waited_for() {
    let mut world = world(ONE_REGION);
    world.region("eu-west-1").awaited.insert(version("1.4.2"), minutes(10));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(10))));
    assert_eq!(
        replica(&plan, "eu-west-1", "1.4.2").error.as_deref(),
        Some("EC2 says that this copy was started before; waiting until EC2 lists it")
    );
}

#[test]
fn a_copy_that_was_waited_for_long_enough_is_made_by_the_next_attempt() {
    let mut world = world(ONE_REGION);
    world.region("eu-west-1").attempts.insert(version("1.4.2"), 1);
    assert_eq!(copy(&world).0.attempt, 2);
}

#[test]
fn a_copy_that_was_not_answered_is_asked_for_again_as_the_same_attempt() {
    let mut world = world(ONE_REGION);
    world.region("eu-west-1").unanswered.insert(version("1.4.2"), minutes(10));
    assert_eq!(copy(&world).0.attempt, 1);
}

#[test]
fn only_the_version_that_is_awaited_waits() {
    let mut world = world(ONE_REGION);
    world.region("eu-west-1").awaited.insert(version("1.4.1"), minutes(10));
    assert_eq!(copy(&world).0.version, version("1.4.2"));
}

#[test]
fn what_stands_in_the_way_at_the_source_is_told() {
    let unlooked = "the source ami-src-1.4.2 in us-east-1 has not been looked up yet";
    let pending = "the source ami-src-1.4.2 in us-east-1 is pending: it is copied once it is available";
    let failed = "the source ami-src-1.4.2 in us-east-1 is failed: name an image that is available";
    let disabled = "the source ami-src-1.4.2 in us-east-1 is disabled: name an image that is available";
    let gone = "the source ami-src-1.4.2 in us-east-1 is deregistered: name an image that is available";
    let in_state = |state| {
        let image = source(&ImageRef { region: "us-east-1".into(), id: "ami-src-1.4.2".into() });
        Some(Ok(amiops::plan::Image { state, ..image }))
    };
    let cases = [
        (None, Class::Transient, "SourceUnknown", unlooked),
        (in_state(ImageState::Pending), Class::Transient, "SourceNotAvailable", pending),
        (in_state(ImageState::Failed), Class::NeedsPerson, "SourceNotAvailable", failed),
        (in_state(ImageState::Disabled), Class::NeedsPerson, "SourceNotAvailable", disabled),
        (in_state(ImageState::Deregistered), Class::NeedsPerson, "SourceNotAvailable", gone),
        (
            Some(Err(Trouble::new(Class::NeedsPerson, "InvalidAMIID.NotFound", "share it"))),
            Class::NeedsPerson,
            "InvalidAMIID.NotFound",
            "share it",
        ),
    ];
    for (found, class, code, message) in cases {
        let mut world = world(ONE_REGION);
        let reference = world.desired.versions[0].source.clone();
        world.observed.sources = found.into_iter().map(|answer| (reference.clone(), answer)).collect();
        let plan = world.plan();
        assert_eq!(plan.steps, [], "{message}");
        let problem = problem(&plan, code);
        assert_eq!((problem.class, problem.message.as_str()), (class, message));
        assert_eq!(replica(&plan, "eu-west-1", "1.4.2").error.as_deref(), Some(message));
    }
}

#[test]
fn a_copy_that_was_refused_is_tried_again_when_its_time_has_come() {
    let mut world = world(ONE_REGION);
    let refused = |world: &mut World, wait| {
        let copy = key("Copy", "eu-west-1", "1.4.2");
        world.failed_before(copy, "not allowed to copy: give amiops ec2:CopyImage", wait);
    };
    refused(&mut world, minutes(5));

    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(5))));
    let problem = problem(&plan, "UnauthorizedOperation");
    assert_eq!(problem.message, "not allowed to copy: give amiops ec2:CopyImage");
    assert_eq!((problem.region.clone(), problem.version.clone()), (Some("eu-west-1".into()), Some("1.4.2".into())));
    assert_eq!(replica(&plan, "eu-west-1", "1.4.2").error.as_deref(), Some(problem.message.as_str()));

    refused(&mut world, minutes(0));
    assert_eq!(copy(&world).0.attempt, 1);
}

#[test]
fn a_refusal_in_one_region_holds_up_no_other() {
    let mut world = world(WEB);
    world.failed_before(key("Copy", "eu-west-1", "1.4.2"), "not allowed to copy", minutes(5));
    assert_eq!(
        world.steps(),
        ["copy 1.4.2 from us-east-1/ami-src-1.4.2 to us-east-1 as web-1.4.2 (the region has no image of this version)"]
    );
}
