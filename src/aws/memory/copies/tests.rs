//! What is remembered of copies that EC2 lists late, and whose id is not known.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::super::tests::{at, image, owner, pass};
use super::*;
use crate::plan::ImageState;
use crate::plan::ids::ImageRef;

#[tokio::test(start_paused = true)]
async fn what_is_awaited_is_told_by_the_time_that_is_left_however_the_clock_jumps() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![], at(180));
    memory.await_unknown(&image("ami-1", ImageState::Pending).ownership().unwrap());
    pass(5).await;
    memory.apply_listing(vec![], at(0));
    let awaited = |memory: &mut Memory| memory.view(&owner()).awaited.get(&VersionName::from("1.4.2")).copied();
    assert_eq!(awaited(&mut memory), Some(Duration::from_mins(10)));
    pass(10).await;
    assert_eq!(awaited(&mut memory), Some(Duration::ZERO), "no listing has begun since");
    assert_eq!(memory.apply_listing(vec![], at(0)), BTreeSet::from([owner()]));
    assert_eq!(awaited(&mut memory), None);
}

#[test]
fn a_copy_under_an_unknown_id_is_awaited_until_it_is_listed() {
    let mut memory = Memory::default();
    let made = image("ami-1", ImageState::Pending);
    memory.await_unknown(&made.ownership().unwrap());
    assert!(memory.awaits_listing());
    memory.apply_listing(vec![made], at(0));
    assert!(!memory.awaits_listing());
    assert!(memory.view(&owner()).awaited.is_empty());
}

#[test]
fn what_somebody_has_copied_together_with_its_tags_is_not_the_copy_that_is_awaited() {
    let mut memory = Memory::default();
    let ours = image("ami-1", ImageState::Pending);
    memory.await_unknown(&ours.ownership().unwrap());
    let elsewhere = ImageRef { region: "us-west-2".into(), id: "ami-0".into() };
    memory.apply_listing(vec![Image { id: "ami-2".into(), made_from: Some(elsewhere), ..ours }], at(0));
    assert!(memory.awaits_listing());
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_was_asked_for_may_be_there_until_it_is_known_refused_or_not_listed_in_time() {
    let made = image("ami-1", ImageState::Pending);
    let ownership = made.ownership().unwrap();
    let unanswered = |memory: &mut Memory| memory.view(&owner()).unanswered.get(&VersionName::from("1.4.2")).copied();
    let mut memory = Memory::default();
    let before = memory.begin_copy(&ownership);
    assert!(before.is_none());
    assert_eq!(unanswered(&mut memory), Some(LISTING_GRACE));
    assert!(memory.holds_of(&owner()) && !memory.awaits_listing());

    memory.refuse_copy(&ownership, before);
    assert_eq!(unanswered(&mut memory), None);

    memory.begin_copy(&ownership);
    memory.assume(made);
    assert_eq!(unanswered(&mut memory), None);

    memory.begin_copy(&ownership);
    pass(15).await;
    assert_eq!(unanswered(&mut memory), Some(Duration::ZERO));
    memory.apply_listing(vec![], at(15));
    assert_eq!(unanswered(&mut memory), None);
}

#[test]
fn a_region_with_a_copy_under_an_unknown_id_is_not_forgotten() {
    let mut memory = Memory::default();
    memory.apply_listing(vec![], at(0));
    assert!(!memory.holds_of(&owner()));
    memory.await_unknown(&image("ami-1", ImageState::Pending).ownership().unwrap());
    assert!(memory.holds_of(&owner()));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_was_not_answered_and_is_refused_since_is_given_up_when_ec2_would_have_listed_it() {
    let ownership = image("ami-1", ImageState::Pending).ownership().unwrap();
    let mut memory = Memory::default();
    memory.apply_listing(vec![], at(0));
    memory.begin_copy(&ownership);
    for _ in 0..3 {
        pass(5).await;
        let before = memory.begin_copy(&ownership);
        memory.refuse_copy(&ownership, before);
    }
    memory.apply_listing(vec![], at(0));
    assert!(memory.view(&owner()).unanswered.is_empty());
}

#[test]
fn an_earlier_attempt_that_failed_is_not_the_copy_that_is_awaited() {
    let mut memory = Memory::default();
    let failed = image("ami-1", ImageState::Failed);
    let second = Ownership { attempt: 2, ..failed.ownership().unwrap() };
    memory.begin_copy(&second);
    memory.apply_listing(vec![failed.clone()], at(0));
    assert_eq!(memory.view(&owner()).unanswered.len(), 1);

    memory.apply_listing(vec![failed.clone(), Image { id: "ami-2".into(), tags: second.write(), ..failed }], at(0));
    assert!(memory.view(&owner()).unanswered.is_empty());
}
