//! The rounds of a pass: observe, plan and execute until there is nothing more to do now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use kube::{Api, ResourceExt};
use tokio::time::{Instant, timeout};

use super::context::Context;
use super::execute::execute;
use super::observe::{Surroundings, observe};
use super::pass::{Error, publish};
use super::{events, report};
use crate::api::{MachineImage, MachineImageStatus, RECONCILE_AT};
use crate::plan::ids::{ImageId, RegionName, VersionName};
use crate::plan::{Action, Desired, Key, Plan, Step, Usage, plan};

/// What one step makes possible, another round of the same pass can do: adopt, then publish. More rounds than this
/// are left to the next pass.
const ROUNDS: usize = 4;
/// A pass that has taken so long begins no further round of steps: what is left is left to the next pass. So no call is cut off by the
/// end of a pass.
const BEGINS: Duration = Duration::from_mins(2);
/// How many things are taken away in a region before everything is looked at anew.
const REMOVALS: usize = 20;
/// How long a pass that somebody asked for waits for fresh listings.
const REFRESH_LIMIT: Duration = Duration::from_secs(15);

/// The rounds of one pass, and what is known in it.
pub(super) struct Rounds<'a> {
    object: &'a MachineImage,
    context: &'a Context,
    desired: &'a Desired,
    /// The status as it was last written.
    before: MachineImageStatus,
    surroundings: Surroundings,
    /// Nothing is tried twice in a pass.
    tried: BTreeSet<Key>,
    /// Regions in which nothing more is done in this pass.
    closed: BTreeSet<RegionName>,
    left: usize,
    begun: Instant,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(
        object: &'a MachineImage,
        context: &'a Context,
        desired: &'a Desired,
        before: MachineImageStatus,
    ) -> Self {
        let asked_for = object.annotations().get(RECONCILE_AT);
        let surroundings = Surroundings {
            former_regions: former_regions(context, desired, &before),
            begun_earlier: begun_earlier(object, desired, &before),
            requested: asked_for.is_some() && asked_for != before.last_handled_reconcile_at.as_ref(),
            ..Surroundings::default()
        };
        let (tried, closed) = Default::default();
        Self { object, context, desired, before, surroundings, tried, closed, left: ROUNDS, begun: Instant::now() }
    }

    /// Carries the rounds out. The answer is the last plan, which is what is reported, and the status as it was last written.
    pub(super) async fn run(mut self) -> Result<(Plan, MachineImageStatus), Error> {
        if self.surroundings.requested {
            self.context.forget_failures(&self.desired.owner);
            // A region that does not answer in time is reported by its own listing.
            let _ = timeout(REFRESH_LIMIT, self.refresh()).await;
        }
        let mut plan = self.until_idle().await?;
        if plan.all_gone {
            // Nobody will look after what an old listing has left out.
            self.refresh().await;
            plan = self.until_idle().await?;
        }
        Ok((plan, self.before))
    }

    async fn until_idle(&mut self) -> Result<Plan, Error> {
        let Self { object, context, desired, .. } = *self;
        let generation = object.metadata.generation.unwrap_or_default();
        loop {
            context.look_around(&desired.owner, &mut self.surroundings);
            self.surroundings.failures = context.failures(&desired.owner, generation);
            let observed = observe(&context.inventory, desired, &self.surroundings).await;
            let looked = Instant::now();
            let plan = plan(desired, &observed, context.clock.now());
            let steps = self.next_steps(&plan).await?;
            self.announce(&plan, &steps).await?;
            let done = execute(&context.inventory, &desired.owner, steps, looked, &mut self.closed).await;
            self.surroundings.usage = observed.usage;
            self.surroundings.usage.retain(|image, usage| is_settled(image, usage, &plan, &self.closed));
            if done.is_empty() {
                return Ok(plan);
            }
            self.left -= 1;
            self.tried.extend(done.iter().map(|done| done.step.action.key()));
            context.note(&desired.owner, generation, &done);
            events::actions(context, object, &done).await;
        }
    }

    /// The steps of the next round: those of the plan that were not tried yet, if the manifest is still the one that is acted on.
    async fn next_steps(&self, plan: &Plan) -> Result<Vec<Step>, Error> {
        let is_late = self.left < ROUNDS && self.begun.elapsed() > BEGINS;
        if self.left == 0 || is_late {
            return Ok(Vec::new());
        }
        let untried = plan.steps.iter().filter(|step| !self.tried.contains(&step.action.key()));
        let steps = of_one_round(untried.cloned());
        Ok(if steps.is_empty() || self.is_latest().await? { steps } else { Vec::new() })
    }

    /// Whether the manifest that is acted on is still the one in the cluster. What the watch shows can be old, a pass can take
    /// minutes, and nothing is done on the word of an old manifest: it may be suspended by now, or a channel may have been moved back.
    async fn is_latest(&self) -> Result<bool, Error> {
        let Self { object, context, .. } = self;
        let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
        let latest = api.get_metadata_opt(&object.name_any()).await?;
        let same =
            |uid: Option<String>, generation| uid == object.metadata.uid && generation == object.metadata.generation;
        Ok(latest.is_some_and(|l| same(l.metadata.uid, l.metadata.generation)))
    }

    /// Reports the regions in which something is about to be done for the first time. If this process ends before it can tell
    /// what came of it, and the manifest drops the region meanwhile, the next one would not know where to look.
    async fn announce(&mut self, plan: &Plan, steps: &[Step]) -> Result<(), Error> {
        let Self { object, context, desired, before, .. } = self;
        if steps.iter().all(|step| report::tells_of(before, step.action.region())) {
            return Ok(());
        }
        let status = report::status(object, desired, plan, before, context.clock.now());
        let last_handled_reconcile_at = before.last_handled_reconcile_at.clone();
        let status = MachineImageStatus { last_handled_reconcile_at, ..status };
        publish(object, context, before, status.clone()).await?;
        *before = status;
        Ok(())
    }

    /// Lists the regions of the object anew, snapshots included, and waits for that.
    async fn refresh(&self) {
        let regions = self.desired.regions.keys().chain(&self.surroundings.former_regions);
        join_all(regions.map(|region| self.context.inventory.refresh(region))).await;
    }
}

