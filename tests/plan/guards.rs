//! What keeps an image that would go: each guard alone, and the sentence that a person reads.

use amiops::plan::ids::ImageRef;
use amiops::plan::{ImageState, Parameter, Sight, Usage, User, Version, Written, candidates};

use crate::fixtures::*;

const PROD: &str = "/golden/web/prod";

const PRUNE: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.2}}}
regions: [{region: eu-west-1}]
channels: [{name: prod, version: 1.4.2, publish: {ssmParameter: /golden/web/prod}}]
retention: {keepLast: 0}
";

/// The image that goes unless something keeps it.
const OLD: &str = "ami-1.4.1-eu-west-1";

/// A world in which nothing keeps the image of 1.4.1.
fn nothing_keeps_it() -> World {
    let mut world = complete(PRUNE);
    world.parameter("eu-west-1", PROD, "ami-1.4.2-eu-west-1");
    world.hold_left("eu-west-1", "1.4.1", "2026-10-20T09:00:00Z");
    world
}

/// Something that keeps an image: what it is, how it comes about, and how it reads.
type Case = (&'static str, Change, &'static str);

/// The guards that are asked before anybody asks AWS who uses the image.
const GUARDS: [Case; 14] = [
    (
        "the region cannot be seen",
        |w| w.region("eu-west-1").trouble = Some(trouble("Timeout", "eu-west-1 does not answer")),
        "the region cannot be seen: eu-west-1 does not answer",
    ),
    ("EC2 does not list it yet", |w| w.image("eu-west-1", OLD).sight = Sight::Assumed, "EC2 does not list it yet"),
    (
        "a channel points to its version",
        |w| w.desired.channels[0].version = version("1.4.1"),
        "channel prod points to it",
    ),
    (
        "a parameter names it",
        |w| w.parameter("eu-west-1", PROD, OLD).shown.as_mut().unwrap().modified = None,
        "parameter /golden/web/prod names it",
    ),
    (
        "a parameter was just made to name it",
        |w| {
            w.parameter("eu-west-1", PROD, "ami-1.4.2-eu-west-1").written =
                Some(Written { image: OLD.into(), ago: minutes(0), answered: true })
        },
        "parameter /golden/web/prod names it",
    ),
    (
        "a parameter names it whose channel has left the manifest",
        |w| {
            w.desired.channels.clear();
            w.parameter("eu-west-1", PROD, OLD);
        },
        "parameter /golden/web/prod names it",
    ),
    (
        "a parameter cannot be read",
        |w| {
            let denied = trouble("AccessDenied", "not allowed to read it");
            w.region("eu-west-1").parameters.insert(PROD.into(), Err(denied));
        },
        "it counts as in use, because parameter /golden/web/prod cannot be read: not allowed to read it",
    ),
    (
        "a parameter has not been read yet",
        |w| w.region("eu-west-1").parameters.clear(),
        "it counts as in use, because parameter /golden/web/prod has not been read yet",
    ),
    (
        "a listed version is copied from it",
        |w| {
            let source = ImageRef { region: "eu-west-1".into(), id: OLD.into() };
            let listed = Version { name: version("1.5.0"), source, ..w.desired.versions[0].clone() };
            w.desired.versions.push(listed);
        },
        "version 1.5.0 is copied from it",
    ),
    (
        "another manifest is copied from it",
        |w| w.observed.claimed.extend([OLD.into()]),
        "another MachineImage has it as a source",
    ),
    (
        "another manifest cannot be read",
        |w| w.observed.unreadable.extend(["images/db".into()]),
        "it counts as in use, because the MachineImage images/db does not decode and may name it: correct that one",
    ),
    (
        "it is protected",
        |w| w.image("eu-west-1", OLD).protected = true,
        "it is protected from deregistration: disable the protection of ami-1.4.1-eu-west-1 in eu-west-1 to let it go",
    ),
    (
        "the listed version is not there yet",
        |w| w.region("eu-west-1").images.as_mut().unwrap().retain(|i| i.id.as_str() == OLD),
        "this object keeps an available image in eu-west-1, and it is the newest",
    ),
    (
        "the listed version is not available yet",
        |w| w.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Pending,
        "this object keeps an available image in eu-west-1, and it is the newest",
    ),
];

/// What AWS answers when it is asked who uses the image.
const USES: [Case; 4] = [
    (
        "an instance runs from it",
        |w| {
            let by = vec![User::Other("instance i-1".into()), User::Other("launch template lt-1".into())];
            w.observed.usage.insert(OLD.into(), Usage::Used(by));
        },
        "it is in use by instance i-1, launch template lt-1",
    ),
    (
        "very many run from it",
        |w| {
            let by = (1..=7).map(|n| User::Other(format!("instance i-{n}"))).collect();
            w.observed.usage.insert(OLD.into(), Usage::Used(by));
        },
        "it is in use by instance i-1, instance i-2, instance i-3, instance i-4, instance i-5 and 2 more",
    ),
    (
        "who uses it cannot be checked",
        |w| {
            let denied = trouble("UnauthorizedOperation", "give amiops ec2:DescribeImageReferences");
            w.observed.usage.insert(OLD.into(), Usage::Unknown(denied));
        },
        "it counts as in use, because that cannot be checked: give amiops ec2:DescribeImageReferences",
    ),
    ("nobody has asked who uses it", |w| w.observed.usage.clear(), "whether it is in use has not been checked yet"),
];

#[test]
fn an_image_that_nothing_keeps_goes() {
    let world = nothing_keeps_it();
    assert_eq!(
        world.steps(),
        ["deregister ami-1.4.1-eu-west-1 (1.4.1) in eu-west-1 and delete its snapshots \
          (the version has left the list, and none that left is kept)"]
    );
    assert_eq!(departure(&world.plan(), OLD).blocked_by, None);
}

