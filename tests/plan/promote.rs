//! Channels: when one moves, what is written where, and what a person reads while it waits.

use amiops::plan::{Action, Class, ImageState, Parameter, Reason, Shown, Sight, Step, Trouble, Usage, Written};

use crate::fixtures::*;

const PROD: &str = "/golden/web/prod";

/// Two versions in two regions; the channel points to the newer one.
const CHANNEL: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.2}}}
- {version: 1.4.1, releasedAt: '2026-10-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.1}}}
regions: [{region: us-east-1}, {region: eu-west-1}]
channels: [{name: prod, version: 1.4.2, publish: {ssmParameter: /golden/web/prod}}]
";

/// Every image is there, and the parameter names version 1.4.2 in both regions.
fn published() -> World {
    let mut world = complete(CHANNEL);
    for region in ["eu-west-1", "us-east-1"] {
        world.parameter(region, PROD, &id(region, "1.4.2"));
    }
    world
}

/// Something was written a while ago, and SSM shows another value or none (empty).
fn written(world: &mut World, region: &str, shown: &str, image: &str, ago: std::time::Duration) {
    let written = Some(Written { image: image.into(), ago, answered: true });
    let shown = Shown { value: shown.into(), modified: None, is_image: true };
    let parameter = Parameter { shown: Some(shown).filter(|s| !s.value.is_empty()), written };
    world.region(region).parameters.insert(PROD.into(), Ok(Some(parameter)));
}

#[test]
fn a_channel_is_published_in_each_region_with_the_image_of_that_region() {
    assert_eq!(
        complete(CHANNEL).steps(),
        [
            "publish prod=1.4.2 in eu-west-1: /golden/web/prod = ami-1.4.2-eu-west-1 (the parameter does not exist)",
            "publish prod=1.4.2 in us-east-1: /golden/web/prod = ami-1.4.2-us-east-1 (the parameter does not exist)",
        ]
    );
}

#[test]
fn a_channel_that_is_published_needs_nothing_and_tells_since_when() {
    let plan = published().plan();
    assert_eq!(plan.steps, []);
    let landing = landing(&plan, "prod", "eu-west-1");
    assert_eq!(landing.image.as_deref(), Some("ami-1.4.2-eu-west-1"));
    assert_eq!(landing.version, Some(version("1.4.2")));
    assert_eq!((landing.since, &landing.error), (Some(at("2026-11-23T12:00:00Z")), &None));
}

#[test]
fn a_channel_set_to_an_earlier_version_goes_back_in_every_region() {
    let mut world = published();
    world.desired.channels[0].version = version("1.4.1");
    assert_eq!(
        world.steps(),
        [
            "publish prod=1.4.1 in eu-west-1: /golden/web/prod = ami-1.4.1-eu-west-1 \
             (the parameter names ami-1.4.2-eu-west-1)",
            "publish prod=1.4.1 in us-east-1: /golden/web/prod = ami-1.4.1-us-east-1 \
             (the parameter names ami-1.4.2-us-east-1)",
        ]
    );
}

#[test]
fn until_the_parameter_is_written_the_landing_tells_what_it_names() {
    let mut world = published();
    world.desired.channels[0].version = version("1.4.1");
    let plan = world.plan();
    let landing = landing(&plan, "prod", "eu-west-1");
    assert_eq!((landing.version.clone(), &landing.error), (Some(version("1.4.2")), &None));
}

#[test]
fn a_parameter_that_names_an_image_that_is_not_ours_is_put_back() {
    let mut world = published();
    world.parameter("eu-west-1", PROD, "ami-by-hand");
    assert_eq!(
        world.steps(),
        ["publish prod=1.4.2 in eu-west-1: /golden/web/prod = ami-1.4.2-eu-west-1 (the parameter names ami-by-hand)"]
    );
    assert_eq!(landing(&world.plan(), "prod", "eu-west-1").version, None);
}

#[test]
fn a_channel_does_not_move_before_its_version_is_available_in_every_region() {
    let lacks = [ImageState::Pending, ImageState::Failed, ImageState::Disabled, ImageState::Deregistered];
    for state in lacks {
        let mut world = complete(CHANNEL);
        world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = state;
        let plan = world.plan();
        assert!(!plan.steps.iter().any(|s| s.action.verb() == "Publish"), "{state:?}");
        for region in ["eu-west-1", "us-east-1"] {
            assert_eq!(
                landing(&plan, "prod", region).error.as_deref(),
                Some("waits until 1.4.2 is available in eu-west-1"),
                "{state:?}"
            );
        }
    }
}

#[test]
fn a_channel_does_not_move_to_an_image_that_the_last_look_missed_or_that_has_other_content() {
    let changes: [Change; 2] = [
        |w| w.image("eu-west-1", "ami-1.4.2-eu-west-1").sight = Sight::Missed,
        |w| w.desired.versions[0].source.id = "ami-src-new".into(),
    ];
    for change in changes {
        let mut world = complete(CHANNEL);
        change(&mut world);
        assert!(!world.plan().steps.iter().any(|s| s.action.verb() == "Publish"));
    }
}

#[test]
fn a_channel_that_waits_names_every_region_that_it_waits_for() {
    let plan = world(CHANNEL).plan();
    assert_eq!(
        landing(&plan, "prod", "us-east-1").error.as_deref(),
        Some("waits until 1.4.2 is available in eu-west-1, us-east-1")
    );
}

#[test]
fn a_channel_that_waits_keeps_what_it_had() {
    let mut world = complete(CHANNEL);
    world.parameter("eu-west-1", PROD, "ami-1.4.1-eu-west-1");
    world.image("us-east-1", "ami-1.4.2-us-east-1").state = ImageState::Pending;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(landing(&plan, "prod", "eu-west-1").version, Some(version("1.4.1")));
}

#[test]
fn a_region_that_was_never_listed_holds_the_channel_back() {
    let mut world = complete(CHANNEL);
    world.region("eu-west-1").images = None;
    assert_eq!(
        landing(&world.plan(), "prod", "us-east-1").error.as_deref(),
        Some("waits until 1.4.2 is available in eu-west-1")
    );
}

#[test]
fn an_image_copied_by_hand_with_its_tags_is_never_published() {
    let mut world = complete(CHANNEL);
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").made_from = None;
    assert!(!world.plan().steps.iter().any(|s| s.action.verb() == "Publish"));
}

#[test]
fn a_region_in_trouble_is_not_written_to_while_the_others_are() {
    let mut world = complete(CHANNEL);
    world.region("eu-west-1").trouble = Some(trouble("Timeout", "eu-west-1 does not answer"));
    let plan = world.plan();
    let regions: Vec<_> = plan.steps.iter().map(|s| s.action.region().as_str()).collect();
    assert_eq!(regions, ["us-east-1"]);
    assert_eq!(landing(&plan, "prod", "eu-west-1").error.as_deref(), Some("eu-west-1 does not answer"));
}

#[test]
fn a_parameter_that_cannot_be_read_is_not_written() {
    let mut world = complete(CHANNEL);
    let denied = trouble("AccessDenied", "not allowed to read /golden/web/prod: give amiops ssm:GetParameters");
    world.region("eu-west-1").parameters.insert(PROD.into(), Err(denied));
    let plan = world.plan();
    let regions: Vec<_> = plan.steps.iter().map(|s| s.action.region().as_str()).collect();
    assert_eq!(regions, ["us-east-1"]);
    let problem = problem(&plan, "AccessDenied");
    assert_eq!(problem.message, "not allowed to read /golden/web/prod: give amiops ssm:GetParameters");
    assert_eq!(landing(&plan, "prod", "eu-west-1").error.as_deref(), Some(problem.message.as_str()));
}

#[test]
fn the_same_trouble_of_two_channels_is_told_once() {
    let mut world = complete(CHANNEL);
    let mut second = world.desired.channels[0].clone();
    (second.name, second.parameter) = ("next".into(), Some("/golden/web/next".into()));
    world.desired.channels.push(second);
    for parameter in [PROD, "/golden/web/next"] {
        let denied = trouble("AccessDenied", "not allowed to read parameters in eu-west-1");
        world.region("eu-west-1").parameters.insert(parameter.into(), Err(denied));
    }
    problem(&world.plan(), "AccessDenied");
}

#[test]
fn a_parameter_that_was_not_read_yet_is_not_written() {
    let mut world = complete(CHANNEL);
    world.region("eu-west-1").parameters.clear();
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(
        landing(&plan, "prod", "eu-west-1").error.as_deref(),
        Some("parameter /golden/web/prod in eu-west-1 has not been read yet")
    );
}

#[test]
fn ssm_is_given_a_minute_to_check_what_was_written() {
    let mut world = published();
    written(&mut world, "eu-west-1", "", "ami-1.4.2-eu-west-1", minutes(0));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.problems.len()), (0, 0));
    assert_eq!(plan.look_again, Some(now() + std::time::Duration::from_secs(5)));
    assert_eq!(
        landing(&plan, "prod", "eu-west-1").error.as_deref(),
        Some("SSM is checking ami-1.4.2-eu-west-1 for /golden/web/prod in eu-west-1")
    );
}

