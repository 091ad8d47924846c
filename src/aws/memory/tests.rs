//! What is remembered when EC2 lists late, lists what is gone, or does not list at all.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use crate::plan::Class;
use crate::plan::ids::ImageRef;

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
}

pub(super) fn owner() -> Owner {
    Owner { installation: "default".into(), namespace: "images".into(), name: "web".into() }
}

fn source() -> ImageRef {
    ImageRef { region: "us-east-1".into(), id: "ami-source".into() }
}

pub(super) fn image(id: &str, state: ImageState) -> Image {
    let ownership = Ownership {
        owner: owner(),
        version: "1.4.2".into(),
        source: Some(source()),
        released_at: None,
        attempt: 1,
        adopted: false,
    };
    Image {
        id: id.into(),
        name: "web-1.4.2".into(),
        account: "111111111111".into(),
        state,
        state_reason: None,
        created: Some(at(0)),
        made_from: Some(source()),
        snapshots: vec![SnapshotId::new("snap-1")],
        tags: ownership.write(),
        protected: false,
        sight: Sight::Listed,
    }
}

/// Time passes.
pub(super) async fn pass(minutes: u64) {
    tokio::time::advance(Duration::from_mins(minutes)).await;
}

fn ids(memory: &mut Memory) -> Vec<String> {
    memory.view(&owner()).images.unwrap_or_default().iter().map(|i| i.id.to_string()).collect()
}

/// The tags of an adopted source of another object.
fn tags_of_another() -> Tags {
    let ownership = image("ami-2", ImageState::Available).ownership().unwrap();
    Ownership { owner: Owner { name: "db".into(), ..owner() }, adopted: true, ..ownership }.write()
}

#[test]
fn a_snapshot_that_an_image_of_another_owner_has_too_is_not_tagged_when_an_image_is_adopted() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let resources = ["ami-2", "snap-1", "snap-2"].map(str::to_owned);
    assert_eq!(
        memory.claim(&"ami-2".into(), &resources, &tags_of_another()),
        Ok(vec!["ami-2".into(), "snap-2".into()])
    );
}

#[test]
fn a_snapshot_that_another_image_has_too_is_not_handed_back_with_its_image() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let resources = ["ami-2", "snap-1", "snap-2"].map(str::to_owned);
    let back = Tags::from([(crate::plan::tags::ADOPTED.into(), crate::plan::tags::HANDED_BACK.into())]);
    assert_eq!(memory.claim(&"ami-2".into(), &resources, &back), Ok(vec!["ami-2".into(), "snap-2".into()]));
}

