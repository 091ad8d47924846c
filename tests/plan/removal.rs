//! The object on its way out, and the object that is suspended.

use amiops::plan::tags;
use amiops::plan::{Failure, ImageState, PARAMETER_NOT_OURS, Parameter, Plan, Sight, Usage, User, Written};

use crate::fixtures::{self, *};

const PROD: &str = "/golden/web/prod";

const DELETE: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.2}}}
regions: [{region: eu-west-1}]
channels: [{name: prod, version: 1.4.2, publish: {ssmParameter: /golden/web/prod}}]
deletionPolicy: Delete
";

const IMAGE: &str = "ami-1.4.2-eu-west-1";

/// Everything is as it should be, and the object is being deleted with its images, which nobody uses.
fn deleting() -> World {
    let mut world = complete(DELETE);
    world.desired.deleting = true;
    world.observed.usage.insert(IMAGE.into(), Usage::Unused);
    world
}

/// The object is being deleted, and nothing of it is left.
fn empty() -> World {
    let mut world = world(DELETE);
    world.desired.deleting = true;
    world
}

fn verbs(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|s| s.action.verb()).collect()
}

#[test]
fn the_parameter_goes_before_the_image_that_it_names() {
    let mut world = deleting();
    world.parameter("eu-west-1", PROD, IMAGE);
    assert_eq!(
        world.steps(),
        ["remove parameter /golden/web/prod in eu-west-1 \
          (the MachineImage is being deleted with deletionPolicy: Delete)"]
    );
    assert_eq!(departure(&world.plan(), IMAGE).blocked_by.as_deref(), Some("parameter /golden/web/prod names it"));
}

#[test]
fn a_channel_of_an_object_that_is_being_deleted_tells_what_its_parameter_names_and_moves_no_more() {
    let mut world = deleting();
    world.parameter("eu-west-1", PROD, "ami-old");
    let plan = world.plan();
    let told = landing(&plan, "prod", "eu-west-1");
    let error = told.error.as_deref();
    assert_eq!((told.image.as_deref(), error), (Some("ami-old"), Some("the MachineImage is being deleted")));
    assert!(!verbs(&plan).contains(&"Publish"));
}

/// The controller does a few such steps at a time, and looks anew at everything in between.
#[test]
fn a_step_says_whether_it_takes_something_away() {
    let mut published = deleting();
    published.parameter("eu-west-1", PROD, IMAGE);
    let mut left_behind = deleting();
    left_behind.region("eu-west-1").images = Some(vec![]);
    let mut untagged = complete(DELETE);
    untagged.image("eu-west-1", IMAGE).tags.remove(tags::RELEASED_AT);
    let worlds = [published, deleting(), left_behind, world(DELETE), untagged];
    let steps = worlds.iter().flat_map(|world| world.plan().steps);
    assert_eq!(
        steps.map(|step| (step.action.verb(), step.action.removes())).collect::<Vec<_>>(),
        [
            ("Unpublish", true),
            ("Deregister", true),
            ("DeleteSnapshot", true),
            ("Copy", false),
            ("Tag", false),
            ("Publish", false)
        ]
    );
}

#[test]
fn listed_versions_go_with_the_object_although_they_are_the_last_of_their_region() {
    assert_eq!(
        deleting().steps(),
        ["deregister ami-1.4.2-eu-west-1 (1.4.2) in eu-west-1 and delete its snapshots \
          (the MachineImage is being deleted with deletionPolicy: Delete)"]
    );
}

#[test]
fn snapshots_go_with_the_object_without_a_grace() {
    let mut world = empty();
    world.hold("eu-west-1", "1.4.2");
    world.region("eu-west-1").images = Some(vec![]);
    world.snapshot("eu-west-1", "snap-ami-1.4.2-eu-west-1").started = Some(now());
    assert_eq!(verbs(&world.plan()), ["DeleteSnapshot"]);
}

#[test]
fn failed_and_pending_copies_go_with_the_object() {
    let mut world = empty();
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(0));
    world.hold("eu-west-1", "1.4.1").state = ImageState::Pending;
    world.observed.usage.insert("ami-1.4.1-eu-west-1".into(), Usage::Unused);
    assert_eq!(verbs(&world.plan()), ["Deregister", "Deregister"]);
}

