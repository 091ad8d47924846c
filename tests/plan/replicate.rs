//! Replicas: what counts as the image of a version in a region, what is taken over, and what is only reported.

use amiops::api::ReplicaState;
use amiops::plan::ids::ImageRef;
use amiops::plan::tags;
use amiops::plan::{Action, Class, Concern, ImageState, Reason, Sight, Usage, Version, sources_to_look_up};

use crate::fixtures::*;

const ADOPT: &str = "
versions:
- version: 1.4.2
  releasedAt: '2026-11-20T09:00:00Z'
  source: {image: {region: us-east-1, id: ami-src-1.4.2, adopt: true}}
regions: [{region: us-east-1}, {region: eu-west-1}]
";

fn source_ref(version: &str) -> ImageRef {
    ImageRef { region: "us-east-1".into(), id: format!("ami-src-{version}").as_str().into() }
}

#[test]
fn a_complete_world_needs_nothing() {
    let plan = complete(WEB).plan();
    assert_eq!((plan.steps, plan.problems, plan.look_again), (vec![], vec![], None));
}

#[test]
fn a_replica_is_told_with_its_image_and_the_release_of_its_version() {
    let plan = complete(WEB).plan();
    let replica = replica(&plan, "eu-west-1", "1.4.2");
    assert_eq!(replica.image, Some("ami-1.4.2-eu-west-1".into()));
    assert_eq!((replica.state, replica.wanted), (ReplicaState::Available, true));
    assert_eq!(replica.released_at, Some(at("2026-11-20T09:00:00Z")));
}

#[test]
fn the_state_of_an_image_is_told() {
    let cases = [
        (ImageState::Pending, ReplicaState::Pending),
        (ImageState::Available, ReplicaState::Available),
        (ImageState::Disabled, ReplicaState::Disabled),
        (ImageState::Failed, ReplicaState::Failed),
        (ImageState::Deregistered, ReplicaState::Missing),
    ];
    for (state, told) in cases {
        let mut world = complete(WEB);
        world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = state;
        assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").state, told, "{state:?}");
    }
}

#[test]
fn an_image_that_the_last_look_missed_is_told_as_unknown_and_why() {
    let mut world = complete(WEB);
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").sight = Sight::Missed;
    let plan = world.plan();
    let missed = replica(&plan, "eu-west-1", "1.4.2");
    let error = Some("EC2 did not list it at the last look; looking again");
    assert_eq!((missed.state, missed.error.as_deref()), (ReplicaState::Unknown, error));
}

#[test]
fn an_image_of_another_source_is_told_as_a_conflict() {
    let mut world = complete(WEB);
    world.desired.versions[0].source = source_ref("new");
    assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").state, ReplicaState::Conflict);
}

#[test]
fn an_image_of_a_version_that_left_the_list_is_told_as_not_wanted() {
    let mut world = complete(WEB);
    world.hold("eu-west-1", "1.4.1");
    let plan = world.plan();
    let replica = replica(&plan, "eu-west-1", "1.4.1");
    assert_eq!((replica.wanted, replica.state), (false, ReplicaState::Available));
}

#[test]
fn an_image_in_a_region_that_left_the_manifest_is_told_as_not_wanted() {
    let mut world = complete(WEB);
    world.hold("ap-south-1", "1.4.2");
    let plan = world.plan();
    assert!(!replica(&plan, "ap-south-1", "1.4.2").wanted);
    assert_eq!(plan.steps, []);
}

#[test]
fn a_region_that_was_never_listed_is_unknown_and_left_alone_while_the_others_go_on() {
    let mut world = world(WEB);
    world.region("eu-west-1").images = None;
    let plan = world.plan();
    assert_eq!(replica(&plan, "eu-west-1", "1.4.2").state, ReplicaState::Unknown);
    let regions: Vec<_> = plan.steps.iter().map(|s| s.action.region().as_str()).collect();
    assert_eq!(regions, ["us-east-1"]);
}

#[test]
fn a_region_in_trouble_is_told_and_left_alone_while_the_others_go_on() {
    let mut world = world(WEB);
    world.region("eu-west-1").trouble = Some(trouble("OptInRequired", "eu-west-1 is not enabled: enable it"));
    let plan = world.plan();
    let regions: Vec<_> = plan.steps.iter().map(|s| s.action.region().as_str()).collect();
    assert_eq!(regions, ["us-east-1"]);
    let problem = problem(&plan, "OptInRequired");
    assert_eq!(
        (problem.region.clone(), problem.message.as_str()),
        (Some("eu-west-1".into()), "eu-west-1 is not enabled: enable it")
    );
    let error = replica(&plan, "eu-west-1", "1.4.2").error.clone();
    assert_eq!(error.as_deref(), Some("eu-west-1 cannot be listed (OptInRequired): see status.problems"));
}

