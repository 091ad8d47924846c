//! Tags: what was changed is put back, what others added is left alone.

use amiops::plan::tags::{self, Ownership, Tags, missing};
use amiops::plan::{Action, ImageState, Sight, Snapshot};

use crate::fixtures::*;

const IMAGE: &str = "ami-1.4.2-eu-west-1";
const SNAPSHOT: &str = "snap-ami-1.4.2-eu-west-1";

/// What is tagged, and with what.
fn tagged(world: &World) -> Vec<(Vec<String>, Tags)> {
    let tag = |step: amiops::plan::Step| match step.action {
        Action::Tag { resources, tags, .. } => (resources, tags),
        other => panic!("a tag, not {other}"),
    };
    world.plan().steps.into_iter().map(tag).collect()
}

fn pairs(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn nothing_is_tagged_when_all_tags_are_there() {
    assert_eq!(complete(WEB).steps(), [""; 0]);
}

#[test]
fn every_date_of_release_is_read_back_as_it_was_written() {
    let owner = desired(WEB).owner;
    for date in ["2026-11-20T09:00:00Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
        let released_at = Some(at(date));
        let ownership = Ownership {
            owner: owner.clone(),
            version: "1".into(),
            source: None,
            released_at,
            attempt: 1,
            adopted: false,
        };
        assert_eq!(ownership.write()[tags::RELEASED_AT], date);
        assert_eq!(Ownership::read(&ownership.write()), Some(ownership));
    }
}

/// Somebody put it there. A status that tells it is refused by the API server.
#[test]
fn a_date_of_release_that_kubernetes_cannot_write_is_passed_over() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = None;
    world.image("eu-west-1", IMAGE).tags.insert(tags::RELEASED_AT.into(), "-000001-12-31T23:59:59Z".into());
    assert_eq!(tagged(&world), [(vec![IMAGE.to_owned()], pairs(&[(tags::RELEASED_AT, "2026-11-20T09:00:00Z")]))]);
}

#[test]
fn a_tag_that_was_changed_by_hand_is_put_back() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.insert("team".into(), "db".into());
    assert_eq!(
        world.steps(),
        ["tag ami-1.4.2-eu-west-1 of ami-1.4.2-eu-west-1 in eu-west-1: team=web (the tags differ from the manifest)"]
    );
}

#[test]
fn a_tag_that_was_taken_off_a_snapshot_is_put_back() {
    let mut world = complete(WEB);
    world.snapshot("eu-west-1", SNAPSHOT).tags.remove("team");
    assert_eq!(tagged(&world), [(vec![SNAPSHOT.to_owned()], pairs(&[("team", "web")]))]);
}

#[test]
fn an_image_and_its_snapshots_are_corrected_in_one_call() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.remove("team");
    world.snapshot("eu-west-1", SNAPSHOT).tags.clear();
    let expected = world.tags("1.4.2", 1);
    assert_eq!(tagged(&world), [(vec![IMAGE.to_owned(), SNAPSHOT.to_owned()], expected)]);
}

#[test]
fn a_tag_that_is_new_in_the_manifest_reaches_every_image_and_snapshot() {
    let mut world = complete(WEB);
    world.desired.tags.insert("environment".into(), "prod".into());
    let new = pairs(&[("environment", "prod")]);
    let both = |region: &str| vec![id(region, "1.4.2"), format!("snap-{}", id(region, "1.4.2"))];
    assert_eq!(tagged(&world), [(both("eu-west-1"), new.clone()), (both("us-east-1"), new)]);
}

#[test]
fn tags_of_other_people_are_left_alone() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.insert("cost-center".into(), "42".into());
    world.snapshot("eu-west-1", SNAPSHOT).tags.insert("backup".into(), "yes".into());
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn a_pending_copy_is_tagged_like_an_available_one() {
    let mut world = complete(WEB);
    let image = world.image("eu-west-1", IMAGE);
    image.state = ImageState::Pending;
    image.tags.remove("team");
    assert_eq!(tagged(&world).len(), 1);
}