#[test]
fn each_guard_alone_keeps_the_image_and_says_why() {
    for (case, change, sentence) in GUARDS.into_iter().chain(USES) {
        let mut world = nothing_keeps_it();
        change(&mut world);
        let plan = world.plan();
        assert!(!plan.steps.iter().any(|s| s.action.verb() == "Deregister"), "{case}: {:?}", plan.steps);
        assert_eq!(departure(&plan, OLD).blocked_by.as_deref(), Some(sentence), "{case}");
    }
}

#[test]
fn aws_is_asked_who_uses_an_image_only_when_nothing_else_keeps_it() {
    let asked = |world: &World| candidates(&world.desired, &world.observed).into_values().flatten().count();
    assert_eq!(asked(&nothing_keeps_it()), 1);
    for (case, change, _) in GUARDS {
        let mut world = nothing_keeps_it();
        change(&mut world);
        assert_eq!(asked(&world), 0, "{case}");
    }
    for (case, change, _) in USES {
        let mut world = nothing_keeps_it();
        change(&mut world);
        assert_eq!(asked(&world), 1, "{case}");
    }
}

#[test]
fn an_image_that_nobody_was_asked_about_yet_is_asked_about_soon() {
    let mut world = nothing_keeps_it();
    world.observed.usage.clear();
    assert_eq!(world.plan().look_again, Some(now() + minutes(1)));
}

/// Nothing tells when the other one lets it go, and passes may be a day apart.
#[test]
fn an_image_that_another_object_keeps_is_looked_at_again_soon() {
    for keep in ["another manifest is copied from it", "another manifest cannot be read", "a parameter names it"] {
        let (_, change, _) = GUARDS.into_iter().find(|(case, ..)| *case == keep).unwrap();
        let mut world = nothing_keeps_it();
        change(&mut world);
        assert_eq!(world.plan().look_again.map(|at| at <= now() + minutes(5)), Some(true), "{keep}");
    }
}

#[test]
fn a_check_of_use_that_fails_is_told_as_a_problem() {
    let mut world = nothing_keeps_it();
    world.observed.usage.insert(OLD.into(), Usage::Unknown(trouble("UnauthorizedOperation", "give it")));
    let plan = world.plan();
    let problem = problem(&plan, "UnauthorizedOperation");
    assert_eq!((problem.region.clone(), problem.version.clone()), (Some("eu-west-1".into()), Some("1.4.1".into())));
}

#[test]
fn a_deregistration_that_was_refused_waits_for_its_time_and_says_why() {
    let mut world = nothing_keeps_it();
    world.failed_before(key("Deregister", "eu-west-1", OLD), "not allowed to deregister", minutes(5));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(5))));
    assert_eq!(departure(&plan, OLD).blocked_by.as_deref(), Some("not allowed to deregister"));
    assert_eq!(problem(&plan, "UnauthorizedOperation").message, "not allowed to deregister");
}

#[test]
fn of_two_images_that_are_the_last_the_newer_one_stays() {
    let mut world = nothing_keeps_it();
    world.hold_left("eu-west-1", "1.4.0", "2026-09-20T09:00:00Z");
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Pending;
    let plan = world.plan();
    let sentence = "this object keeps an available image in eu-west-1, and it is the newest";
    assert_eq!(departure(&plan, OLD).blocked_by.as_deref(), Some(sentence));
    assert_eq!(departure(&plan, "ami-1.4.0-eu-west-1").blocked_by, None);
}

#[test]
fn of_two_images_that_are_the_last_the_one_that_the_last_look_showed_stays() {
    let mut world = nothing_keeps_it();
    world.hold_left("eu-west-1", "1.4.0", "2026-09-20T09:00:00Z");
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Pending;
    world.image("eu-west-1", OLD).sight = Sight::Missed;
    let plan = world.plan();
    let sentence = "this object keeps an available image in eu-west-1, and it is the newest";
    assert_eq!(departure(&plan, "ami-1.4.0-eu-west-1").blocked_by.as_deref(), Some(sentence));
}

#[test]
fn an_image_copied_by_hand_does_not_count_as_the_one_that_stays() {
    let mut world = nothing_keeps_it();
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").made_from = None;
    assert!(departure(&world.plan(), OLD).blocked_by.is_some());
}

#[test]
fn a_disabled_image_goes_even_where_none_is_available() {
    let mut world = nothing_keeps_it();
    world.image("eu-west-1", OLD).state = ImageState::Disabled;
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Pending;
    assert_eq!(departure(&world.plan(), OLD).blocked_by, None);
}

#[test]
fn a_parameter_of_another_object_keeps_the_image_that_it_names() {
    let mut world = nothing_keeps_it();
    world.parameter("eu-west-1", "/golden/db/prod", OLD);
    assert_eq!(departure(&world.plan(), OLD).blocked_by.as_deref(), Some("parameter /golden/db/prod names it"));
}

#[test]
fn a_parameter_of_another_region_keeps_nothing_here() {
    let mut world = nothing_keeps_it();
    world.parameter("us-east-1", PROD, OLD);
    assert_eq!(departure(&world.plan(), OLD).blocked_by, None);
}

#[test]
fn a_parameter_that_ssm_has_not_made_yet_keeps_only_what_was_written() {
    let mut world = nothing_keeps_it();
    let written = Some(Written { image: "ami-1.4.2-eu-west-1".into(), ago: minutes(0), answered: true });
    let unconfirmed = Parameter { shown: None, written };
    world.region("eu-west-1").parameters.insert(PROD.into(), Ok(Some(unconfirmed)));
    assert_eq!(departure(&world.plan(), OLD).blocked_by, None);
}