#[test]
fn a_source_that_was_handed_over_goes_with_the_object() {
    let mut world = deleting();
    world.desired.versions[0].adopt = true;
    let source = world.desired.versions[0].source.clone();
    let mut adopted = fixtures::source(&source);
    adopted.tags = world.tags("1.4.2", 1);
    world.region("us-east-1").images = Some(vec![adopted]);
    world.observed.usage.insert(source.id.clone(), Usage::Unused);
    let gone: Vec<_> = world.plan().departures.into_iter().filter(|d| d.id == source.id.as_str()).collect();
    assert_eq!((gone.len(), gone[0].blocked_by.clone()), (1, None));
}

#[test]
fn what_is_in_use_or_needed_elsewhere_stays_although_the_object_goes() {
    let cases: [(Change, &str); 5] = [
        (
            |w| w.observed.unreadable.extend(["images/db".into()]),
            "it counts as in use, because the MachineImage images/db does not decode and may name it: correct that one",
        ),
        (
            |w| _ = w.observed.usage.insert(IMAGE.into(), Usage::Used(vec![User::Other("instance i-1".into())])),
            "it is in use by instance i-1",
        ),
        (|w| w.observed.usage.clear(), "whether it is in use has not been checked yet"),
        (|w| w.observed.claimed.extend([IMAGE.into()]), "another MachineImage has it as a source"),
        (
            |w| w.image("eu-west-1", IMAGE).protected = true,
            "it is protected from deregistration: disable the protection of ami-1.4.2-eu-west-1 in eu-west-1 to let it go",
        ),
    ];
    for (change, sentence) in cases {
        let mut world = deleting();
        change(&mut world);
        let plan = world.plan();
        assert_eq!((verbs(&plan), plan.all_gone), (vec![], false), "{sentence}");
        assert_eq!(departure(&plan, IMAGE).blocked_by.as_deref(), Some(sentence));
    }
}

#[test]
fn nothing_is_copied_tagged_or_published_for_an_object_that_goes() {
    let mut world = empty();
    world.hold("us-east-1", "1.4.2").tags.remove("team");
    let plan = world.plan();
    assert_eq!(verbs(&plan), [""; 0]);
    assert!(plan.replicas.iter().all(|r| !r.wanted));
}

#[test]
fn all_is_gone_when_every_region_was_seen_and_holds_nothing() {
    let plan = empty().plan();
    assert_eq!((verbs(&plan), plan.all_gone), (vec![], true));
}

#[test]
fn an_object_that_stays_is_never_gone() {
    let mut world = empty();
    world.desired.deleting = false;
    assert!(!world.plan().all_gone);
}

#[test]
fn all_is_not_gone_while_something_is_left_or_cannot_be_seen() {
    let cases: [(&str, Change); 10] = [
        ("an image is left", |w| _ = w.hold("eu-west-1", "1.4.2")),
        ("an image is left in a region that left the manifest", |w| _ = w.hold("us-east-1", "1.4.2")),
        ("a snapshot is left", |w| {
            w.hold("eu-west-1", "1.4.2");
            w.region("eu-west-1").images = Some(vec![]);
        }),
        ("a parameter is left", |w| _ = w.parameter("eu-west-1", PROD, "ami-by-hand")),
        ("the parameter was not read", |w| w.region("eu-west-1").parameters.clear()),
        ("a copy is awaited", |w| {
            w.region("eu-west-1").awaited.insert(version("1.4.2"), minutes(10));
        }),
        ("a copy was asked for and not answered", |w| {
            w.region("eu-west-1").unanswered.insert(version("1.4.2"), minutes(10));
        }),
        ("the images were not listed", |w| w.region("eu-west-1").images = None),
        ("the snapshots were not listed", |w| w.region("eu-west-1").snapshots = None),
        ("the region is in trouble", |w| w.region("eu-west-1").trouble = Some(trouble("Timeout", "no answer"))),
    ];
    for (case, change) in cases {
        let mut world = empty();
        change(&mut world);
        assert!(!world.plan().all_gone, "{case}");
    }
}

