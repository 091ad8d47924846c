//! What a status tells, and for how long.

#![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
use super::*;
use crate::plan::{Action, ImageState, Reason, Step};

/// What a manifest asks for that lists the version 1.5.0.
fn desired() -> Desired {
    let image = json!({"region": "us-east-1", "id": "ami-1"});
    let spec = json!({
        "versions": [{"version": "1.5.0", "source": {"image": image}}],
        "regions": [{"region": "us-east-1"}],
    });
    let mut object = MachineImage::new("web", serde_json::from_value(spec).expect("a spec"));
    object.metadata.namespace = Some("images".into());
    Desired::parse(&object, "default").expect("a manifest")
}

#[test]
fn no_text_of_a_status_is_longer_than_the_api_server_takes() {
    let mut told = told_in("eu-west-1", None);
    told.regions[0].error = Some("é".repeat(MOST_TEXT));
    let mut status = MachineImageStatus { versions: vec![told], ..Default::default() };
    shorten_texts(&mut status);
    let error = status.versions[0].regions[0].error.take().unwrap_or_default();
    assert!(error.len() <= MOST_TEXT && error.ends_with("é…"), "{} bytes", error.len());
}

#[test]
fn of_thousands_of_replicas_all_texts_together_are_no_longer_than_etcd_takes() {
    let mut told = told_in("eu-west-1", None);
    told.regions[0].error = Some("x".repeat(MOST_TEXT));
    let mut status = MachineImageStatus { versions: vec![told; 4000], ..Default::default() };
    shorten_texts(&mut status);
    let errors = status.versions.iter().flat_map(|v| &v.regions).flat_map(|r| &r.error);
    assert!(errors.map(String::len).sum::<usize>() <= MOST_REPLICA_TEXTS);
}

fn told_in(region: &str, image: Option<&str>) -> VersionStatus {
    let replica = ReplicaStatus {
        region: region.into(),
        image_id: image.map(str::to_owned),
        state: ReplicaState::Missing,
        error: None,
    };
    VersionStatus { version: "1.4.2".into(), listed: true, released_at: None, regions: vec![replica] }
}

/// The regions that a status tells of after a pass that found something, nothing or did not see all in us-west-2, of an object in
/// us-east-1 whose last status told of some regions.
fn regions_after(remains: Remains, told: &[&str]) -> Vec<String> {
    let before = MachineImageStatus { regions: told.iter().map(|r| (*r).to_owned()).collect(), ..Default::default() };
    let plan = Plan { remains: BTreeMap::from([("us-west-2".into(), remains)]), ..Plan::default() };
    regions(&desired(), &plan, &before)
}

#[test]
fn a_region_that_left_the_manifest_is_told_until_it_is_seen_to_hold_nothing() {
    assert_eq!(regions_after(Remains::Something, &[]), ["us-west-2"]);
    assert_eq!(regions_after(Remains::Unknown, &["us-west-2"]), ["us-west-2"]);
    assert_eq!(regions_after(Remains::Nothing, &["us-west-2"]), [""; 0]);
}

/// It may not exist.
#[test]
fn a_region_that_cannot_be_seen_and_in_which_nothing_was_begun_is_not_told() {
    assert_eq!(regions_after(Remains::Unknown, &[]), [""; 0]);
}

#[test]
fn a_region_is_told_before_anything_is_begun_there_and_then_as_long_as_the_manifest_names_it() {
    let image = "ami-1".into();
    let action =
        Action::Deregister { region: "us-east-1".into(), version: "1.5.0".into(), image, state: ImageState::Available };
    let steps = vec![Step { action, reason: Reason::ObjectDeleted }];
    let plan = Plan { steps, ..Plan::default() };
    let begun = regions(&desired(), &plan, &MachineImageStatus::default());
    assert_eq!(begun, ["us-east-1"]);

    let before = MachineImageStatus { regions: begun.clone(), ..Default::default() };
    let empty = Plan { remains: BTreeMap::from([("us-east-1".into(), Remains::Nothing)]), ..Plan::default() };
    assert_eq!(regions(&desired(), &empty, &before), begun);
}

#[test]
fn the_image_that_was_last_known_in_a_region_that_cannot_be_seen_is_repeated() {
    let before = MachineImageStatus { versions: vec![told_in("us-west-2", Some("ami-1"))], ..Default::default() };
    let unseen = Plan { unseen: BTreeSet::from(["us-west-2".into()]), ..Plan::default() };
    let told = &versions(&desired(), &unseen, &before)[0].regions[0];
    assert_eq!((told.image_id.as_deref(), told.error.as_deref()), (Some("ami-1"), Some(UNSEEN)));
    assert_eq!(versions(&desired(), &Plan::default(), &before), []);
}

#[test]
fn a_version_counts_as_listed_while_the_manifest_lists_it_also_where_it_has_left_the_region_or_is_being_deleted() {
    let replica = |version: &str| Replica {
        version: version.into(),
        region: "eu-west-1".into(),
        wanted: false,
        image: None,
        state: ReplicaState::Available,
        released_at: None,
        error: None,
    };
    let plan = Plan { replicas: vec![replica("1.5.0"), replica("1.4.2")], ..Plan::default() };
    let told = versions(&desired(), &plan, &MachineImageStatus::default());
    let told: Vec<_> = told.iter().map(|told| (told.version.as_str(), told.listed)).collect();
    assert_eq!(told, [("1.5.0", true), ("1.4.2", false)]);
}
