//! What a region holds of the object: one that has left the manifest is remembered until it holds nothing.

use amiops::plan::Remains;

use crate::fixtures::*;

const FORMER: &str = "us-west-2";

const PUBLISHED: &str = "
versions: [{version: 1.4.2, source: {image: {region: us-east-1, id: ami-src-1.4.2}}}]
regions: [{region: eu-west-1}]
channels: [{name: prod, version: 1.4.2, publish: {ssmParameter: /golden/web/prod}}]
deletionPolicy: Delete
";

/// What a region that has left the manifest holds after a change.
fn remains(change: Change) -> Remains {
    let mut world = complete(WEB);
    world.region(FORMER);
    change(&mut world);
    world.plan().remains[&FORMER.into()]
}

#[test]
fn a_region_that_was_seen_and_shows_nothing_holds_nothing() {
    assert_eq!(remains(|_| ()), Remains::Nothing);
    assert_eq!(
        remains(|w| w.hold(FORMER, "1.4.2").tags.clear()),
        Remains::Nothing,
        "that image is not ours, nor is its snapshot"
    );
}

#[test]
fn a_region_holds_something_as_long_as_anything_is_or_may_be_there() {
    let cases: [(&str, Change); 6] = [
        ("an image", |w| _ = w.hold(FORMER, "1.4.2")),
        ("an image, by the last listing that worked", |w| {
            w.hold(FORMER, "1.4.2");
            w.region(FORMER).trouble = Some(trouble("Timeout", "no answer"));
        }),
        ("a snapshot without its image", |w| {
            w.hold(FORMER, "1.4.2");
            w.region(FORMER).images = Some(vec![]);
        }),
        ("what an image that is gone has left", |w| _ = w.region(FORMER).vanished.insert("ami-1".into())),
        ("a copy that was not answered", |w| _ = w.region(FORMER).unanswered.insert(version("1.4.2"), minutes(10))),
        ("a copy of unknown id", |w| _ = w.region(FORMER).awaited.insert(version("1.4.2"), minutes(0))),
    ];
    for (case, change) in cases {
        assert_eq!(remains(change), Remains::Something, "{case}");
    }
}

#[test]
fn what_a_region_holds_is_unknown_until_all_of_it_was_seen() {
    let cases: [(&str, Change); 5] = [
        ("images were not listed", |w| w.region(FORMER).images = None),
        ("the last listing of images failed", |w| w.region(FORMER).trouble = Some(trouble("Timeout", "no answer"))),
        ("snapshots were not listed", |w| w.region(FORMER).snapshots = None),
        ("the last listing of snapshots failed", |w| {
            w.region(FORMER).snapshot_trouble = Some(trouble("Timeout", "no answer"));
        }),
        ("an earlier process may have begun a copy", |w| w.observed.listed_late_for = minutes(1)),
    ];
    for (case, change) in cases {
        assert_eq!(remains(change), Remains::Unknown, "{case}");
    }
}

/// Somebody handed it over and took it back, and it still has to be told.
#[test]
fn a_source_that_is_to_be_handed_back_is_something() {
    let mut world = complete(WEB);
    world.desired.regions.remove(&"us-east-1".into());
    let adopted = world.hold_as("us-east-1", "1.4.2", "ami-src-1.4.2", 1);
    adopted.tags.insert(amiops::plan::tags::ADOPTED.into(), "true".into());
    world.region("us-east-1").images.as_mut().unwrap().retain(|image| image.id.as_str() == "ami-src-1.4.2");
    world.region("us-east-1").snapshots = Some(vec![]);
    assert_eq!(world.plan().remains[&"us-east-1".into()], Remains::Something);
}

#[test]
fn a_parameter_of_an_object_that_is_being_deleted_is_something() {
    let mut world = world(PUBLISHED);
    world.desired.deleting = true;
    world.parameter(FORMER, "/golden/web/prod", "ami-by-hand");
    assert_eq!(world.plan().remains[&FORMER.into()], Remains::Something);
    world.desired.deleting = false;
    assert_eq!(world.plan().remains[&FORMER.into()], Remains::Nothing, "it stays, as the manifest left it");
}

/// It may not exist, and nobody has begun anything there: it must not be remembered for its parameters.
#[test]
fn a_region_in_which_no_parameter_was_read_is_unknown() {
    let mut world = world(PUBLISHED);
    world.desired.deleting = true;
    let region = world.region(FORMER);
    region.images = None;
    region.parameters.clear();
    assert_eq!(world.plan().remains[&FORMER.into()], Remains::Unknown);
    world.region(FORMER).images = Some(vec![]);
    assert_eq!(world.plan().remains[&FORMER.into()], Remains::Unknown);
}