#[test]
fn what_is_not_ours_does_not_hold_the_object() {
    let mut world = empty();
    world.hold("eu-west-1", "1.4.2").made_from = None;
    assert!(world.plan().all_gone);
}

#[test]
fn a_snapshot_of_somebody_else_does_not_hold_the_object() {
    let mut world = empty();
    world.hold("eu-west-1", "1.4.2");
    world.region("eu-west-1").images = Some(vec![]);
    world.snapshot("eu-west-1", "snap-ami-1.4.2-eu-west-1").tags.clear();
    assert!(world.plan().all_gone);
}

/// Its tags were changed by hand, so it is not ours; and then it was deregistered by hand.
#[test]
fn the_snapshot_of_an_image_that_was_taken_away_and_seems_to_have_gone_holds_the_object() {
    let mut world = empty();
    world.hold("eu-west-1", "1.4.2").made_from = None;
    assert!(world.plan().all_gone);
    world.image("eu-west-1", IMAGE).sight = Sight::Missed;
    assert!(!world.plan().all_gone);
}

#[test]
fn an_awaited_copy_holds_the_object_only_until_ec2_has_had_its_time() {
    let mut world = empty();
    world.region("eu-west-1").awaited.insert(version("1.4.2"), minutes(10));
    assert_eq!((world.plan().all_gone, world.plan().look_again), (false, Some(now() + minutes(10))));
    assert_eq!(
        problem(&world.plan(), "ListedLate").message,
        "the deletion waits some minutes: a copy of 1.4.2 was asked for in eu-west-1, and EC2 may not list it yet"
    );
    world.region("eu-west-1").awaited.insert(version("1.4.2"), minutes(0));
    assert_eq!((world.plan().all_gone, world.plan().look_again), (false, None), "the next listing tells");
    world.region("eu-west-1").awaited.clear();
    assert!(world.plan().all_gone);
}

#[test]
fn a_parameter_that_cannot_be_read_holds_the_object_and_is_told() {
    let mut world = empty();
    let denied = trouble("AccessDenied", "not allowed to read it");
    world.region("eu-west-1").parameters.insert(PROD.into(), Err(denied));
    let plan = world.plan();
    assert!(!plan.all_gone);
    assert_eq!(problem(&plan, "AccessDenied").message, "not allowed to read it");
}

#[test]
fn a_deletion_says_that_it_waits_for_snapshots_to_be_listed() {
    let mut world = empty();
    world.region("eu-west-1").vanished.insert(IMAGE.into());
    let plan = world.plan();
    assert!(!plan.all_gone);
    assert_eq!(
        problem(&plan, "ListedLate").message,
        "the deletion waits for the snapshots of eu-west-1 to be listed: ami-1.4.2-eu-west-1 is gone, and may have left some"
    );
}

/// Somebody else made it under the name that the channel publishes. It is left alone, so it must not hold the object for ever.
#[test]
fn a_parameter_that_is_not_ours_does_not_hold_the_object() {
    let mut world = empty();
    world.parameter("eu-west-1", PROD, "ami-foreign");
    let unpublish = world.plan().steps[0].action.key();
    let trouble = trouble(PARAMETER_NOT_OURS, "it has no owner tag, so amiops leaves it alone");
    world.observed.failures.insert(unpublish, Failure { trouble, wait: minutes(10) });
    assert!(world.plan().all_gone);
}

/// SSM checks the image of a new parameter for some minutes, and shows it only then.
#[test]
fn a_parameter_that_ssm_has_not_made_yet_holds_the_object_until_it_can_be_removed() {
    let mut world = empty();
    let written = |world: &mut World, ago| {
        let written = Some(Written { image: IMAGE.into(), ago, answered: true });
        let parameter = Parameter { shown: None, written };
        world.region("eu-west-1").parameters.insert(PROD.into(), Ok(Some(parameter)));
    };
    written(&mut world, minutes(0));
    let plan = world.plan();
    assert_eq!((verbs(&plan), plan.all_gone, plan.look_again), (vec![], false, Some(now() + minutes(1))));
    assert!(
        problem(&plan, "ParameterChecked").message.contains("the deletion waits some minutes for /golden/web/prod")
    );

    written(&mut world, minutes(10));
    assert_eq!(verbs(&world.plan()), ["Unpublish"]);
}

