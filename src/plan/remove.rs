//! When is an object that is deleted with its images gone? When no region holds anything of it any more, nor may come to list
//! something. Its parameters go first, since they name images; what becomes of the images is decided in `retire`. A source that
//! is not handed over any more is given back before, since nobody would do it later.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::action::{Action, Concern, Reason};
use super::ids::{ParameterName, RegionName};
use super::observed::{Class, PARAMETER_NOT_OURS, Parameter, RegionView, Snapshot, Trouble, Usage, User, runs};
use super::promote::{SSM_CHECK, SSM_REWRITE};
use super::replicate::LISTING_GRACE;
use super::scene::{Scene, after};
use super::tags::owned_by;
use super::{Plan, tagging};

/// Plans the removal of what is not an image, and tells whether everything is gone.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    tagging::hand_back(scene, plan);
    for (region, view) in &scene.observed.regions {
        unpublish(scene, plan, region, view);
        view.awaited.keys().filter_map(|v| view.awaits(v, scene.now)).for_each(|until| plan.look_again_at(until));
    }
    await_earlier_copies(scene, plan);
    plan.all_gone = scene.observed.regions.iter().all(|(region, view)| nothing_left(scene, region, view));
}

/// Plans to remove the parameters of an object that is deleted with its images: those of its channels, and what else names
/// an image, such as the parameter of a channel that has left the manifest. Only what is tagged as ours is removed then.
fn unpublish(scene: &Scene, plan: &mut Plan, region: &RegionName, view: &RegionView) {
    let mut parameters = BTreeSet::new();
    for parameter in scene.desired.channels.iter().filter_map(|c| c.parameter.as_ref()) {
        match view.parameters.get(parameter) {
            Some(Ok(Some(found))) => match may_appear_until(found, scene.now) {
                Some(until) => await_parameter(scene, plan, region, parameter, until),
                None => {
                    parameters.insert(parameter);
                }
            },
            Some(Err(trouble)) => scene.trouble(plan, Concern::Prune, Some(region), None, trouble),
            Some(Ok(None)) | None => {}
        }
    }
    let owned = scene.owned(region);
    let usage = owned.iter().filter_map(|o| scene.observed.usage.get(&o.image.id));
    for users in usage.filter_map(|usage| if let Usage::Used(users) = usage { Some(users) } else { None }) {
        parameters.extend(users.iter().filter_map(|u| if let User::Parameter(name) = u { Some(name) } else { None }));
    }
    for parameter in parameters {
        let action = Action::Unpublish { region: region.clone(), parameter: parameter.clone() };
        scene.want(plan, action, Reason::ObjectDeleted);
    }
}

/// Until when SSM may come to show a parameter that was written and is not there yet: it checks the image first.
fn may_appear_until(parameter: &Parameter, now: Timestamp) -> Option<Timestamp> {
    let written = parameter.written.as_ref().filter(|_| !parameter.is_shown())?;
    let until = after(written.at, SSM_REWRITE);
    runs(until, SSM_REWRITE, now).then_some(until)
}

/// Says that the deletion waits for a parameter to be there: before that it cannot be removed, and would stay behind.
fn await_parameter(scene: &Scene, plan: &mut Plan, region: &RegionName, parameter: &ParameterName, until: Timestamp) {
    plan.look_again_at(until.min(after(scene.now, SSM_CHECK)));
    let message = format!(
        "the deletion waits some minutes for {parameter} in {region}: SSM is checking what was just written to it, and it \
         can be removed only then"
    );
    let trouble = Trouble::new(Class::Transient, "ParameterChecked", message);
    scene.trouble(plan, Concern::Prune, Some(region), None, &trouble);
}

/// Says what the deletion waits for, where copies of an earlier process may still come to light.
fn await_earlier_copies(scene: &Scene, plan: &mut Plan) {
    for (region, view) in &scene.observed.regions {
        let Some(until) = may_list_until(scene, region, view) else { continue };
        plan.look_again_at(until);
        let message = format!(
            "the deletion waits some minutes for {region}: EC2 may not list yet what was copied just before amiops was started"
        );
        let trouble = Trouble::new(Class::Transient, "ListedLate", message);
        scene.trouble(plan, Concern::Prune, Some(region), None, &trouble);
    }
}

/// Until when a region may still come to list a copy that an earlier process began: it died before it could report it, and EC2
/// lists late. Where this process has seen a copy of a version that did not fail, there is no other of it.
fn may_list_until(scene: &Scene, region: &RegionName, view: &RegionView) -> Option<Timestamp> {
    let until = view.watched_since? + LISTING_GRACE;
    let unseen = scene.desired.versions.iter().any(|v| !view.copied.contains(&v.name));
    (unseen && scene.desired.regions.contains_key(region) && runs(until, LISTING_GRACE, scene.now)).then_some(until)
}

/// Whether a region that can be seen holds nothing of the object any more.
fn nothing_left(scene: &Scene, region: &RegionName, view: &RegionView) -> bool {
    let owner = &scene.desired.owner;
    // A snapshot that an image of somebody else has, copied from ours with its tags, is not ours to wait for.
    let held = |s: &Snapshot| view.images.iter().flatten().any(|image| image.snapshots.contains(&s.id));
    let ours = |s: &&Snapshot| !held(s) && owned_by(&s.tags, owner);
    let to_hand_back =
        || scene.desired.versions.iter().any(|v| v.source.region == *region && scene.taken_back(&v.source).is_some());
    let published =
        |p: &ParameterName| !matches!(view.parameters.get(p), Some(Ok(None))) && !is_foreign(scene, region, p);
    view.is_current()
        && view.snapshot_trouble.is_none()
        && !view.awaited.keys().any(|version| view.awaits(version, scene.now).is_some())
        && may_list_until(scene, region, view).is_none()
        && scene.owned(region).is_empty()
        && !to_hand_back()
        && view.snapshots.as_ref().is_some_and(|snapshots| snapshots.iter().filter(ours).count() == 0)
        && !scene.desired.channels.iter().filter_map(|c| c.parameter.as_ref()).any(published)
}

/// Whether a parameter was to be removed and turned out to be somebody else's. It is left alone, so nothing waits for it.
fn is_foreign(scene: &Scene, region: &RegionName, parameter: &ParameterName) -> bool {
    let action = Action::Unpublish { region: region.clone(), parameter: parameter.clone() };
    scene.observed.failures.get(&action.key()).is_some_and(|failure| failure.trouble.code == PARAMETER_NOT_OURS)
}
