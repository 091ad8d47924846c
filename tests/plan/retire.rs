//! What goes: versions that have left the list, failed copies, and snapshots without their image.

use amiops::plan::tags;
use amiops::plan::{ImageState, Plan, Sight, Usage, candidates, regions_in_question};

use crate::fixtures::*;

/// One listed version in one region, without a word on retention.
const LISTED: &str = "
versions:
- {version: 2.0.0, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-2.0.0}}}
regions: [{region: eu-west-1}]
";

fn keeping(last: u32) -> World {
    complete(&format!("{LISTED}retention: {{keepLast: {last}}}\n"))
}

/// The versions that a plan deregisters, in its order.
fn deregistered(plan: &Plan) -> Vec<String> {
    let gone = plan.steps.iter().filter(|s| s.action.verb() == "Deregister");
    gone.map(|s| s.action.version().unwrap().to_string()).collect()
}

#[test]
fn without_retention_every_version_stays() {
    let mut world = complete(LISTED);
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    let plan = world.plan();
    assert_eq!((plan.steps, plan.departures), (vec![], vec![]));
}

#[test]
fn a_listed_version_never_goes() {
    let mut world = keeping(0);
    world.observed.usage.insert("ami-2.0.0-eu-west-1".into(), Usage::Unused);
    let plan = world.plan();
    assert_eq!((plan.steps, plan.departures), (vec![], vec![]));
}

#[test]
fn of_the_versions_that_left_the_newest_are_kept() {
    // How many are kept, and which go.
    let cases: [(u32, &[&str]); 5] =
        [(0, &["1.2.0", "1.1.0", "1.3.0"]), (1, &["1.1.0", "1.3.0"]), (2, &["1.3.0"]), (3, &[]), (9, &[])];
    for (keep, goes) in cases {
        let mut world = keeping(keep);
        world.hold_left("eu-west-1", "1.3.0", "2026-01-01T00:00:00Z");
        world.hold_left("eu-west-1", "1.2.0", "2026-03-01T00:00:00Z");
        world.hold_left("eu-west-1", "1.1.0", "2026-02-01T00:00:00Z");
        let mut expected: Vec<_> = goes.iter().map(|v| (*v).to_owned()).collect();
        expected.sort();
        let mut gone = deregistered(&world.plan());
        gone.sort();
        assert_eq!(gone, expected, "keepLast: {keep}");
    }
}

#[test]
fn versions_released_at_the_same_time_are_ordered_by_name() {
    let mut world = keeping(1);
    for version in ["1.1.0", "1.3.0", "1.2.0"] {
        world.hold_left("eu-west-1", version, "2026-01-01T00:00:00Z");
    }
    assert_eq!(deregistered(&world.plan()), ["1.1.0", "1.2.0"]);
}

#[test]
fn a_version_without_a_release_date_is_as_old_as_its_image() {
    let mut world = keeping(1);
    world.hold_left("eu-west-1", "1.1.0", "2026-11-21T00:00:00Z");
    world.hold_left("eu-west-1", "1.0.0", "");
    // Its image was made on the 22nd.
    assert_eq!(deregistered(&world.plan()), ["1.1.0"]);
}

#[test]
fn a_version_without_a_release_date_is_as_old_as_its_youngest_image() {
    for (first, second) in [("eu-west-1", "us-east-1"), ("us-east-1", "eu-west-1")] {
        let mut world = keeping(1);
        world.hold("us-east-1", "2.0.0");
        world.hold_left("eu-west-1", "1.1.0", "2026-11-21T00:00:00Z");
        for (region, created) in [(first, "2026-11-20T00:00:00Z"), (second, "2026-11-23T00:00:00Z")] {
            world.hold_left(region, "1.0.0", "");
            world.image(region, &id(region, "1.0.0")).created = Some(at(created));
        }
        assert_eq!(deregistered(&world.plan()), ["1.1.0"]);
    }
}

#[test]
fn the_same_versions_are_kept_in_every_region() {
    let mut world = keeping(1);
    world.hold("us-east-1", "2.0.0");
    world.hold_left("eu-west-1", "1.1.0", "2026-02-01T00:00:00Z");
    world.hold_left("us-east-1", "1.0.0", "2026-01-01T00:00:00Z");
    assert_eq!(deregistered(&world.plan()), ["1.0.0"]);
}