#[test]
fn what_was_seen_before_the_trouble_is_still_told() {
    let mut world = complete(WEB);
    world.region("eu-west-1").trouble = Some(trouble("Timeout", "eu-west-1 does not answer"));
    let plan = world.plan();
    let replica = replica(&plan, "eu-west-1", "1.4.2");
    let told = "eu-west-1 cannot be listed (Timeout): see status.problems";
    assert_eq!((replica.state, replica.error.as_deref()), (ReplicaState::Available, Some(told)));
}

#[test]
fn an_available_image_counts_before_a_pending_one_and_an_older_before_a_younger() {
    let mut world = complete(WEB);
    world.hold_as("eu-west-1", "1.4.2", "ami-older-pending", 1).state = ImageState::Pending;
    world.image("eu-west-1", "ami-older-pending").created = Some(at("2026-11-20T00:00:00Z"));
    world.hold_as("eu-west-1", "1.4.2", "ami-younger", 1).created = Some(at("2026-11-23T00:00:00Z"));
    assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").image, Some("ami-1.4.2-eu-west-1".into()));
}

#[test]
fn a_pending_image_counts_before_an_older_one_that_is_disabled() {
    let mut world = complete(WEB);
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Disabled;
    let pending = world.hold_as("eu-west-1", "1.4.2", "ami-pending", 2);
    (pending.state, pending.created) = (ImageState::Pending, Some(at("2026-11-23T00:00:00Z")));
    assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").image, Some("ami-pending".into()));
}

#[test]
fn a_second_image_of_a_version_is_left_alone_and_told() {
    let mut world = complete(WEB);
    world.hold_as("eu-west-1", "1.4.2", "ami-second", 2).created = Some(at("2026-11-23T00:00:00Z"));
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(
        problem(&plan, "Duplicate").message,
        "eu-west-1 has more than one image of 1.4.2: ami-1.4.2-eu-west-1 counts, and ami-second is left alone. \
         Deregister what you do not need"
    );
}

#[test]
fn a_disabled_image_is_not_copied_again_but_told() {
    let mut world = complete(WEB);
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Disabled;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(
        problem(&plan, "ImageDisabled").message,
        "ami-1.4.2-eu-west-1, the image of 1.4.2 in eu-west-1, was disabled by somebody: enable it, or deregister it \
         to have it copied anew"
    );
}

#[test]
fn an_image_that_somebody_copied_together_with_its_tags_is_not_ours() {
    let mut world = complete(WEB);
    let copied = world.hold_as("eu-west-1", "1.4.2", "ami-by-hand", 1);
    copied.made_from = Some(ImageRef { region: "eu-west-1".into(), id: "ami-1.4.2-eu-west-1".into() });
    let plan = world.plan();
    assert_eq!((plan.steps, plan.problems), (vec![], vec![]));
}

#[test]
fn an_image_copied_by_hand_does_not_stand_in_for_the_missing_one() {
    let mut world = world(WEB);
    world.hold("eu-west-1", "1.4.2").made_from = None;
    let plan = world.plan();
    assert_eq!(replica(&plan, "eu-west-1", "1.4.2").state, ReplicaState::Missing);
    assert_eq!(plan.steps.len(), 2);
}

#[test]
fn the_image_of_another_object_is_not_ours() {
    let mut world = world(WEB);
    world.hold("eu-west-1", "1.4.2").tags.insert(tags::OWNER.into(), "default/images/db".into());
    assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").state, ReplicaState::Missing);
}

#[test]
fn an_image_whose_source_tag_was_lost_is_known_by_the_source_of_the_manifest() {
    let mut world = complete(WEB);
    world.image("eu-west-1", "ami-1.4.2-eu-west-1").tags.remove(tags::SOURCE);
    let plan = world.plan();
    assert_eq!(replica(&plan, "eu-west-1", "1.4.2").state, ReplicaState::Available);
    assert!(plan.steps.iter().all(|s| matches!(s.action, Action::Tag { .. })));
}