#[test]
fn a_snapshot_that_two_owners_images_have_is_of_the_one_whose_tags_it_carries() {
    let mut memory = Memory::default();
    let theirs = Image { id: "ami-2".into(), tags: tags_of_another(), ..image("ami-1", ImageState::Available) };
    memory.apply_listing(vec![image("ami-1", ImageState::Available), theirs.clone()], at(0));
    memory.begin_snapshots();
    let shared = Snapshot { id: "snap-1".into(), started: None, pending: false, tags: theirs.tags.clone() };
    memory.apply_snapshots(BTreeMap::from([("snap-1".into(), shared)]));
    assert_eq!(memory.view(&owner()).snapshots, Some(vec![]));
    assert_eq!(memory.view(&theirs.ownership().unwrap().owner).snapshots.map(|s| s.len()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_gone_is_not_believed_when_it_is_shown_again_after_two_looks_that_missed_it() {
    let mut memory = Memory::default();
    let image = image("ami-1", ImageState::Available);
    memory.apply_listing(vec![image.clone()], at(0));
    memory.doubt(&["ami-1".into()]);
    memory.apply_look(&["ami-1".into()], vec![], at(1));
    assert!(ids(&mut memory).is_empty());

    memory.assume(image.clone());
    memory.apply_listing(vec![image.clone()], at(2));
    assert!(memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());

    pass(15).await;
    memory.apply_listing(vec![image], at(17));
    assert!(!memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_found_by_its_name_and_not_by_its_id_is_not_built_on() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![], at(0));
    memory.assume(image("ami-1", ImageState::Available));
    memory.apply_look(&["ami-1".into()], vec![], at(0));
    assert!(memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());
}

#[test]
fn before_the_first_listing_nothing_is_known() {
    assert_eq!(Memory::default().view(&owner()).images, None);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_just_made_is_not_missed_while_ec2_may_list_it_late() {
    let mut memory = Memory::default();
    memory.assume(Image { sight: Sight::Assumed, ..image("ami-1", ImageState::Pending) });
    for _ in 0..14 {
        pass(1).await;
        memory.apply_listing(vec![], at(0));
    }
    assert_eq!(ids(&mut memory), ["ami-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_ec2_never_lists_is_given_up_after_the_grace_and_its_attempt_is_used_up() {
    let mut memory = Memory::default();
    memory.assume(Image { sight: Sight::Assumed, ..image("ami-1", ImageState::Pending) });
    pass(15).await;
    memory.apply_listing(vec![], at(0));
    memory.apply_listing(vec![], at(0));
    assert!(ids(&mut memory).is_empty());
    assert_eq!(memory.view(&owner()).attempts[&VersionName::new("1.4.2")], 1);
}

#[test]
fn what_was_adopted_is_no_attempt_to_copy() {
    let mut memory = Memory::default();
    let mut adopted = image("ami-1", ImageState::Available);
    adopted.tags.insert(crate::plan::tags::ADOPTED.into(), "true".into());
    memory.apply_listing(vec![adopted], at(0));
    assert_eq!((ids(&mut memory), memory.view(&owner()).attempts), (vec!["ami-1".to_owned()], BTreeMap::new()));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_just_made_is_not_missed_however_the_clock_jumps() {
    let mut memory = Memory::default();
    memory.assume(Image { sight: Sight::Assumed, ..image("ami-1", ImageState::Pending) });
    for minutes in [180, 1, -180] {
        memory.apply_look(&["ami-1".into()], vec![], at(minutes));
        assert!(!memory.view(&owner()).images.unwrap_or_default().iter().any(|image| image.sight.is_doubtful()));
    }
}

#[test]
fn an_image_that_was_listed_gets_no_grace_by_being_tagged() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.assume(image("ami-1", ImageState::Available));
    memory.apply_listing(vec![], at(0));
    memory.apply_look(&["ami-1".into()], vec![], at(0));
    assert!(ids(&mut memory).is_empty());
}

#[test]
fn one_listing_that_lacks_an_image_does_not_mean_that_it_is_gone() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.apply_listing(vec![], at(0));
    assert!(memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());
    assert_eq!(memory.unsettled(), [ImageId::new("ami-1")]);
    assert_eq!(memory.apply_look(&["ami-1".into()], vec![], at(0)), BTreeSet::from([owner()]));
    assert!(ids(&mut memory).is_empty());
}

#[test]
fn an_image_that_was_just_removed_is_not_believed_when_it_is_listed_again() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.remove_image(&"ami-1".into(), true);
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    assert!(ids(&mut memory).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_whose_adoption_was_not_answered_is_unknown_until_a_look_shows_whether_it_has_our_tags() {
    let adopted = image("ami-1", ImageState::Available);
    let id = || ImageId::new("ami-1");
    let claimed = || {
        let mut memory = Memory::default();
        memory.apply_listing(vec![], at(0));
        memory.claim(&id(), &["ami-1".into(), "snap-1".into()], &adopted.tags).unwrap();
        assert!(memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());
        assert_eq!(memory.unsettled(), [id()]);
        memory
    };
    let looked = |memory: &mut Memory, found: Image| {
        memory.apply_look(&[id()], vec![found], at(0));
        memory.view(&owner()).images.unwrap()
    };
    assert_eq!(looked(&mut claimed(), adopted.clone()), vec![adopted.clone()]);

    let bare = Image { tags: Tags::new(), ..adopted.clone() };
    let mut memory = claimed();
    assert!(looked(&mut memory, bare.clone())[0].sight.is_doubtful(), "the tags may be on their way");
    memory.apply_listing(vec![], at(1));
    assert_eq!(ids(&mut memory), ["ami-1"]);
    pass(2).await;
    assert_eq!(looked(&mut memory, bare), []);
}

#[test]
fn an_image_is_adopted_for_one_owner_until_that_is_refused() {
    let mut memory = Memory::default();
    let id = ImageId::new("ami-1");
    let ours = image("ami-1", ImageState::Available).tags;
    let mut theirs = ours.clone();
    theirs.insert(crate::plan::tags::OWNER.into(), "default/images/db".into());
    memory.claim(&id, &["ami-1".into()], &ours).unwrap();
    assert_eq!(memory.claim(&id, &["ami-1".into()], &theirs), Err(owner()));
    memory.disclaim(&id);
    assert!(memory.claim(&id, &["ami-1".into()], &theirs).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_built_on_an_image_that_may_be_gone_until_ec2_would_not_list_it_any_more() {
    let mut memory = Memory::default();
    let listed = image("ami-1", ImageState::Available);
    memory.apply_listing(vec![listed.clone()], at(0));
    memory.doubt(&["ami-1".into()]);
    let is_missed = |memory: &mut Memory| {
        memory.apply_listing(vec![listed.clone()], at(0));
        memory.view(&owner()).images.unwrap()[0].sight.is_doubtful()
    };
    assert!(is_missed(&mut memory));
    memory.doubt(&["ami-1".into()]);
    assert!(is_missed(&mut memory), "it was not answered again");
    pass(15).await;
    assert!(!is_missed(&mut memory));
}

#[test]
fn an_image_that_may_be_gone_is_gone_when_the_next_look_misses_it() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.doubt(&["ami-1".into()]);
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.apply_look(&["ami-1".into()], vec![], at(0));
    assert!(ids(&mut memory).is_empty());
}

#[test]
fn only_the_owner_of_what_changed_is_woken() {
    let mut memory = Memory::default();
    assert_eq!(memory.apply_listing(vec![image("ami-1", ImageState::Pending)], at(0)), BTreeSet::from([owner()]));
    assert!(memory.apply_listing(vec![image("ami-1", ImageState::Pending)], at(0)).is_empty());
    assert_eq!(memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0)), BTreeSet::from([owner()]));
}

#[test]
fn an_image_whose_owner_tag_was_taken_off_leaves_its_owner() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let untagged = Image { tags: Tags::new(), ..image("ami-1", ImageState::Available) };
    assert_eq!(memory.apply_look(&["ami-1".into()], vec![untagged], at(0)), BTreeSet::from([owner()]));
    assert!(ids(&mut memory).is_empty());
}

#[tokio::test(start_paused = true)]
async fn tags_that_were_just_written_are_believed_before_a_listing_that_may_be_older() {
    let mut memory = Memory::default();
    let old = image("ami-1", ImageState::Available);
    memory.apply_listing(vec![old.clone()], at(0));
    memory.retag(&["ami-1".into()], &Tags::from([("team".into(), "web".into())]));
    memory.apply_listing(vec![old.clone()], at(0));
    assert_eq!(memory.view(&owner()).images.unwrap()[0].tags["team"], "web");
    pass(2).await;
    memory.apply_listing(vec![old], at(0));
    assert!(!memory.view(&owner()).images.unwrap()[0].tags.contains_key("team"));
}

#[test]
fn tags_that_were_just_written_are_believed_when_more_are_written_and_the_image_is_looked_at() {
    let mut memory = Memory::default();
    let old = image("ami-1", ImageState::Available);
    memory.apply_listing(vec![old.clone()], at(0));
    for tag in ["team", "cost"] {
        memory.retag(&["ami-1".into()], &Tags::from([(tag.into(), "web".into())]));
        memory.assume(old.clone());
    }
    let tags = memory.view(&owner()).images.unwrap().remove(0).tags;
    assert_eq!((tags["team"].as_str(), tags["cost"].as_str()), ("web", "web"));
}

/// Otherwise the wait after a failed copy would be over at once where our clock runs ahead of EC2's.
#[test]
fn the_date_of_a_copy_that_we_began_is_by_our_own_clock_unless_that_was_put_back() {
    let mut memory = Memory::default();
    let began = Image { created: Some(at(180)), ..image("ami-1", ImageState::Pending) };
    memory.assume(began);
    let mut listed = |now| {
        memory.apply_listing(vec![image("ami-1", ImageState::Failed)], now);
        memory.view(&owner()).images.unwrap()[0].created
    };
    assert_eq!(listed(at(190)), Some(at(180)));
    assert_eq!(listed(at(10)), Some(at(0)));
}

#[tokio::test(start_paused = true)]
async fn tags_of_snapshots_that_were_just_written_are_believed_before_a_listing_that_may_be_older() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let old = Snapshot { id: "snap-1".into(), started: Some(at(0)), pending: false, tags: Tags::new() };
    let listing = BTreeMap::from([(old.id.clone(), old)]);
    memory.retag(&["ami-1".into(), "snap-1".into()], &Tags::from([("team".into(), "web".into())]));
    memory.apply_snapshots(listing.clone());
    assert_eq!(memory.view(&owner()).snapshots.unwrap()[0].tags["team"], "web");
    pass(2).await;
    memory.apply_snapshots(listing);
    assert!(memory.view(&owner()).snapshots.unwrap()[0].tags.is_empty());
}

#[test]
fn who_asked_about_a_region_is_told_when_it_cannot_be_seen_and_when_it_can_again() {
    let mut memory = Memory::default();
    memory.view(&owner());
    let trouble = || Trouble::new(Class::NeedsPerson, "AuthFailure", "the region is not enabled");
    assert_eq!(memory.fail(trouble()), BTreeSet::from([owner()]));
    assert!(memory.fail(trouble()).is_empty(), "the same trouble is told once");
    assert_eq!(memory.apply_listing(vec![], at(0)), BTreeSet::from([owner()]));
}

#[test]
fn snapshots_of_an_image_are_seen_even_without_their_tags() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let snapshot = Snapshot { id: "snap-1".into(), started: Some(at(0)), pending: false, tags: Tags::new() };
    let changed = memory.apply_snapshots(BTreeMap::from([(snapshot.id.clone(), snapshot.clone())]));
    assert_eq!(changed, BTreeSet::from([owner()]));
    assert_eq!(memory.view(&owner()).snapshots.unwrap(), [snapshot]);
}

#[test]
fn an_image_that_was_just_adopted_may_show_its_tags_late_but_is_gone_when_ec2_does_not_know_its_id() {
    let mut memory = Memory::default();
    memory.assume(image("ami-1", ImageState::Available));
    memory.apply_listing(vec![], at(0));
    memory.apply_listing(vec![], at(0));
    assert!(!memory.view(&owner()).images.unwrap()[0].sight.is_doubtful());

    memory.apply_look(&["ami-1".into()], vec![], at(0));
    memory.apply_look(&["ami-1".into()], vec![], at(0));
    assert!(ids(&mut memory).is_empty());
}

#[test]
fn an_image_that_was_just_adopted_may_show_its_tags_late_although_it_was_looked_at_by_its_id() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![], at(0));
    let adopted = image("ami-1", ImageState::Available);
    let bare = Image { tags: BTreeMap::new(), ..adopted.clone() };
    memory.claim(&bare.id, &["ami-1".to_owned()], &adopted.tags).unwrap();
    memory.retag(&["ami-1".to_owned()], &adopted.tags);
    memory.assume(bare.clone());
    memory.apply_look(&[ImageId::new("ami-1")], vec![bare], at(0));
    memory.apply_listing(vec![], at(0));
    memory.apply_listing(vec![], at(0));
    assert_eq!(ids(&mut memory), ["ami-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_is_not_believed_for_a_while_however_the_clock_jumps() {
    let mut memory = Memory::default();
    let listed = |memory: &mut Memory, minutes| {
        memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(minutes));
        ids(memory)
    };
    listed(&mut memory, 60);
    memory.remove_image(&"ami-1".into(), true);
    assert_eq!(listed(&mut memory, 0), [""; 0]);
    assert_eq!(listed(&mut memory, 240), [""; 0]);
    assert!(memory.has_removed(&"ami-1".into()));
    tokio::time::advance(REMOVED_GRACE).await;
    assert_eq!(listed(&mut memory, 61), ["ami-1"]);
}

#[tokio::test]
async fn a_region_is_not_forgotten_with_its_last_image_until_a_listing_tells_which_snapshots_are_left() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.view(&owner());
    memory.begin_snapshots();
    memory.remove_image(&"ami-1".into(), true);
    memory.apply_snapshots(BTreeMap::new());
    assert!(memory.holds_of(&owner()), "that listing had begun before");
    memory.begin_snapshots();
    memory.fail_snapshots(Trouble::new(Class::Throttled, "RequestLimitExceeded", "slow down"));
    assert!(memory.holds_of(&owner()));
    memory.begin_snapshots();
    assert_eq!(memory.apply_snapshots(BTreeMap::new()), BTreeSet::from([owner()]));
    assert!(!memory.holds_of(&owner()));
}

