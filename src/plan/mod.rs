//! All decisions: `plan(desired, observed, now)` says what is to be done, why, what stands in the way, and
//! when to look again. Pure: no I/O, no clock, the same answer to the same question.

mod action;
mod desired;
pub mod ids;
mod observed;
mod promote;
mod remains;
mod remove;
mod replicate;
mod retire;
mod scene;
mod tagging;
pub mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub use action::{Action, Concern, Copy, Departure, Key, Landing, Problem, Reason, Replica, Step};
pub use desired::{Channel, Desired, Invalid, Version, numbers_with_units};
pub use observed::{
    Class, Failure, Image, ImageState, Observed, PARAMETER_NOT_OURS, Parameter, RegionView, Shown, Sight, Snapshot,
    Trouble, Usage, User, Written,
};
pub use promote::SSM_REWRITE;
pub use remains::Remains;
pub use replicate::{LISTING_GRACE, sources_to_look_up};
pub use retire::{candidates, regions_in_question};

use ids::{RegionName, VersionName};
use scene::{Scene, after};

/// What a pass would do, and how everything stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do now. Steps of different regions do not depend on each other.
    pub steps: Vec<Step>,
    /// What stands in the way of the rest.
    pub problems: Vec<Problem>,
    /// Every version in every region.
    pub replicas: Vec<Replica>,
    /// Every channel in every region.
    pub landings: Vec<Landing>,
    /// What goes, and what keeps it.
    pub departures: Vec<Departure>,
    /// Where nothing is known of AWS yet, so that images may be there of which this plan does not tell.
    pub unseen: BTreeSet<RegionName>,
    /// What each region holds of the object.
    pub remains: BTreeMap<RegionName, Remains>,
    /// Whether an object that is deleted with its images has none left.
    pub all_gone: bool,
    /// When something is due that no event will tell of.
    pub look_again: Option<Timestamp>,
}

impl Plan {
    /// Whether it is told already how a version stands in a region: the status has one entry for each.
    fn tells_of(&self, version: &VersionName, region: &RegionName) -> bool {
        self.replicas.iter().any(|r| r.version == *version && r.region == *region)
    }

    /// Notes that EC2 is given a while to list a copy. When that is over, the next listing tells by itself.
    fn await_listing(&mut self, now: Timestamp, wait: Duration) {
        if !wait.is_zero() {
            self.look_again_at(after(now, wait));
        }
    }

    /// Notes that something is due at `at`.
    fn look_again_at(&mut self, at: Timestamp) {
        self.look_again = Some(self.look_again.map_or(at, |present| present.min(at)));
    }
}

/// Decides what is to be done to make AWS match the manifest.
///
/// A suspended object gets a plan without steps. An object that is being deleted with the policy Delete gets
/// one that retires everything; with Retain, one without steps.
pub fn plan(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let scene = Scene::new(desired, observed, now);
    let regions = || observed.regions.iter();
    let mut plan = Plan {
        unseen: regions().filter(|(_, view)| view.images.is_none()).map(|(region, _)| region.clone()).collect(),
        remains: regions().map(|(region, view)| (region.clone(), remains::of(&scene, region, view))).collect(),
        ..Plan::default()
    };
    replicate::plan(&scene, &mut plan);
    if !desired.deleting {
        tagging::plan(&scene, &mut plan);
    }
    promote::plan(&scene, &mut plan);
    retire::plan(&scene, &mut plan);
    if desired.retires_all() {
        remove::plan(&scene, &mut plan);
    }
    scene.read_again(&mut plan);
    if desired.suspended || (desired.deleting && !desired.retires_all()) {
        plan.steps.clear();
        plan.look_again = None;
        let held = plan.departures.iter_mut().filter(|d| d.blocked_by.is_none());
        held.for_each(|d| d.blocked_by = Some("the object is suspended (spec.suspend: true)".into()));
    }
    plan
}