/// Removed before, it would come back, and without our tags.
#[test]
fn a_parameter_whose_new_value_ssm_still_checks_holds_the_object_until_it_can_be_removed() {
    let mut world = empty();
    world.parameter("eu-west-1", PROD, "ami-before").written =
        Some(Written { image: IMAGE.into(), ago: minutes(0), answered: true });
    let plan = world.plan();
    assert_eq!((verbs(&plan), plan.all_gone, plan.look_again), (vec![], false, Some(now() + minutes(1))));
    world.parameter("eu-west-1", PROD, IMAGE).written = None;
    assert_eq!(verbs(&world.plan()), ["Unpublish"]);
}

#[test]
fn a_parameter_that_could_not_be_removed_holds_the_object() {
    let mut world = empty();
    world.parameter("eu-west-1", PROD, IMAGE);
    let unpublish = world.plan().steps[0].action.key();
    world.failed_before(unpublish, "not allowed to remove it", minutes(10));
    assert!(!world.plan().all_gone);
}

#[test]
fn with_retain_nothing_is_changed_and_nothing_goes() {
    let mut world = deleting();
    world.desired.deletion_policy = amiops::api::DeletionPolicy::Retain;
    world.desired.keep_last = Some(0);
    world.hold_left("eu-west-1", "1.4.1", "2026-01-01T00:00:00Z");
    world.hold_failed("eu-west-1", "1.4.2", 2, minutes(0));
    world.parameter("eu-west-1", PROD, IMAGE);
    let plan = world.plan();
    assert_eq!((verbs(&plan), plan.departures, plan.look_again), (vec![], vec![], None));
}

#[test]
fn a_suspended_object_changes_nothing_but_still_tells_how_it_stands() {
    let mut world = world(DELETE);
    world.hold_failed("eu-west-1", "1.4.2", 1, minutes(0));
    world.desired.suspended = true;
    let plan = world.plan();
    assert_eq!((verbs(&plan), plan.look_again), (vec![], None));
    assert_eq!((plan.replicas.len(), plan.landings.len(), plan.problems.len()), (1, 1, 1));
}

#[test]
fn a_suspended_object_that_is_deleted_keeps_its_images() {
    let mut world = deleting();
    world.desired.suspended = true;
    let plan = world.plan();
    assert_eq!((verbs(&plan), plan.all_gone), (vec![], false));
    let held = departure(&plan, IMAGE).blocked_by.as_deref();
    assert_eq!(held, Some("the object is suspended (spec.suspend: true)"), "it tells what would go, and why not now");
}

/// A copy that an earlier process has begun may have it, and while it is under way EC2 does not tell so.
#[test]
fn the_snapshots_of_a_deleted_object_stay_while_ec2_may_list_their_images_late() {
    let mut world = empty();
    world.hold("eu-west-1", "1.4.2");
    world.region("eu-west-1").images = Some(vec![]);
    world.observed.listed_late_for = minutes(1);
    assert_eq!((verbs(&world.plan()).len(), world.plan().look_again), (0, Some(now() + minutes(1))));
    world.observed.listed_late_for = minutes(0);
    assert_eq!(verbs(&world.plan()).len(), 1);
}

#[test]
fn an_object_goes_only_when_ec2_has_had_time_to_list_what_an_earlier_process_began() {
    let mut world = empty();
    world.observed.listed_late_for = minutes(1);
    let plan = world.plan();
    assert!(!plan.all_gone);
    assert_eq!(plan.look_again, Some(world.now + minutes(1)));
    assert!(problem(&plan, "ListedLate").message.contains("the deletion waits some minutes"));
    world.observed.listed_late_for = minutes(0);
    assert!(world.plan().all_gone);
}
