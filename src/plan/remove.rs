//! When is an object that is deleted with its images gone? When no region holds anything of it any more, nor may come to list
//! something. Its parameters go first, since they name images; what becomes of the images is decided in `retire`. A source that
//! is not handed over any more is given back before, since nobody would do it later.

use std::collections::BTreeSet;
use std::time::Duration;

use super::action::{Action, Concern, Reason};
use super::ids::{ParameterName, RegionName};
use super::observed::{Class, Parameter, RegionView, Trouble, Usage, User};
use super::promote::{SSM_CHECK, SSM_REWRITE};
use super::scene::{Scene, after};
use super::{Plan, Remains, tagging};

/// Plans the removal of what is not an image, and tells whether everything is gone.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    tagging::hand_back(scene, plan);
    for (region, view) in &scene.observed.regions {
        unpublish(scene, plan, region, view);
        await_copies(scene, plan, region, view);
        await_snapshots(scene, plan, region, view);
    }
    await_earlier_copies(scene, plan);
    plan.all_gone = plan.remains.values().all(|remains| *remains == Remains::Nothing);
}

/// Plans to remove the parameters of an object that is deleted with its images: those of its channels, and what else names
/// an image, such as the parameter of a channel that has left the manifest. Only what is tagged as ours is removed then.
fn unpublish(scene: &Scene, plan: &mut Plan, region: &RegionName, view: &RegionView) {
    let mut parameters = BTreeSet::new();
    for parameter in scene.desired.channels.iter().filter_map(|c| c.parameter.as_ref()) {
        match view.parameters.get(parameter) {
            Some(Ok(Some(found))) => match may_appear_within(found) {
                Some(wait) => await_parameter(scene, plan, region, parameter, wait),
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

/// For how long SSM may still come to show what was written to a parameter: it checks the image first. A parameter that is removed
/// before may come back, without our tags.
fn may_appear_within(parameter: &Parameter) -> Option<Duration> {
    let written = parameter.written.as_ref()?;
    SSM_REWRITE.checked_sub(written.ago).filter(|left| !left.is_zero())
}

/// Says that the deletion waits for a parameter to be there: before that it cannot be removed, and would stay behind.
fn await_parameter(scene: &Scene, plan: &mut Plan, region: &RegionName, parameter: &ParameterName, wait: Duration) {
    plan.look_again_at(after(scene.now, wait.min(SSM_CHECK)));
    let message = format!(
        "the deletion waits some minutes for {parameter} in {region}: SSM is checking what was just written to it, and it \
         can be removed only then"
    );
    let trouble = Trouble::new(Class::Transient, "ParameterChecked", message);
    scene.trouble(plan, Concern::Prune, Some(region), None, &trouble);
}

/// Says that the deletion waits for copies that EC2 may not list yet: nobody would look after them later.
fn await_copies(scene: &Scene, plan: &mut Plan, region: &RegionName, view: &RegionView) {
    for (version, wait) in view.unlisted() {
        plan.await_listing(scene.now, wait);
        let message = format!(
            "the deletion waits some minutes: a copy of {version} was asked for in {region}, and EC2 may not list it yet"
        );
        let trouble = Trouble::new(Class::Transient, "ListedLate", message);
        scene.trouble(plan, Concern::Prune, Some(region), Some(version), &trouble);
    }
}

/// Says that the deletion waits until it is known which snapshots the images have left that went. The next listing tells.
fn await_snapshots(scene: &Scene, plan: &mut Plan, region: &RegionName, view: &RegionView) {
    if let Some(image) = view.vanished.first() {
        let message = format!(
            "the deletion waits for the snapshots of {region} to be listed: {image} is gone, and may have left some"
        );
        let trouble = Trouble::new(Class::Transient, "ListedLate", message);
        scene.trouble(plan, Concern::Prune, Some(region), None, &trouble);
    }
}

/// Says that the deletion waits while copies of an earlier process may still come to light: it may have died before it could report
/// them, and of versions that the manifest does not list any more.
fn await_earlier_copies(scene: &Scene, plan: &mut Plan) {
    let wait = scene.observed.listed_late_for;
    if wait.is_zero() {
        return;
    }
    plan.look_again_at(after(scene.now, wait));
    let message =
        "the deletion waits some minutes: EC2 may not list yet what was copied just before amiops was started";
    scene.trouble(plan, Concern::Prune, None, None, &Trouble::new(Class::Transient, "ListedLate", message));
}