#[test]
fn a_value_that_ssm_checks_is_looked_for_less_often_the_longer_it_takes() {
    let looks_after = |seconds: u64| {
        let mut world = published();
        let ago = std::time::Duration::from_secs(seconds);
        written(&mut world, "eu-west-1", "ami-1.4.1-eu-west-1", "ami-1.4.2-eu-west-1", ago);
        world.plan().look_again.map(|at| at.duration_since(now()).as_secs())
    };
    assert_eq!([0, 5, 10, 20, 40].map(looks_after), [5, 5, 10, 20, 40].map(Some));
}

#[test]
fn a_value_that_was_written_without_an_answer_is_looked_for_and_after_a_minute_written_again() {
    let mut world = published();
    let written = |ago| Some(Written { image: "ami-1.4.2-eu-west-1".into(), ago, answered: false });
    let put = |world: &mut World, ago| world.parameter("eu-west-1", PROD, "ami-1.4.1-eu-west-1").written = written(ago);
    put(&mut world, minutes(0));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + std::time::Duration::from_secs(5))));
    assert_eq!(
        landing(&plan, "prod", "eu-west-1").error.as_deref(),
        Some(
            "SSM did not answer when ami-1.4.2-eu-west-1 was written to /golden/web/prod in eu-west-1: looking for it"
        )
    );
    put(&mut world, minutes(1));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn a_value_that_ssm_has_not_taken_after_a_minute_is_told_looked_at_each_minute_and_left_for_ten() {
    for ago in [1, 5, 9] {
        let mut world = published();
        written(&mut world, "eu-west-1", "ami-1.4.1-eu-west-1", "ami-1.4.2-eu-west-1", minutes(ago));
        let plan = world.plan();
        assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(1))));
        let problem = problem(&plan, "ParameterNotTaken");
        assert_eq!(
            problem.message,
            "SSM accepted ami-1.4.2-eu-west-1 for /golden/web/prod in eu-west-1 but has not taken it: SSM could not \
             confirm the image. Check that amiops may call ec2:DescribeImages there; it writes again in some minutes"
        );
        assert_eq!(landing(&plan, "prod", "eu-west-1").error.as_deref(), Some(problem.message.as_str()));
    }
}