#[test]
fn versions_go_from_regions_that_left_the_manifest_too() {
    let mut world = keeping(0);
    world.hold("us-east-1", "2.0.0");
    world.hold_left("us-east-1", "1.0.0", "2026-01-01T00:00:00Z");
    assert_eq!(deregistered(&world.plan()), ["1.0.0"]);
}

#[test]
fn a_departure_tells_its_reason() {
    let mut world = keeping(3);
    for n in 0..4 {
        world.hold_left("eu-west-1", &format!("1.{n}.0"), &format!("2026-0{}-01T00:00:00Z", n + 1));
    }
    let plan = world.plan();
    let departure = departure(&plan, "ami-1.0.0-eu-west-1");
    assert_eq!(
        departure.reason.to_string(),
        "the version has left the list and is not among the 3 newest that are kept"
    );
    assert_eq!((departure.version.as_str(), departure.region.as_str()), ("1.0.0", "eu-west-1"));
}

#[test]
fn a_pending_copy_of_a_version_that_left_is_cancelled() {
    let mut world = keeping(0);
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    world.image("eu-west-1", "ami-1.0.0-eu-west-1").state = ImageState::Pending;
    assert_eq!(deregistered(&world.plan()), ["1.0.0"]);
}

#[test]
fn an_image_of_somebody_else_never_goes() {
    let taken_over: [Change; 3] = [
        |w| _ = w.image("eu-west-1", "ami-1.0.0-eu-west-1").tags.remove(tags::OWNER),
        |w| _ = w.image("eu-west-1", "ami-1.0.0-eu-west-1").tags.insert(tags::OWNER.into(), "other/images/web".into()),
        |w| w.image("eu-west-1", "ami-1.0.0-eu-west-1").made_from = None,
    ];
    for change in taken_over {
        let mut world = keeping(0);
        world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
        change(&mut world);
        let plan = world.plan();
        assert_eq!((deregistered(&plan), plan.departures), (vec![], vec![]));
    }
}

#[test]
fn a_failed_copy_goes_once_another_has_taken_its_place() {
    for state in [ImageState::Available, ImageState::Pending, ImageState::Failed] {
        let mut world = complete(LISTED);
        world.hold_failed("eu-west-1", "2.0.0", 1, minutes(60));
        world.image("eu-west-1", "ami-2.0.0-eu-west-1").state = state;
        let two = world.tags("2.0.0", 2);
        world.image("eu-west-1", "ami-2.0.0-eu-west-1").tags = two;
        let goes = "deregister ami-failed-1 (2.0.0) in eu-west-1 and delete its snapshots \
                    (the copy failed and another has taken its place)";
        assert!(world.steps().contains(&goes.to_owned()), "{state:?}: {:?}", world.steps());
    }
}

#[test]
fn a_failed_copy_goes_when_the_region_has_an_image_of_its_version_whatever_the_attempt() {
    let mut world = complete(LISTED);
    world.hold_failed("eu-west-1", "2.0.0", 2, minutes(60));
    assert_eq!(deregistered(&world.plan()), ["2.0.0"]);
    assert!(departure(&world.plan(), "ami-failed-2").blocked_by.is_none());
}

#[test]
fn the_last_failed_copy_of_a_listed_version_stays_to_tell_its_cause() {
    let mut world = world(LISTED);
    world.hold_failed("eu-west-1", "2.0.0", 1, minutes(60));
    assert_eq!(deregistered(&world.plan()), [""; 0]);
}

#[test]
fn a_failed_copy_of_a_version_that_left_goes_whatever_is_kept() {
    let mut world = complete(LISTED);
    world.hold_failed("eu-west-1", "1.0.0", 1, minutes(60));
    assert_eq!(
        world.steps(),
        ["deregister ami-failed-1 (1.0.0) in eu-west-1 and delete its snapshots \
          (the copy failed and is not asked for any more)"]
    );
}

