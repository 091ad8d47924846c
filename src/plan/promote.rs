//! Why does a channel move, or not? It moves when its version is available in every region; then the
//! parameter of each region is made to name that region's image. Setting an earlier version is the way back.

use std::time::Duration;

use super::Plan;
use super::action::{Action, Concern, Landing, Reason, Replica};
use super::desired::Channel;
use super::ids::{ImageId, ParameterName, RegionName, VersionName};
use super::observed::{Class, Parameter, RegionView, Trouble, Written};
use super::scene::Scene;
use crate::api::ReplicaState;

/// SSM checks an image id after it has answered, and takes seconds for it.
pub(super) const SSM_CHECK: Duration = Duration::from_mins(1);
/// How soon a value that was written is looked for; then after as long again as it has been written, until a check is over.
const SSM_FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long a value that SSM did not take is left before it is written again: until then it may come to show it.
pub const SSM_REWRITE: Duration = Duration::from_mins(10);

/// Plans the moves of the channels, and tells how each stands in every region. Those of an object that is being deleted move no more.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    for channel in &scene.desired.channels {
        let lacking = match scene.desired.deleting {
            true => Some("the MachineImage is being deleted".to_owned()),
            false => lacking(scene, plan, channel),
        };
        for region in scene.desired.regions.keys() {
            let landing = land(scene, plan, channel, region, lacking.as_deref());
            plan.landings.push(landing);
        }
    }
}

/// The regions in which the version of a channel is not available, as a sentence.
fn lacking(scene: &Scene, plan: &Plan, channel: &Channel) -> Option<String> {
    let available =
        |region: &RegionName| replica(plan, channel, region).is_some_and(|r| r.state == ReplicaState::Available);
    let regions: Vec<_> = scene.desired.regions.keys().filter(|r| !available(r)).map(|r| r.to_string()).collect();
    (!regions.is_empty()).then(|| format!("waits until {} is available in {}", channel.version, regions.join(", ")))
}

fn replica<'p>(plan: &'p Plan, channel: &Channel, region: &RegionName) -> Option<&'p Replica> {
    plan.replicas.iter().find(|r| r.wanted && r.version == channel.version && &r.region == region)
}

fn land(scene: &Scene, plan: &mut Plan, channel: &Channel, region: &RegionName, lacking: Option<&str>) -> Landing {
    let mut landing = Landing {
        channel: channel.name.clone(),
        region: region.clone(),
        image: None,
        version: None,
        since: None,
        is_read: true,
        error: lacking.map(str::to_owned),
    };
    let image =
        replica(plan, channel, region).filter(|r| r.state == ReplicaState::Available).and_then(|r| r.image.clone());
    let Some(parameter) = &channel.parameter else {
        landing.version = lacking.is_none().then(|| channel.version.clone());
        landing.image = image.filter(|_| lacking.is_none()).map(|i| i.to_string());
        return landing;
    };
    let view = scene.observed.regions.get(region);
    let current = match view.and_then(|v| v.parameters.get(parameter)) {
        Some(Ok(current)) => current.as_ref(),
        Some(Err(trouble)) => {
            // Of an object that is being deleted it is a problem of the removal.
            if !scene.desired.deleting {
                scene.trouble(plan, Concern::Promote, Some(region), Some(&channel.version), trouble);
            }
            landing.is_read = false;
            landing.error = Some(trouble.message.clone());
            return landing;
        }
        None => {
            landing.is_read = false;
            landing.error = Some(format!("parameter {parameter} in {region} has not been read yet"));
            return landing;
        }
    };
    if let Some(shown) = current.and_then(|p| p.shown.as_ref()) {
        landing.image = Some(shown.value.clone());
        landing.since = shown.modified;
        landing.version = version_of(scene, region, &shown.value);
    }
    if let (None, Some(view), Some(image)) = (lacking, view, image) {
        let spot = Spot { channel, parameter, region, image };
        landing.error = spot.publish(scene, plan, view, current);
    }
    landing
}

/// Which version of ours an image id stands for.
fn version_of(scene: &Scene, region: &RegionName, image: &str) -> Option<VersionName> {
    scene.owned(region).iter().find(|o| o.image.id.as_str() == image).map(|o| o.ownership.version.clone())
}

/// A parameter in a region, and the image that it must name.
struct Spot<'a> {
    channel: &'a Channel,
    parameter: &'a ParameterName,
    region: &'a RegionName,
    image: ImageId,
}

impl Spot<'_> {
    /// Plans to write the parameter if it does not name the image; the answer says why it does not name it yet.
    fn publish(self, scene: &Scene, plan: &mut Plan, view: &RegionView, current: Option<&Parameter>) -> Option<String> {
        if let Some(right) = current.filter(|p| p.names(&self.image)) {
            let other = right.written.as_ref().filter(|w| w.image != self.image);
            return other.and_then(|written| self.overtaken(scene, plan, written));
        }
        if let Some(trouble) = &view.trouble {
            return Some(trouble.message.clone());
        }
        let written = current.and_then(|p| p.written.as_ref()).filter(|w| w.image == self.image);
        if let Some(waiting) = written.and_then(|written| self.unconfirmed(scene, plan, written)) {
            return Some(waiting);
        }
        let from = current.and_then(|p| p.shown.as_ref()).map(|shown| shown.value.clone());
        let action = Action::Publish {
            region: self.region.clone(),
            channel: self.channel.name.clone(),
            version: self.channel.version.clone(),
            parameter: self.parameter.clone(),
            image: self.image,
        };
        scene.want(plan, action, Reason::Moved { from })
    }

    /// What to say of another value that was written before, and that SSM may still come to take. It is looked for as long as that
    /// may be, and the right one is written over it then.
    fn overtaken(&self, scene: &Scene, plan: &mut Plan, other: &Written) -> Option<String> {
        let Self { parameter, region, .. } = self;
        let image = &other.image;
        look_for(scene, plan, other);
        (other.ago < SSM_CHECK)
            .then(|| format!("{image} was written to {parameter} in {region} before, and SSM may still take it"))
    }

    /// What to say of a value that was written and that SSM does not show yet; `None` when it is time to write again.
    fn unconfirmed(&self, scene: &Scene, plan: &mut Plan, written: &Written) -> Option<String> {
        let Self { channel, parameter, region, image } = self;
        if written.ago < SSM_CHECK {
            look_for(scene, plan, written);
            return Some(match written.answered {
                true => format!("SSM is checking {image} for {parameter} in {region}"),
                false => {
                    format!("SSM did not answer when {image} was written to {parameter} in {region}: looking for it")
                }
            });
        }
        if !written.answered || written.ago >= SSM_REWRITE {
            return None;
        }
        look_for(scene, plan, written);
        let message = format!(
            "SSM accepted {image} for {parameter} in {region} but has not taken it: SSM could not confirm the image. \
             Check that amiops may call ec2:DescribeImages there; it writes again in some minutes"
        );
        let trouble = Trouble::new(Class::NeedsPerson, "ParameterNotTaken", message.clone());
        scene.trouble(plan, Concern::Promote, Some(region), Some(&channel.version), &trouble);
        Some(message)
    }
}

/// Has a value that was written looked for: less often the longer its check takes, and then each minute until it is given up.
fn look_for(scene: &Scene, plan: &mut Plan, written: &Written) {
    let wait = match written.ago < SSM_CHECK {
        true => written.ago.max(SSM_FIRST_LOOK),
        false => SSM_CHECK.min(SSM_REWRITE.saturating_sub(written.ago)),
    };
    plan.look_again_at(scene.now + wait);
}