#[test]
fn a_version_whose_content_was_changed_is_not_copied_to_the_regions_that_lack_it() {
    let mut world = complete(WEB);
    *world.region("us-east-1") = listed();
    world.desired.versions[0].source = source_ref("new");
    world.observed.sources.insert(source_ref("new"), Ok(source(&source_ref("new"))));
    let plan = world.plan();
    assert!(plan.steps.iter().all(|s| s.action.version().is_none_or(|v| v.as_str() != "1.4.2")), "{:?}", plan.steps);
    let told = plan.problems.iter().filter(|p| p.code == "SourceChanged" && p.message.contains("a new version"));
    assert_eq!(told.count(), 2, "one for each region: {:?}", plan.problems);
}

#[test]
fn a_source_that_was_changed_needs_a_new_version() {
    let mut world = complete(WEB);
    world.desired.versions[0].source = source_ref("new");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    let expected = "ami-1.4.2-eu-west-1 in eu-west-1 holds 1.4.2 as copied from us-east-1/ami-src-1.4.2, but the manifest \
                    now names us-east-1/ami-src-new as its source. A version never changes its content: give the new \
                    content a new version";
    let problem = plan.problems.iter().find(|p| p.region == Some("eu-west-1".into())).unwrap();
    assert_eq!((problem.message.as_str(), problem.class), (expected, Class::Terminal));
}

#[test]
fn an_adopted_source_is_tagged_in_place_with_its_snapshots_and_copied_to_the_other_regions() {
    let steps = world(ADOPT).steps();
    assert_eq!(
        steps,
        [
            "copy 1.4.2 from us-east-1/ami-src-1.4.2 to eu-west-1 as web-1.4.2 \
             (the region has no image of this version)",
            "tag ami-src-1.4.2, snap-of-ami-src-1.4.2 of ami-src-1.4.2 in us-east-1: amiops.dev/adopted=true, amiops.dev/attempt=1, \
             amiops.dev/owner=default/images/web, amiops.dev/released-at=2026-11-20T09:00:00Z, \
             amiops.dev/source=us-east-1/ami-src-1.4.2, amiops.dev/version=1.4.2 \
             (the manifest hands this image over (adopt: true))",
        ]
    );
}

/// A copy was asked for before the manifest handed the source over, and its answer was lost or told no id.
#[test]
fn a_source_is_not_adopted_while_ec2_may_come_to_list_a_copy_of_it_in_its_region() {
    let cases: [Change; 2] = [
        |w| _ = w.region("us-east-1").unanswered.insert(version("1.4.2"), minutes(10)),
        |w| _ = w.region("us-east-1").awaited.insert(version("1.4.2"), minutes(10)),
    ];
    for change in cases {
        let mut world = world(ADOPT);
        world.hold("eu-west-1", "1.4.2");
        change(&mut world);
        let plan = world.plan();
        assert_eq!((plan.steps.len(), plan.look_again), (0, Some(now() + minutes(10))));
        assert_eq!(
            replica(&plan, "us-east-1", "1.4.2").error.as_deref(),
            Some(
                "adopting waits up to 15 minutes: a copy of this source that was started earlier may still appear in EC2"
            )
        );
    }
}