#[test]
fn a_failed_copy_in_a_region_that_left_the_manifest_goes() {
    let mut world = complete(LISTED);
    world.hold_failed("eu-west-1", "2.0.0", 2, minutes(60));
    world.desired.regions.remove(&"eu-west-1".into());
    assert_eq!(deregistered(&world.plan()), ["2.0.0"]);
}

#[test]
fn nobody_is_asked_who_uses_a_failed_copy() {
    let mut world = complete(LISTED);
    world.hold_failed("eu-west-1", "1.0.0", 1, minutes(60));
    assert!(candidates(&world.desired, &world.observed).is_empty());
}

#[test]
fn a_failed_copy_does_not_count_among_the_versions_that_are_kept() {
    let mut world = keeping(1);
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    world.hold_failed("eu-west-1", "1.1.0", 1, minutes(60));
    assert_eq!(deregistered(&world.plan()), ["1.1.0"]);
}

#[test]
fn a_pending_copy_takes_the_place_of_no_version_that_is_kept_and_stays_where_it_would_be_kept() {
    // How many are kept, and which go.
    let cases: [(u32, &[&str]); 4] =
        [(0, &["1.0.0", "1.1.0", "1.2.0", "1.3.0"]), (1, &["1.0.0", "1.1.0"]), (2, &["1.0.0"]), (3, &[])];
    for (keep, goes) in cases {
        let mut world = keeping(keep);
        for (version, month) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3), ("1.3.0", 4)] {
            world.hold_left("eu-west-1", version, &format!("2026-0{month}-01T00:00:00Z"));
        }
        world.image("eu-west-1", "ami-1.3.0-eu-west-1").state = ImageState::Pending;
        let mut gone = deregistered(&world.plan());
        gone.sort();
        assert_eq!(gone, goes, "keepLast: {keep}");
    }
}

#[test]
fn a_version_whose_images_the_last_look_missed_takes_the_place_of_no_other() {
    let mut world = keeping(1);
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    world.hold_left("eu-west-1", "1.1.0", "2026-02-01T00:00:00Z");
    assert_eq!(deregistered(&world.plan()), ["1.0.0"]);
    world.image("eu-west-1", "ami-1.1.0-eu-west-1").sight = Sight::Missed;
    assert_eq!(deregistered(&world.plan()), [""; 0]);
}

#[test]
fn a_version_whose_region_cannot_be_seen_takes_the_place_of_no_other() {
    let mut world = keeping(1);
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    world.hold_left("us-west-2", "1.1.0", "2026-02-01T00:00:00Z");
    assert_eq!(deregistered(&world.plan()), ["1.0.0"]);
    world.region("us-west-2").trouble = Some(trouble("Timeout", "no answer"));
    assert_eq!(deregistered(&world.plan()), [""; 0]);
}

/// What holds the last place may have gone since its region was listed.
#[test]
fn before_an_image_goes_the_regions_of_all_versions_that_have_left_the_list_are_looked_at() {
    let regions = |world: &World| {
        let regions = regions_in_question(&world.desired, &world.observed);
        regions.iter().map(|region| region.to_string()).collect::<Vec<_>>()
    };
    let mut world = keeping(1);
    world.hold_left("us-west-2", "1.1.0", "2026-02-01T00:00:00Z");
    assert_eq!(regions(&world), [""; 0], "nothing is to go");
    world.hold_left("eu-west-1", "1.0.0", "2026-01-01T00:00:00Z");
    assert_eq!(regions(&world), ["eu-west-1", "us-west-2"]);
}

#[test]
fn a_failed_copy_is_kept_while_it_is_protected_or_cannot_be_seen() {
    let cases: [(Change, &str); 2] = [
        (|w| w.image("eu-west-1", "ami-failed-1").protected = true, "it is protected from deregistration"),
        (|w| w.region("eu-west-1").trouble = Some(trouble("Timeout", "no answer")), "the region cannot be seen"),
    ];
    for (change, sentence) in cases {
        let mut world = complete(LISTED);
        world.hold_failed("eu-west-1", "1.0.0", 1, minutes(60));
        change(&mut world);
        let plan = world.plan();
        assert_eq!(deregistered(&plan), [""; 0]);
        assert!(departure(&plan, "ami-failed-1").blocked_by.as_deref().unwrap().starts_with(sentence));
    }
}
