//! Why is this tag written? Every replica and its snapshots carry our tags and the manifest's; what
//! somebody changed is put back, and tags that others added are left alone.

use super::Plan;
use super::action::{Action, Reason};
use super::ids::RegionName;
use super::observed::{ImageState, RegionView};
use super::scene::{Owned, Scene};
use super::tags::{Tags, missing};

/// Plans the tags of what exists.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    let current = scene.observed.regions.iter().filter(|(_, view)| view.is_current());
    for (region, view) in current.filter(|(region, _)| scene.desired.regions.contains_key(region)) {
        // What EC2 does not list yet was tagged by the call that made it, and can hardly be tagged again.
        let intact =
            |o: &Owned| matches!(o.image.state, ImageState::Available | ImageState::Pending) && !o.image.assumed;
        for owned in scene.owned(region).iter().filter(|o| intact(o)) {
            if let Some(action) = correction(scene, region, view, owned) {
                scene.want(plan, action, Reason::TagsDiffer);
            }
        }
    }
}

/// The tags that an image or its snapshots lack, put on all of those that lack any.
fn correction(scene: &Scene, region: &RegionName, view: &RegionView, owned: &Owned) -> Option<Action> {
    let version = scene.desired.version(&owned.ownership.version)?;
    if scene.is_contradicted(owned) {
        return None;
    }
    let wanted = scene.tags(version, owned.ownership.attempt, owned.image.id == version.source.id);
    let snapshots = view.snapshots.iter().flatten().filter(|s| !s.pending && owned.image.snapshots.contains(&s.id));
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