#[test]
fn a_value_that_ssm_has_not_taken_after_ten_minutes_is_written_again() {
    let mut world = published();
    written(&mut world, "eu-west-1", "ami-1.4.1-eu-west-1", "ami-1.4.2-eu-west-1", minutes(10));
    let reasons: Vec<_> = world.plan().steps.into_iter().map(|s| s.reason).collect();
    assert_eq!(reasons, [Reason::Moved { from: Some("ami-1.4.1-eu-west-1".into()) }]);
}

#[test]
fn a_parameter_that_ssm_never_made_counts_as_absent() {
    let mut world = published();
    written(&mut world, "eu-west-1", "", "ami-1.4.2-eu-west-1", minutes(30));
    let reasons: Vec<_> = world.plan().steps.into_iter().map(|s| s.reason).collect();
    assert_eq!(reasons, [Reason::Moved { from: None }]);
}

#[test]
fn another_value_that_was_just_written_does_not_hold_back_the_right_one() {
    let mut world = published();
    written(&mut world, "eu-west-1", "ami-x", "ami-1.4.1-eu-west-1", minutes(0));
    let steps = world.plan().steps;
    assert!(matches!(steps.as_slice(), [Step { action: Action::Publish { .. }, .. }]), "{steps:?}");
}

/// A channel was moved on and at once back.
#[test]
fn a_channel_has_not_landed_while_ssm_may_still_take_what_was_written_before() {
    let told = |seconds: u64| {
        let mut world = published();
        let ago = std::time::Duration::from_secs(seconds);
        written(&mut world, "eu-west-1", "ami-1.4.2-eu-west-1", "ami-1.4.1-eu-west-1", ago);
        let plan = world.plan();
        assert_eq!(plan.steps, []);
        let looks = plan.look_again.map(|at| at.duration_since(now()).as_secs());
        (landing(&plan, "prod", "eu-west-1").error.clone(), looks)
    };
    let waits = "ami-1.4.1-eu-west-1 was written to /golden/web/prod in eu-west-1 before, and SSM may still take it";
    assert_eq!(told(10), (Some(waits.into()), Some(10)));
    assert_eq!(told(60), (None, Some(60)), "it takes seconds, but nobody can be sure");
    assert_eq!(told(570), (None, Some(30)));
}