#[test]
fn a_snapshot_that_is_still_being_made_waits_for_its_tags() {
    let mut world = complete(WEB);
    let snapshot = world.snapshot("eu-west-1", SNAPSHOT);
    snapshot.pending = true;
    snapshot.tags.clear();
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn images_that_cannot_be_launched_are_not_tagged() {
    for state in [ImageState::Failed, ImageState::Disabled, ImageState::Deregistered] {
        let mut world = complete(WEB);
        let image = world.image("eu-west-1", IMAGE);
        image.state = state;
        image.tags.remove("team");
        assert!(world.plan().steps.iter().all(|s| s.action.verb() != "Tag"), "{state:?}");
    }
}

#[test]
fn an_image_of_a_version_that_left_the_list_keeps_the_tags_it_had() {
    let mut world = complete(WEB);
    world.hold("eu-west-1", "1.4.1").tags.remove("team");
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn an_image_in_a_region_that_left_the_manifest_keeps_the_tags_it_had() {
    let mut world = complete(WEB);
    world.hold("ap-south-1", "1.4.2").tags.remove("team");
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn an_image_of_another_source_keeps_the_tags_it_had() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.remove("team");
    world.desired.versions[0].source.id = "ami-src-new".into();
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn nothing_is_tagged_in_a_region_in_trouble() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.remove("team");
    world.region("eu-west-1").trouble = Some(trouble("Timeout", "eu-west-1 does not answer"));
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn the_release_date_stays_as_tagged_when_the_manifest_has_none() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = None;
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn of_two_release_dates_the_earlier_is_tagged_everywhere() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = None;
    world.image("eu-west-1", IMAGE).tags.insert(tags::RELEASED_AT.into(), "2026-11-23T00:00:00Z".into());
    assert_eq!(tagged(&world), [(vec![IMAGE.to_owned()], pairs(&[(tags::RELEASED_AT, "2026-11-20T09:00:00Z")]))]);
}

#[test]
fn while_images_of_a_region_cannot_be_seen_no_release_date_is_tagged_that_theirs_may_contradict() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = None;
    world.image("eu-west-1", IMAGE).tags.insert(tags::RELEASED_AT.into(), "2026-11-23T00:00:00Z".into());
    world.snapshot("eu-west-1", SNAPSHOT).tags.remove("team");
    world.region("us-east-1").images = None;
    assert_eq!(tagged(&world), [(vec![SNAPSHOT.to_owned()], pairs(&[("team", "web")]))]);
}

#[test]
fn a_release_date_that_the_manifest_changes_is_tagged_anew() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = Some(at("2026-11-21T00:00:00Z"));
    let date = pairs(&[(tags::RELEASED_AT, "2026-11-21T00:00:00Z")]);
    assert!(tagged(&world).iter().all(|(_, tags)| *tags == date));
    assert_eq!(tagged(&world).len(), 2);
}

#[test]
fn a_fraction_of_a_second_in_the_release_date_is_not_tagged_again_and_again() {
    let mut world = complete(WEB);
    world.desired.versions[0].released_at = Some(at("2026-11-20T09:00:00.5Z"));
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn the_attempt_that_made_an_image_stays_on_it() {
    let mut world = complete(WEB);
    let three = world.tags("1.4.2", 3);
    world.image("eu-west-1", IMAGE).tags = three.clone();
    world.snapshot("eu-west-1", SNAPSHOT).tags = three;
    assert_eq!(world.steps(), [""; 0]);
}

#[test]
fn a_correction_that_was_refused_waits_for_its_time() {
    let mut world = complete(WEB);
    world.image("eu-west-1", IMAGE).tags.remove("team");
    world.failed_before(key("Tag", "eu-west-1", IMAGE), "a tag policy forbids it", minutes(5));
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(5))));
    assert_eq!(problem(&plan, "UnauthorizedOperation").message, "a tag policy forbids it");
}