#[tokio::test]
async fn an_image_that_vanished_is_told_until_a_listing_of_snapshots_that_began_later_tells_what_it_left() {
    let mut memory = Memory::default();
    let vanished = |memory: &mut Memory| memory.view(&owner()).vanished.into_iter().collect::<Vec<_>>();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.begin_snapshots();
    memory.apply_listing(vec![], at(5));
    assert!(!memory.has_vanished(), "one look is not enough");
    memory.apply_look(&["ami-1".into()], vec![], at(6));
    assert!(memory.has_vanished());
    memory.apply_snapshots(BTreeMap::new());
    assert_eq!(vanished(&mut memory), ["ami-1".into()], "that listing had begun before");
    memory.begin_snapshots();
    assert!(!memory.has_vanished(), "it is being looked into");
    memory.fail_snapshots(Trouble::new(Class::Throttled, "RequestLimitExceeded", "slow down"));
    assert_eq!(vanished(&mut memory), ["ami-1".into()]);
    memory.begin_snapshots();
    assert_eq!(memory.apply_snapshots(BTreeMap::new()), BTreeSet::from([owner()]));
    assert_eq!(vanished(&mut memory), []);
}

#[tokio::test]
async fn an_image_that_we_removed_without_its_snapshots_is_told_until_it_is_known_what_it_left() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    memory.remove_image(&"ami-1".into(), false);
    assert_eq!(memory.view(&owner()).vanished.into_iter().collect::<Vec<_>>(), ["ami-1".into()]);
    memory.begin_snapshots();
    memory.apply_snapshots(BTreeMap::new());
    assert!(memory.view(&owner()).vanished.is_empty());
}

#[tokio::test]
async fn an_image_that_we_removed_or_that_is_there_again_has_not_vanished() {
    let mut memory = Memory::default();
    let all = || vec![image("ami-1", ImageState::Available), image("ami-2", ImageState::Available)];
    memory.apply_listing(all(), at(0));
    memory.remove_image(&"ami-1".into(), true);
    assert!(!memory.has_vanished());
    memory.apply_listing(vec![], at(5));
    memory.apply_look(&["ami-2".into()], vec![], at(6));
    assert!(memory.has_vanished());
    memory.apply_listing(all(), at(10));
    assert!(!memory.has_vanished());
}

#[tokio::test]
async fn an_image_that_is_taken_out_of_our_hands_may_have_left_snapshots() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![image("ami-1", ImageState::Available)], at(0));
    let mut untagged = image("ami-1", ImageState::Available);
    untagged.tags.clear();
    memory.apply_look(&["ami-1".into()], vec![untagged], at(5));
    assert!(memory.has_vanished());
    assert_eq!(memory.view(&owner()).vanished.into_iter().collect::<Vec<_>>(), ["ami-1".into()]);
}
