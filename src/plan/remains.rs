//! Where may anything of the object be? A region that the manifest does not name any more is remembered until it holds nothing, and an
//! object that is deleted with its images is gone when no region holds anything.

use super::action::Action;
use super::ids::{ParameterName, RegionName};
use super::observed::{PARAMETER_NOT_OURS, RegionView, Snapshot};
use super::scene::Scene;
use super::tags::owned_by;

/// What a region holds of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Images or snapshots, or what EC2 may come to list as such.
    Something,
    /// Nothing, by all that could be seen.
    Nothing,
    /// Nothing that can be seen, but not all can.
    Unknown,
}

/// What a region holds of the object. Parameters count only when they are to go with it.
pub(super) fn of(scene: &Scene, region: &RegionName, view: &RegionView) -> Remains {
    let parameters = scene.desired.channels.iter().filter_map(|c| c.parameter.as_ref());
    let ours = parameters.filter(|p| scene.desired.retires_all() && !is_foreign(scene, region, p));
    let mut read = ours.map(|p| view.parameters.get(p).and_then(|answer| answer.as_ref().ok()));
    let is_published = read.clone().any(|answer| answer.is_some_and(Option::is_some));
    let sees_all = view.is_current()
        && view.snapshots.is_some()
        && view.snapshot_trouble.is_none()
        && read.all(|answer| answer.is_some());
    if is_published || holds_something(scene, region, view) {
        Remains::Something
    } else if sees_all && scene.observed.listed_late_for.is_zero() {
        Remains::Nothing
    } else {
        Remains::Unknown
    }
}

fn holds_something(scene: &Scene, region: &RegionName, view: &RegionView) -> bool {
    let owner = &scene.desired.owner;
    // A snapshot that an image of somebody else has, copied from ours with its tags, is not ours to wait for; but one is if that
    // image seems to have gone.
    let held = |s: &Snapshot| {
        view.images.iter().flatten().any(|image| !image.sight.is_doubtful() && image.snapshots.contains(&s.id))
    };
    let ours = |s: &Snapshot| !held(s) && owned_by(&s.tags, owner);
    let to_hand_back =
        || scene.desired.versions.iter().any(|v| v.source.region == *region && scene.taken_back(&v.source).is_some());
    !scene.owned(region).is_empty()
        || view.unlisted().next().is_some()
        || !view.vanished.is_empty()
        || to_hand_back()
        || view.snapshots.iter().flatten().any(ours)
}

/// Whether a parameter was to be removed and turned out to be somebody else's. It is left alone, so nothing waits for it.
fn is_foreign(scene: &Scene, region: &RegionName, parameter: &ParameterName) -> bool {
    let action = Action::Unpublish { region: region.clone(), parameter: parameter.clone() };
    scene.observed.failures.get(&action.key()).is_some_and(|failure| failure.trouble.code == PARAMETER_NOT_OURS)
}