#[test]
fn ownership_is_read_back_as_it_was_written() {
    let written = complete(WEB).tags("1.4.2", 7);
    assert_eq!(Ownership::read(&written).unwrap().write(), {
        let mut ours = written.clone();
        ours.remove("team");
        ours
    });
}

#[test]
fn tags_that_do_not_name_an_owner_and_a_version_mean_that_it_is_not_ours() {
    let whole = complete(WEB).tags("1.4.2", 1);
    let without = |key: &str| {
        let mut tags = whole.clone();
        tags.remove(key);
        tags
    };
    let owned_by = |owner: &str| {
        let mut tags = whole.clone();
        tags.insert(tags::OWNER.into(), owner.into());
        tags
    };
    let not_ours =
        [Tags::new(), without(tags::OWNER), without(tags::VERSION), owned_by("web"), owned_by("a/b/c/d"), owned_by("")];
    for tags in not_ours {
        assert_eq!(Ownership::read(&tags), None, "{tags:?}");
    }
}

#[test]
fn tags_that_cannot_be_read_count_as_absent() {
    let mut tags = complete(WEB).tags("1.4.2", 3);
    for key in [tags::SOURCE, tags::RELEASED_AT, tags::ATTEMPT] {
        tags.insert(key.into(), "what is this".into());
    }
    let ownership = Ownership::read(&tags).unwrap();
    assert_eq!((ownership.source, ownership.released_at, ownership.attempt), (None, None, 1));
}

#[test]
fn only_tags_that_are_absent_or_different_are_missing() {
    let wanted = pairs(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let present = pairs(&[("a", "1"), ("b", "9"), ("other", "x")]);
    assert_eq!(missing(&wanted, &present), pairs(&[("b", "2"), ("c", "3")]));
}

#[test]
fn of_images_that_share_a_snapshot_the_oldest_alone_tags_it() {
    let mut world = complete(&WEB.replace(
        "versions:",
        "versions:\n- {version: 1.5.0, source: {image: {region: us-east-1, id: ami-src-1.5.0}}}",
    ));
    let older = world.image("eu-west-1", IMAGE);
    older.created = Some(at("2026-11-21T12:00:00Z"));
    let shared = older.snapshots[0].clone();
    world.image("eu-west-1", "ami-1.5.0-eu-west-1").snapshots = vec![shared.clone()];
    let of_younger = |s: &Snapshot| s.id != shared && s.tags[tags::VERSION] == "1.5.0";
    world.region("eu-west-1").snapshots.as_mut().unwrap().retain(|s| !of_younger(s));
    assert_eq!(tagged(&world), []);
}

#[test]
fn an_image_that_ec2_does_not_list_yet_is_not_tagged() {
    let mut world = complete(WEB);
    world.desired.tags.insert("new".into(), "tag".into());
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").sight = Sight::Assumed;
    let regions: Vec<_> = world.plan().steps.iter().map(|s| s.action.region().to_string()).collect();
    assert_eq!(regions, ["us-east-1"]);
}

#[test]
fn an_image_that_the_last_look_missed_is_not_tagged() {
    let mut world = complete(WEB);
    let image = world.image("eu-west-1", IMAGE);
    image.tags.remove("team");
    image.sight = Sight::Missed;
    assert_eq!(tagged(&world), []);
}

#[test]
fn what_was_handed_back_is_not_ours_whatever_its_other_tags_say() {
    let mut tags = complete(WEB).tags("1.4.2", 1);
    tags.insert(tags::ADOPTED.into(), "true".into());
    assert!(Ownership::read(&tags).is_some());
    tags.insert(tags::ADOPTED.into(), tags::HANDED_BACK.into());
    assert_eq!(Ownership::read(&tags), None);
}
