//! Why is this tag written? Every replica and its snapshots carry our tags and the manifest's; what
//! somebody changed is put back, and tags that others added are left alone. A source that is not handed over any more is
//! given back by a tag that says so: when its version leaves the list, nothing else would tell it from what is ours.

use std::collections::BTreeSet;

use super::Plan;
use super::action::{Action, Reason, Replica};
use super::ids::{RegionName, SnapshotId, VersionName};
use super::observed::{Image, ImageState, RegionView, Sight};
use super::scene::{Owned, Scene};
use super::tags::{ADOPTED, HANDED_BACK, RELEASED_AT, Tags, missing};
use crate::api::ReplicaState;

/// Plans the tags of what exists.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    hand_back(scene, plan);
    let sees_all = plan.unseen.is_empty();
    let current = scene.observed.regions.iter().filter(|(_, view)| view.is_current());
    for (region, view) in current.filter(|(region, _)| scene.desired.regions.contains_key(region)) {
        // What EC2 does not list yet was tagged by the call that made it, and can hardly be tagged again; what it does not
        // list any more may be gone.
        let intact = |o: &Owned| {
            matches!(o.image.state, ImageState::Available | ImageState::Pending) && o.image.sight == Sight::Listed
        };
        for owned in scene.owned(region).iter().filter(|o| intact(o)) {
            if let Some(action) = correction(scene, region, view, owned, sees_all) {
                scene.want(plan, action, Reason::TagsDiffer);
            }
        }
    }
}

/// Plans to give back the sources that are not handed over any more.
pub(super) fn hand_back(scene: &Scene, plan: &mut Plan) {
    let mut seen = BTreeSet::new();
    for version in scene.desired.versions.iter().filter(|v| seen.insert(&v.source)) {
        let region = &version.source.region;
        let current = scene.observed.regions.get(region).is_some_and(RegionView::is_current);
        let Some(image) = scene.taken_back(&version.source) else { continue };
        // It is told as the version that it was adopted as; another version may list its id now.
        let adopted_as = image.ownership().map_or_else(|| version.name.clone(), |o| o.version);
        if !scene.desired.regions.contains_key(region) && !plan.tells_of(&adopted_as, region) {
            plan.replicas.push(to_hand_back(scene, adopted_as, region, image));
        }
        // What the last look has missed may be gone.
        if !current || image.sight.is_doubtful() {
            continue;
        }
        let snapshots = image.snapshots.iter().map(|s| s.to_string());
        let action = Action::Tag {
            region: region.clone(),
            version: version.name.clone(),
            image: image.id.clone(),
            resources: std::iter::once(image.id.to_string()).chain(snapshots).collect(),
            tags: Tags::from([(ADOPTED.to_owned(), HANDED_BACK.to_owned())]),
        };
        scene.want(plan, action, Reason::TakenBack);
    }
}

/// Tells of an image that still has to be given back, in a region that the manifest does not name.
fn to_hand_back(scene: &Scene, version: VersionName, region: &RegionName, image: &Image) -> Replica {
    Replica {
        region: region.clone(),
        image: Some(image.id.clone()),
        state: ReplicaState::Conflict,
        error: Some("it was taken out of the manifest, and is to be handed back".into()),
        wanted: false,
        released_at: scene.released_at(&version),
        version,
    }
}

/// The tags that an image or its snapshots lack, put on all of those that lack any. Of images that share a snapshot (RegisterImage
/// lets them), the oldest is in charge of it.
fn correction(scene: &Scene, region: &RegionName, view: &RegionView, owned: &Owned, sees_all: bool) -> Option<Action> {
    let version = scene.desired.version(&owned.ownership.version)?;
    if scene.is_contradicted(owned) {
        return None;
    }
    let mut wanted = scene.tags(version, owned.ownership.attempt, owned.image.id == version.source.id);
    if version.released_at.is_none() && !sees_all {
        // The earliest date counts, and an image that cannot be seen may tell an earlier one.
        wanted.remove(RELEASED_AT);
    }
    let holder = |id: &SnapshotId| scene.owned(region).iter().find(|o| o.image.snapshots.contains(id));
    let in_charge = |id: &SnapshotId| holder(id).is_some_and(|o| o.image.id == owned.image.id);
    let own = view.snapshots.iter().flatten().filter(|s| !s.pending && owned.image.snapshots.contains(&s.id));
    let snapshots = own.filter(|s| in_charge(&s.id));
    let image = (owned.image.id.to_string(), &owned.image.tags);
    let carriers = std::iter::once(image).chain(snapshots.map(|s| (s.id.to_string(), &s.tags)));

    let mut tags = Tags::new();
    let mut resources = Vec::new();
    for (id, present) in carriers {
        let lacks = missing(&wanted, present);
        if !lacks.is_empty() {
            resources.push(id);
            tags.extend(lacks);
        }
    }
    (!resources.is_empty()).then(|| Action::Tag {
        region: region.clone(),
        version: version.name.clone(),
        image: owned.image.id.clone(),
        resources,
        tags,
    })
}
