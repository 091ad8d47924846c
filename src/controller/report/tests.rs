//! What a status tells, and for how long.

#![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
use super::*;

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
fn what_was_told_of_a_snapshot_stands_while_it_is_not_known_which_snapshots_there_are() {
    let told = PruneStatus {
        version: "1.4.1".into(),
        region: "us-west-2".into(),
        id: "snap-1".into(),
        reason: "its image is gone".into(),
        blocked_by: None,
    };
    let before = MachineImageStatus { pruning: vec![told.clone()], ..Default::default() };
    let unseen = Plan { unseen_snapshots: BTreeSet::from(["us-west-2".into()]), ..Plan::default() };
    assert_eq!(pruning(&unseen, &before), [PruneStatus { blocked_by: Some(UNSEEN_SNAPSHOTS.into()), ..told }]);
    assert_eq!(pruning(&Plan::default(), &before), []);
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

#[test]
fn a_region_in_which_something_was_to_be_begun_is_told_until_it_can_be_seen() {
    let before = MachineImageStatus { versions: vec![told_in("us-west-2", None)], ..Default::default() };
    let unseen = Plan { unseen: BTreeSet::from(["us-west-2".into()]), ..Plan::default() };
    let kept = versions(&desired(), &unseen, &before);
    assert_eq!(kept.len(), 1);
    let before = MachineImageStatus { versions: kept.clone(), ..Default::default() };
    assert_eq!(versions(&desired(), &unseen, &before), kept, "as long as that takes");
    assert_eq!(versions(&desired(), &Plan::default(), &before), []);
}

#[test]
fn a_region_in_which_a_copy_may_come_to_be_listed_is_told_until_it_can_be_seen() {
    let mut told = told_in("us-west-2", None);
    told.regions[0].state = ReplicaState::Unknown;
    told.regions[0].error = Some(UNLISTED.into());
    let before = MachineImageStatus { versions: vec![told], ..Default::default() };
    let unseen = Plan { unseen: BTreeSet::from(["us-west-2".into()]), ..Plan::default() };
    assert_eq!(versions(&desired(), &unseen, &before).len(), 1);
}

#[test]
fn a_region_that_was_never_seen_is_forgotten_when_the_manifest_does_not_name_it_any_more() {
    let mut told = told_in("us-west-9", None);
    told.regions[0].state = ReplicaState::Unknown;
    told.regions[0].error = Some("DescribeImages in us-west-9 was refused".into());
    let before = MachineImageStatus { versions: vec![told], ..Default::default() };
    let unseen = Plan { unseen: BTreeSet::from(["us-west-9".into()]), ..Plan::default() };
    assert_eq!(versions(&desired(), &unseen, &before), []);
}

#[test]
fn what_is_too_much_is_left_out_but_nothing_that_alone_tells_of_a_region() {
    let mut told: Vec<_> = ["a", "a", "b", "b"].into_iter().map(|region| told_in(region, None)).collect();
    shorten(&mut told, 1, |version| version.regions.iter().map(|r| r.region.clone()).collect());
    assert_eq!(told.iter().map(|version| &*version.regions[0].region).collect::<Vec<_>>(), ["a", "b"]);
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