#[test]
fn what_could_not_be_read_is_asked_for_again_soon_or_when_somebody_may_have_done_something() {
    let passes = || Trouble::new(Class::Throttled, "ThrottlingException", "slow down");
    let looks = |change: &dyn Fn(&mut World)| {
        let mut world = published();
        change(&mut world);
        world.plan().look_again.map(|at| at.duration_since(now()).as_mins())
    };
    let unread = |why: Trouble| {
        move |w: &mut World| {
            w.region("eu-west-1").parameters.insert("/golden/db/prod".into(), Err(why.clone()));
        }
    };
    let unchecked = |why: Trouble| {
        move |w: &mut World| {
            w.observed.usage.insert("ami-1.4.2-eu-west-1".into(), Usage::Unknown(why.clone()));
        }
    };
    assert_eq!(looks(&|_| {}), None);
    assert_eq!(looks(&unread(passes())), Some(1));
    assert_eq!(looks(&unread(trouble("AccessDenied", "grant it"))), Some(5));
    assert_eq!(looks(&unchecked(passes())), Some(1));
    assert_eq!(looks(&|w| w.region("eu-west-1").trouble = Some(passes())), Some(5), "it is listed by itself");
}

#[test]
fn a_write_that_was_refused_waits_for_its_time() {
    let mut world = complete(CHANNEL);
    let taken = "parameter /golden/web/prod in eu-west-1 exists and belongs to somebody else";
    world.failed_before(key("Publish", "eu-west-1", PROD), taken, minutes(5));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (1, Some(now() + minutes(5))));
    assert_eq!(landing(&plan, "prod", "eu-west-1").error.as_deref(), Some(taken));
    assert_eq!(problem(&plan, "UnauthorizedOperation").class, Class::NeedsPerson);

    world.failed_before(key("Publish", "eu-west-1", PROD), taken, minutes(0));
    assert_eq!(world.plan().steps.len(), 2);
}

#[test]
fn a_channel_without_a_parameter_only_tells_where_its_version_is() {
    let mut world = complete(CHANNEL);
    world.desired.channels[0].parameter = None;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    let landing = landing(&plan, "prod", "eu-west-1");
    assert_eq!(landing.image.as_deref(), Some("ami-1.4.2-eu-west-1"));
    assert_eq!((landing.version.clone(), &landing.error), (Some(version("1.4.2")), &None));
}

#[test]
fn a_channel_without_a_parameter_lands_nowhere_before_it_lands_everywhere() {
    let mut world = complete(CHANNEL);
    world.desired.channels[0].parameter = None;
    world.image("us-east-1", "ami-1.4.2-us-east-1").state = ImageState::Pending;
    let plan = world.plan();
    let landing = landing(&plan, "prod", "eu-west-1");
    assert_eq!((&landing.image, &landing.version), (&None, &None));
    assert_eq!(landing.error.as_deref(), Some("waits until 1.4.2 is available in us-east-1"));
}

#[test]
fn a_channel_lands_only_in_the_regions_of_the_manifest() {
    let mut world = published();
    world.hold("ap-south-1", "1.4.2");
    world.parameter("ap-south-1", PROD, "ami-x");
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.landings.len()), (0, 2));
}
