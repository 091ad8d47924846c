//! Snapshots of ours whose image is gone.

use amiops::plan::tags;
use amiops::plan::{ImageState, Plan, Sight};

use crate::fixtures::*;

const OLD: &str = "ami-1.4.1-eu-west-1";
const LEFT: &str = "snap-ami-1.4.1-eu-west-1";

/// The image of 1.4.1 is gone since long; its snapshot is still there.
fn left_behind() -> World {
    let mut world = complete(WEB);
    world.hold("eu-west-1", "1.4.1");
    world.region("eu-west-1").images.as_mut().unwrap().retain(|i| i.id.as_str() != OLD);
    world
}

fn deleted(plan: &Plan) -> usize {
    plan.steps.iter().filter(|s| s.action.verb() == "DeleteSnapshot").count()
}

#[test]
fn a_snapshot_whose_image_is_gone_is_deleted() {
    let world = left_behind();
    assert_eq!(world.steps(), ["delete snapshot snap-ami-1.4.1-eu-west-1 (1.4.1) in eu-west-1 (its image is gone)"]);
    assert_eq!(departure(&world.plan(), LEFT).blocked_by, None);
}

#[test]
fn a_snapshot_is_not_left_behind_for_an_hour_after_its_start() {
    let mut world = left_behind();
    world.snapshot("eu-west-1", LEFT).started = Some(now() - minutes(59));
    let plan = world.plan();
    assert_eq!((deleted(&plan), plan.look_again), (0, Some(now() + minutes(1))));
    assert_eq!(
        departure(&plan, LEFT).blocked_by.as_deref(),
        Some("it is not an hour old, and its image may still come to be listed")
    );

    world.now = now() + minutes(1);
    assert_eq!(deleted(&world.plan()), 1);
}

#[test]
fn a_snapshot_from_the_end_of_time_stays() {
    let mut world = left_behind();
    world.snapshot("eu-west-1", LEFT).started = Some(jiff::Timestamp::MAX);
    assert_eq!(deleted(&world.plan()), 0);
}

#[test]
fn a_snapshot_stays_while_something_may_need_it() {
    let cases: [(&str, Change); 9] = [
        ("it is still being made", |w| w.snapshot("eu-west-1", LEFT).pending = true),
        ("it is not ours", |w| w.snapshot("eu-west-1", LEFT).tags.clear()),
        ("it belongs to another object", |w| {
            w.snapshot("eu-west-1", LEFT).tags.insert(tags::OWNER.into(), "default/images/db".into());
        }),
        ("an image has it", |w| {
            let of_another = w.image("eu-west-1", "ami-1.4.2-eu-west-1");
            of_another.snapshots.push(LEFT.into());
        }),
        ("a pending copy of its version may turn out to have it", |w| {
            let copy = w.hold_as("eu-west-1", "1.4.1", "ami-pending", 2);
            copy.state = ImageState::Pending;
        }),
        ("a copy of its version that EC2 does not list yet may have it", |w| {
            w.hold_as("eu-west-1", "1.4.1", "ami-assumed", 2).sight = Sight::Assumed;
        }),
        ("a copy of its version is awaited", |w| {
            w.region("eu-west-1").awaited.insert(version("1.4.1"), minutes(10));
        }),
        ("a copy of its version was asked for and not answered", |w| {
            w.region("eu-west-1").unanswered.insert(version("1.4.1"), minutes(10));
        }),
        ("the region cannot be seen", |w| w.region("eu-west-1").trouble = Some(trouble("Timeout", "no answer"))),
    ];
    for (case, change) in cases {
        let mut world = left_behind();
        change(&mut world);
        assert_eq!(deleted(&world.plan()), 0, "{case}");
    }
}

/// Nothing else may tell of its region, and a process that comes later would not look there.
#[test]
fn a_snapshot_that_cannot_go_yet_is_told_with_what_keeps_it() {
    let mut pending = left_behind();
    pending.snapshot("eu-west-1", LEFT).pending = true;
    assert_eq!(departure(&pending.plan(), LEFT).blocked_by.as_deref(), Some("it is still being made"));

    let mut unseen = left_behind();
    unseen.region("eu-west-1").trouble = Some(trouble("Timeout", "no answer"));
    let told = "the region cannot be seen: no answer";
    assert_eq!(departure(&unseen.plan(), LEFT).blocked_by.as_deref(), Some(told));
}

#[test]
fn a_pending_copy_of_another_version_keeps_nothing() {
    let mut world = left_behind();
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Pending;
    assert_eq!(deleted(&world.plan()), 1);
}

#[test]
fn snapshots_that_were_not_listed_yet_are_left_alone() {
    let mut world = left_behind();
    world.region("eu-west-1").snapshots = None;
    assert_eq!(deleted(&world.plan()), 0);
}

#[test]
fn a_deletion_that_was_refused_waits_for_its_time_and_says_why() {
    let mut world = left_behind();
    world.failed_before(key("DeleteSnapshot", "eu-west-1", LEFT), "a volume lock holds it", minutes(5));
    let plan = world.plan();
    assert_eq!((deleted(&plan), plan.look_again), (0, Some(now() + minutes(5))));
    assert_eq!(departure(&plan, LEFT).blocked_by.as_deref(), Some("a volume lock holds it"));
}