#[test]
fn a_source_is_not_adopted_while_ec2_may_come_to_list_what_an_earlier_process_has_begun() {
    let mut world = world(ADOPT);
    world.hold("eu-west-1", "1.4.2");
    world.observed.listed_late_for = minutes(10);
    assert_eq!(world.plan().steps.len(), 1, "no earlier process knew of the version");
    world.observed.begun_earlier.insert(version("1.4.2"));
    assert_eq!((world.plan().steps.len(), world.plan().look_again), (0, Some(now() + minutes(10))));
    world.observed.listed_late_for = minutes(0);
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn a_copy_that_ec2_may_come_to_list_is_told_although_nobody_wants_it_any_more() {
    let mut world = complete(ADOPT);
    world.region("us-west-2").unanswered.insert(version("1.4.2"), minutes(10));
    world.region("eu-west-1").awaited.insert(version("1.4.1"), minutes(10));
    let plan = world.plan();
    for (region, version) in [("us-west-2", "1.4.2"), ("eu-west-1", "1.4.1")] {
        let told = replica(&plan, region, version);
        assert_eq!((told.wanted, told.state), (false, ReplicaState::Unknown));
        assert_eq!(told.error.as_deref(), Some("a copy of it may be there that EC2 does not list yet"));
    }
}

#[test]
fn a_region_that_the_manifest_does_not_name_any_more_and_that_cannot_be_seen_does_not_hold_back_its_replicas() {
    let mut world = complete(WEB);
    world.region("us-west-2").trouble = Some(trouble("OptInRequired", "the region is not enabled"));
    assert_eq!(problem(&world.plan(), "OptInRequired").concern, Concern::Prune);
    world.region("eu-west-1").trouble = Some(trouble("Timeout", "no answer"));
    assert_eq!(problem(&world.plan(), "Timeout").concern, Concern::Replicate);
}

#[test]
fn an_adopted_source_is_the_replica_of_its_region() {
    let mut world = world(ADOPT);
    world.hold("eu-west-1", "1.4.2");
    let adopted = world.hold_as("us-east-1", "1.4.2", "ami-src-1.4.2", 1);
    adopted.made_from = Some(ImageRef { region: "us-west-2".into(), id: "ami-base".into() });
    adopted.tags.insert(tags::ADOPTED.into(), "true".into());
    world.snapshot("us-east-1", "snap-ami-src-1.4.2").tags.insert(tags::ADOPTED.into(), "true".into());
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(replica(&plan, "us-east-1", "1.4.2").image, Some("ami-src-1.4.2".into()));
}

#[test]
fn a_source_that_is_handed_over_beside_a_copy_of_it_is_left_alone_and_told() {
    let mut world = world(ADOPT);
    world.hold("eu-west-1", "1.4.2");
    world.hold("us-east-1", "1.4.2");
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(
        problem(&plan, "NotAdopted").message,
        "ami-src-1.4.2 in us-east-1 is not adopted, because 1.4.2 has a copy there already: ami-1.4.2-us-east-1. Take out adopt: true \
         to go on with the copy"
    );
    assert_eq!(replica(&plan, "us-east-1", "1.4.2").state, ReplicaState::Available);
}

#[test]
fn a_source_that_is_not_handed_over_any_more_is_handed_back_and_then_copied() {
    let mut world = taken_back();
    let here = |steps: Vec<String>| steps.into_iter().filter(|s| s.contains(" in us-east-1")).collect::<Vec<_>>();
    assert_eq!(
        here(world.steps()),
        [
            "tag ami-src-1.4.2, snap-ami-src-1.4.2 of ami-src-1.4.2 in us-east-1: amiops.dev/adopted=false (the manifest takes \
          this image back (no adopt: true any more))"
        ]
    );
    let waiting = replica(&world.plan(), "us-east-1", "1.4.2").error.clone();
    assert_eq!(waiting.as_deref(), Some("ami-src-1.4.2 is handed back first, since it is not adopted any more"));

    world.image("us-east-1", "ami-src-1.4.2").tags.insert(tags::ADOPTED.into(), tags::HANDED_BACK.into());
    let copies = world.steps();
    assert!(copies.iter().any(|s| s.starts_with("copy 1.4.2 from us-east-1/ami-src-1.4.2 to us-east-1")), "{copies:?}");
}

#[test]
fn a_copy_of_ours_that_is_the_source_of_another_version_is_not_handed_back() {
    let mut world = complete(WEB);
    let copy = ImageRef { region: "eu-west-1".into(), id: "ami-1.4.2-eu-west-1".into() };
    let chained = Version { name: version("1.4.3"), source: copy, ..world.desired.versions[0].clone() };
    world.desired.versions.push(chained);
    assert!(world.plan().steps.iter().all(|step| step.reason != Reason::TakenBack));
}

#[test]
fn a_source_that_was_handed_back_stays_when_its_version_leaves_the_list() {
    let mut world = taken_back();
    let image = world.image("us-east-1", "ami-src-1.4.2");
    image.tags.insert(tags::ADOPTED.into(), tags::HANDED_BACK.into());
    world.hold("us-east-1", "1.4.3");
    world.desired.versions[0].name = version("1.4.3");
    world.desired.versions[0].source.id = "ami-src-1.4.3".into();
    world.desired.keep_last = Some(0);
    assert!(world.plan().departures.iter().all(|d| d.id != "ami-src-1.4.2"));
}

#[test]
fn a_source_that_was_handed_back_can_be_adopted_again() {
    let mut world = taken_back();
    let image = world.image("us-east-1", "ami-src-1.4.2");
    image.tags.insert(tags::ADOPTED.into(), tags::HANDED_BACK.into());
    let found = image.clone();
    world.desired.versions[0].adopt = true;
    let source = world.desired.versions[0].source.clone();
    world.observed.sources.insert(source, Ok(found));
    assert!(world.plan().steps.iter().any(|s| s.reason.code() == "HandedOver"));
}

#[test]
fn a_source_that_is_not_handed_over_any_more_does_not_go_with_its_object_but_is_handed_back_before() {
    let mut world = taken_back();
    world.desired.deleting = true;
    world.desired.deletion_policy = amiops::api::DeletionPolicy::Delete;
    world.region("eu-west-1").images = Some(vec![]);
    world.region("eu-west-1").snapshots = Some(vec![]);
    let plan = world.plan();
    assert!(plan.departures.iter().all(|d| d.id != "ami-src-1.4.2"));
    let reasons = plan.steps.iter().filter(|s| s.action.region().as_str() == "us-east-1").map(|s| s.reason.code());
    assert_eq!((reasons.collect::<Vec<_>>(), plan.all_gone), (vec!["TakenBack"], false));
    world.image("us-east-1", "ami-src-1.4.2").tags.insert(tags::ADOPTED.into(), tags::HANDED_BACK.into());
    assert!(world.plan().all_gone);
}

/// An image that was adopted by a manifest which now only names it as a source.
fn taken_back() -> World {
    let mut world = world(ADOPT);
    world.hold("eu-west-1", "1.4.2");
    let adopted = world.hold_as("us-east-1", "1.4.2", "ami-src-1.4.2", 1);
    adopted.made_from = None;
    adopted.tags.insert(tags::ADOPTED.into(), "true".into());
    world.observed.usage.insert("ami-src-1.4.2".into(), Usage::Unused);
    world.desired.versions[0].adopt = false;
    world
}

/// The status is all that a controller that has just been started knows of a region that the manifest does not name.
#[test]
fn a_source_that_is_still_to_be_handed_back_is_told_where_its_region_has_left_the_manifest() {
    let mut world = taken_back();
    world.desired.regions.remove(&"us-east-1".into());
    world.region("us-east-1").trouble = Some(trouble("Timeout", "EC2 did not answer"));
    let plan = world.plan();
    let told = replica(&plan, "us-east-1", "1.4.2");
    assert_eq!((told.image.as_ref().map(|i| i.as_str()), told.wanted), (Some("ami-src-1.4.2"), false));
}

/// Two entries of one version and region are refused by the API server, and so the status would never be written again.
#[test]
fn a_source_that_is_still_to_be_handed_back_is_told_as_the_version_that_it_was_adopted_as() {
    let mut world = taken_back();
    let other = Version { name: version("1.4.3"), ..world.desired.versions[0].clone() };
    world.desired.versions[0] = other;
    world.hold("us-east-1", "1.4.3");
    world.desired.regions.remove(&"us-east-1".into());
    world.region("us-east-1").trouble = Some(trouble("Timeout", "EC2 did not answer"));
    let plan = world.plan();
    let told: Vec<_> = plan.replicas.iter().filter(|r| r.region.as_str() == "us-east-1").collect();
    let told: Vec<_> = told.iter().map(|r| (r.version.as_str(), r.image.as_ref().map(|i| i.as_str()))).collect();
    let copy = id("us-east-1", "1.4.3");
    assert_eq!(told, [("1.4.3", Some(copy.as_str())), ("1.4.2", Some("ami-src-1.4.2"))]);
}

#[test]
fn a_source_that_the_last_look_missed_is_not_handed_back() {
    let mut world = taken_back();
    assert_eq!(sentences(&world.plan()).len(), 1);
    world.image("us-east-1", "ami-src-1.4.2").sight = Sight::Missed;
    assert!(world.plan().steps.is_empty(), "{:?}", world.steps());
}

#[test]
fn a_source_of_another_account_cannot_be_adopted() {
    let mut world = world(ADOPT);
    world.observed.sources.get_mut(&source_ref("1.4.2")).unwrap().as_mut().unwrap().account = "222222222222".into();
    let plan = world.plan();
    assert!(plan.steps.iter().all(|s| s.action.region().as_str() == "eu-west-1"), "{:?}", plan.steps);
    assert_eq!(
        problem(&plan, "NotOwned").message,
        "ami-src-1.4.2 in us-east-1 belongs to account 222222222222, so it cannot be adopted: take out adopt: true to \
         have it copied"
    );
}

/// EC2 lets an account tag what is shared with it.
#[test]
fn nothing_is_adopted_until_the_own_account_is_known() {
    let mut world = world(ADOPT);
    world.observed.account = Some(Err(trouble("Timeout", "STS did not answer")));
    let plan = world.plan();
    assert!(plan.steps.iter().all(|s| s.action.region().as_str() == "eu-west-1"), "{:?}", plan.steps);
    assert_eq!(problem(&plan, "Timeout").message, "STS did not answer");
    assert_eq!(plan.look_again, Some(now() + minutes(1)));
}

#[test]
fn a_source_that_is_the_image_of_another_object_or_version_cannot_be_adopted() {
    let cases = [("default/images/db", "1.4.2"), ("other/images/web", "1.4.2"), ("default/images/web", "1.4.1")];
    for (owner, held) in cases {
        let mut world = world(ADOPT);
        let image = world.observed.sources.get_mut(&source_ref("1.4.2")).unwrap().as_mut().unwrap();
        image.tags.insert(tags::OWNER.into(), owner.into());
        image.tags.insert(tags::VERSION.into(), held.into());
        let plan = world.plan();
        assert!(plan.steps.iter().all(|s| s.action.verb() == "Copy"), "{:?}", plan.steps);
        assert_eq!(
            problem(&plan, "OwnedByAnother").message,
            format!(
                "ami-src-1.4.2 in us-east-1 cannot be adopted: its tags say that it is version {held} of {owner}. \
                 Remove its amiops.dev/ tags if that is over"
            )
        );
        assert_eq!(plan.look_again, Some(now() + minutes(5)), "nothing tells when it is over");
    }
}

#[test]
fn a_source_with_our_own_tags_can_be_adopted_again() {
    let mut world = world(ADOPT);
    let tags = world.tags("1.4.2", 1);
    world.observed.sources.get_mut(&source_ref("1.4.2")).unwrap().as_mut().unwrap().tags = tags;
    assert!(world.plan().steps.iter().any(|s| s.reason.code() == "HandedOver"));
}

#[test]
fn sources_are_looked_up_only_for_versions_that_lack_an_image_or_a_date() {
    let mut missing = complete(WEB);
    missing.region("eu-west-1").images = Some(vec![]);
    let mut failed = complete(WEB);
    failed.image("eu-west-1", "ami-1.4.2-eu-west-1").state = ImageState::Failed;
    let mut dateless = complete(WEB);
    dateless.desired.versions[0].released_at = None;
    for region in ["eu-west-1", "us-east-1"] {
        dateless.image(region, &id(region, "1.4.2")).tags.remove(tags::RELEASED_AT);
    }
    let mut dated_by_tag = complete(WEB);
    dated_by_tag.desired.versions[0].released_at = None;
    let mut unlisted = complete(WEB);
    unlisted.region("eu-west-1").images = None;
    let cases = [
        ("everything is there", complete(WEB), false),
        ("an image is missing", missing, true),
        ("a copy failed", failed, true),
        ("no date is known", dateless, true),
        ("a tag tells the date", dated_by_tag, false),
        ("the region was never listed", unlisted, false),
    ];
    for (case, mut world, asked) in cases {
        world.observed.sources.clear();
        let expected = if asked { vec![source_ref("1.4.2")] } else { vec![] };
        assert_eq!(sources_to_look_up(&world.desired, &world.observed), expected, "{case}");
    }
}

#[test]
fn a_source_of_two_versions_is_looked_up_once() {
    let mut world = world(WEB);
    let again = amiops::plan::Version { name: version("1.4.3"), ..world.desired.versions[0].clone() };
    world.desired.versions.push(again);
    assert_eq!(sources_to_look_up(&world.desired, &world.observed).len(), 1);
}

#[test]
fn a_copy_that_somebody_made_of_an_adopted_image_together_with_its_tags_is_not_ours() {
    let mut world = world(ADOPT);
    let mut tags = world.tags("1.4.2", 1);
    tags.insert(tags::ADOPTED.into(), "true".into());
    world.hold("eu-west-1", "1.4.2").tags = tags;
    assert_eq!(replica(&world.plan(), "eu-west-1", "1.4.2").state, ReplicaState::Missing);
}

#[test]
fn a_source_that_is_missing_is_looked_up_again_before_long() {
    let mut world = world(WEB);
    let missing = trouble("SourceNotFound", "the source was not found");
    world.observed.sources.insert(source_ref("1.4.2"), Err(missing));
    assert_eq!(world.plan().look_again, Some(now() + minutes(5)));
}