/// The steps of one round. In a region a channel moves first: somebody waits for that, while a copy takes minutes anyway. What takes
/// something away goes by itself, and a few at a time: the region is looked at anew before each round, and a manifest that has changed
/// since must not wait until many others are gone.
fn of_one_round(steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut by_region = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
    for step in steps {
        let (others, removals) = by_region.entry(step.action.region().clone()).or_default();
        if step.action.removes() { removals.push(step) } else { others.push(step) }
    }
    let of_region = |(mut others, mut removals): (Vec<Step>, Vec<Step>)| {
        others.sort_by_key(|step| !matches!(step.action, Action::Publish { .. }));
        removals.truncate(if others.is_empty() { REMOVALS } else { 0 });
        others.into_iter().chain(removals)
    };
    by_region.into_values().flat_map(of_region).collect()
}

/// Whether the answer to who uses an image is not asked for again in this pass: it lets nothing go, or nothing more is done in the
/// region. That nobody uses an image must have been asked just before it goes.
fn is_settled(image: &ImageId, usage: &Usage, plan: &Plan, closed: &BTreeSet<RegionName>) -> bool {
    let is_closed = || plan.departures.iter().any(|d| d.id == image.as_str() && closed.contains(&d.region));
    *usage != Usage::Unused || is_closed()
}

/// Where images or snapshots of the object may be, although its manifest names the region no more: as the last report says, or where the
/// inventory knows some.
fn former_regions(context: &Context, desired: &Desired, before: &MachineImageStatus) -> BTreeSet<RegionName> {
    let reported = before.regions.iter().map(RegionName::new);
    let named = |region: &RegionName| desired.regions.contains_key(region);
    let known = context.inventory.regions_of(&desired.owner, named);
    reported.filter(|region| !named(region)).chain(known).collect()
}

/// The versions that an earlier process may have begun to copy: those of which the last report told, and those of the manifest too if it
/// has changed more than once since, so that they need not be as new as the manifest.
fn begun_earlier(object: &MachineImage, desired: &Desired, before: &MachineImageStatus) -> BTreeSet<VersionName> {
    let edits = object.metadata.generation.unwrap_or_default() - before.observed_generation;
    let told = before.versions.iter().map(|v| &v.version).chain(before.pruning.iter().map(|p| &p.version));
    let listed = desired.versions.iter().filter(|_| edits > 1).map(|v| v.name.clone());
    told.map(VersionName::new).chain(listed).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::api::VersionStatus;

    fn step(action: Action) -> Step {
        Step { action, reason: crate::plan::Reason::ObjectDeleted }
    }

    #[test]
    fn what_takes_something_away_goes_by_itself_and_a_few_at_a_time_in_a_region() {
        let delete = |region: &str, number: usize| {
            let snapshot = format!("snap-{number}").as_str().into();
            step(Action::DeleteSnapshot { region: region.into(), version: "1.0".into(), snapshot })
        };
        let tag = step(Action::Tag {
            region: "eu-west-1".into(),
            version: "1.0".into(),
            image: "ami-1".into(),
            resources: vec![],
            tags: crate::plan::tags::Tags::new(),
        });
        let of = |region: &'static str| (0..REMOVALS + 1).map(move |number| delete(region, number));
        let steps = of_one_round(of("eu-west-1").chain([tag]).chain(of("us-east-1")));
        let count = |region: &str| steps.iter().filter(|step| step.action.region().as_str() == region).count();
        assert_eq!((count("eu-west-1"), count("us-east-1")), (1, REMOVALS));
    }

    /// The versions that may be begun, of an object of a generation that lists two, by a report of generation 3 that told of the first.
    fn begun(generation: i64) -> Vec<String> {
        let version = |name: &str| {
            let image = serde_json::json!({"region": "us-east-1", "id": "ami-1", "adopt": true});
            serde_json::json!({"version": name, "source": {"image": image}})
        };
        let spec = serde_json::json!({
            "versions": [version("1.0"), version("1.1")],
            "regions": [{"region": "us-east-1"}],
        });
        let mut object = MachineImage::new("web", serde_json::from_value(spec).expect("a spec"));
        object.metadata.namespace = Some("images".into());
        object.metadata.generation = Some(generation);
        let desired = Desired::parse(&object, "default").expect("a manifest");
        let told = VersionStatus { version: "1.0".into(), listed: true, released_at: None, regions: vec![] };
        let before = MachineImageStatus { observed_generation: 3, versions: vec![told], ..Default::default() };
        begun_earlier(&object, &desired, &before).into_iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn an_earlier_process_may_have_begun_what_was_told_before_or_what_may_have_been_asked_for_before() {
        assert_eq!(begun(3), ["1.0"]);
        assert_eq!(begun(4), ["1.0"], "the other one is as new as the manifest");
        assert_eq!(begun(5), ["1.0", "1.1"]);
    }
}
