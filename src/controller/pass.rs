//! One pass over one object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use thiserror::Error;
use tokio::time::timeout;

use super::context::Context;
use super::execute::{Done, execute};
use super::observe::{Surroundings, observe};
use super::{delete, events, report};
use crate::api::{MachineImage, MachineImageStatus, RECONCILE_AT};
use crate::plan::ids::{ImageId, RegionName, VersionName};
use crate::plan::{Desired, Plan, Step, Usage, plan};

/// What one step makes possible, another round of the same pass can do: adopt, then publish. More rounds than this
/// are left to the next pass.
const ROUNDS: usize = 4;
/// How many things are taken away in a region before everything is looked at anew.
const REMOVALS: usize = 20;
/// A pass that takes longer has lost its way; the next one begins anew, and nothing is lost.
const PASS_LIMIT: Duration = Duration::from_mins(5);
/// How long a pass waits for fresh listings.
const REFRESH_LIMIT: Duration = Duration::from_secs(15);

/// Why a pass was given up. What AWS refuses is not among this: it is told in the status.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// The Kubernetes API did not do what was asked.
    #[error("the Kubernetes API failed: {0}")]
    Api(#[from] kube::Error),
    /// It took too long.
    #[error("the pass or its listings took longer than {0:?}")]
    TooLong(Duration),
}

/// Reconciles one object. One that does not decode waits for a change; it spoils no other.
pub(super) async fn reconcile(
    object: Arc<DeserializeGuard<MachineImage>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let object = match &object.0 {
        Ok(object) => object,
        Err(invalid) => {
            events::undecodable(&context, invalid).await;
            return Ok(Action::await_change());
        }
    };
    let started = Instant::now();
    let result = timeout(PASS_LIMIT, pass(object, &context)).await.unwrap_or(Err(Error::TooLong(PASS_LIMIT)));
    context.metrics.reconciled(if result.is_ok() { "ok" } else { "error" }, started.elapsed());
    if result.is_ok() {
        context.api_worked(&context.owner(object));
    }
    result
}

/// When to try again after the Kubernetes API failed: later each time.
pub(super) fn retry(object: &DeserializeGuard<MachineImage>, error: &Error, context: &Context) -> Action {
    let Ok(object) = &object.0 else { return Action::await_change() };
    let owner = context.owner(object);
    let seconds = 1 << context.api_failed(&owner).min(8);
    tracing::warn!(object = %owner, "{error}; the pass is repeated in {seconds} s");
    Action::requeue(Duration::from_secs(seconds.min(120)))
}

async fn pass(object: &MachineImage, context: &Context) -> Result<Action, Error> {
    if delete::is_done_without_aws(object) {
        return delete::release(object, context).await;
    }
    let mut before = context.last_status(object);
    let desired = match Desired::parse(object, &context.installation) {
        Ok(desired) => desired,
        Err(invalid) => {
            let status = report::invalid(object, &before, &invalid, context.clock.now());
            publish(object, context, &before, status, &[]).await?;
            return Ok(Action::requeue(Duration::from_hours(1)));
        }
    };
    if !desired.deleting {
        delete::protect(object, context).await?;
    }
    let (plan, done) = rounds(object, context, &desired, &mut before).await?;
    if plan.all_gone {
        // No report: it would go with the object, and writing it would make the object newer than the one let go.
        events::actions(context, object, &done).await;
        return delete::release(object, context).await;
    }
    let status = report::status(object, &desired, &plan, &before, context.clock.now());
    publish(object, context, &before, status, &done).await?;
    Ok(Action::requeue(next_look(context, &desired, &plan)))
}

/// Observes, plans and executes until there is nothing more to do now. The last plan is what is reported.
async fn rounds(
    object: &MachineImage,
    context: &Context,
    desired: &Desired,
    before: &mut MachineImageStatus,
) -> Result<(Plan, Vec<Done>), Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let requested = object.annotations().get(RECONCILE_AT) != before.last_handled_reconcile_at.as_ref()
        && object.annotations().contains_key(RECONCILE_AT);
    let former_regions = former_regions(context, desired, before);
    let begun_earlier = begun_earlier(object, desired, before);
    let mut surroundings = Surroundings { former_regions, begun_earlier, requested, ..Surroundings::default() };
    if requested {
        // A region that does not answer is reported by its own listing.
        let _ = refresh(context, desired, &surroundings).await;
    }
    let mut rounds_left = ROUNDS;
    let mut all_done = Vec::<Done>::new();
    let mut tried = BTreeSet::new();
    let mut closed = BTreeSet::new();
    let mut forget = requested;
    let mut seen_gone = false;
    loop {
        context.look_around(&desired.owner, &mut surroundings);
        surroundings.failures = context.failures(&desired.owner, generation, std::mem::take(&mut forget));
        let observed = observe(&context.inventory, desired, &surroundings).await;
        let plan = plan(desired, &observed, context.clock.now());
        let untried = plan.steps.iter().filter(|step| !tried.contains(&step.action.key()));
        let mut steps = of_one_round(untried.filter(|_| rounds_left > 0).cloned());
        if !steps.is_empty() && !is_latest(object, context).await? {
            steps.clear();
        }
        announce(object, context, desired, &plan, &steps, before).await?;
        let done = execute(&context.inventory, &desired.owner, steps, &mut closed).await;
        surroundings.usage = observed.usage;
        surroundings.usage.retain(|image, usage| stands(image, usage, &plan, &closed));
        if done.is_empty() && plan.all_gone && !seen_gone {
            // Nobody will look after what an old listing has left out.
            refresh(context, desired, &surroundings).await?;
            seen_gone = true;
            continue;
        }
        if done.is_empty() {
            return Ok((plan, all_done));
        }
        rounds_left -= 1;
        tried.extend(done.iter().map(|done| done.step.action.key()));
        context.note(&desired.owner, generation, &done);
        all_done.extend(done);
    }
}

/// The steps of one round. What takes something away goes by itself, and a few at a time in a region: it is looked at anew before each
/// round, and a manifest that has changed since must not wait until many others are gone.
fn of_one_round(steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut by_region = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
    for step in steps {
        let (others, removals) = by_region.entry(step.action.region().clone()).or_default();
        if step.action.removes() { removals.push(step) } else { others.push(step) }
    }
    let of_region = |(others, mut removals): (Vec<Step>, Vec<Step>)| {
        removals.truncate(if others.is_empty() { REMOVALS } else { 0 });
        others.into_iter().chain(removals)
    };
    by_region.into_values().flat_map(of_region).collect()
}

/// Whether the answer to who uses an image is not asked for again in this pass: it could not be had, or nothing more is done in the
/// region.
fn stands(image: &ImageId, usage: &Usage, plan: &Plan, closed: &BTreeSet<RegionName>) -> bool {
    let is_closed = || plan.departures.iter().any(|d| d.id == image.as_str() && closed.contains(&d.region));
    matches!(usage, Usage::Unknown(_)) || is_closed()
}

/// Reports the regions in which something is about to be done for the first time. If this process ends before it can tell what came
/// of it, and the manifest drops the region meanwhile, the next one would not know where to look.
async fn announce(
    object: &MachineImage,
    context: &Context,
    desired: &Desired,
    plan: &Plan,
    steps: &[Step],
    before: &mut MachineImageStatus,
) -> Result<(), Error> {
    let told = report::regions(before);
    if steps.iter().all(|step| told.contains(step.action.region())) {
        return Ok(());
    }
    let status = report::status(object, desired, plan, before, context.clock.now());
    let last_handled_reconcile_at = before.last_handled_reconcile_at.clone();
    let status = MachineImageStatus { last_handled_reconcile_at, ..status };
    if report::regions(&status).is_subset(&told) {
        return Ok(());
    }
    publish(object, context, before, status.clone(), &[]).await?;
    *before = status;
    Ok(())
}

/// Where images or snapshots of the object may be, although its manifest names the region no more: where the last report tells
/// of any, or the inventory knows some.
fn former_regions(context: &Context, desired: &Desired, before: &MachineImageStatus) -> BTreeSet<RegionName> {
    let reported = report::regions(before).into_iter();
    let named = |region: &RegionName| desired.regions.contains_key(region);
    let known = context.inventory.regions_of(&desired.owner, named);
    reported.filter(|region| !named(region)).chain(known).collect()
}

/// The versions that an earlier process may have begun to copy: those of which the last report told, and all of them if the manifest
/// has changed more than once since, so that they need not be as new as the manifest.
fn begun_earlier(object: &MachineImage, desired: &Desired, before: &MachineImageStatus) -> BTreeSet<VersionName> {
    let edits = object.metadata.generation.unwrap_or_default() - before.observed_generation;
    let told = |name: &VersionName| before.versions.iter().any(|v| v.version == name.as_str());
    desired.versions.iter().map(|v| v.name.clone()).filter(|name| edits > 1 || told(name)).collect()
}

/// Lists the regions of an object anew, snapshots included, and waits for that.
async fn refresh(context: &Context, desired: &Desired, surroundings: &Surroundings) -> Result<(), Error> {
    let regions = desired.regions.keys().chain(&surroundings.former_regions);
    let listings = join_all(regions.map(|region| context.inventory.refresh(region)));
    timeout(REFRESH_LIMIT, listings).await.map(drop).map_err(|_| Error::TooLong(REFRESH_LIMIT))
}

/// Whether the manifest that is acted on is still the one in the cluster. What the watch shows can be old, a pass can take minutes,
/// and nothing is done on the word of an old manifest: it may be suspended by now, or a channel may have been moved back.
async fn is_latest(object: &MachineImage, context: &Context) -> Result<bool, Error> {
    let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let latest = api.get_metadata_opt(&object.name_any()).await?;
    let same = |uid: Option<String>, generation| uid == object.metadata.uid && generation == object.metadata.generation;
    Ok(latest.is_some_and(|l| same(l.metadata.uid, l.metadata.generation)))
}

/// Writes the status if it differs, and tells of transitions.
async fn publish(
    object: &MachineImage,
    context: &Context,
    before: &MachineImageStatus,
    status: MachineImageStatus,
    done: &[Done],
) -> Result<(), Error> {
    events::actions(context, object, done).await;
    if status == *before {
        return Ok(());
    }
    report::write(object, context, &status).await?;
    events::transitions(context, object, before, &status).await;
    context.wrote_status(object, status);
    Ok(())
}

/// The next look: at the interval, a little spread out so that many objects do not ask at once; earlier if something is due.
fn next_look(context: &Context, desired: &Desired, plan: &Plan) -> Duration {
    let spread =
        desired.owner.to_string().bytes().fold(0_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into())) % 100;
    let regular = desired.interval.mul_f64(1.0 + f64::from(spread) / 1000.0);
    let due =
        plan.look_again.map(|at| at.duration_since(context.clock.now()).max(jiff::SignedDuration::from_millis(500)));
    let due = due.map(|wait| Duration::try_from(wait).unwrap_or_default());
    let unfinished = (!plan.steps.is_empty()).then_some(Duration::from_secs(5));
    [Some(regular), due, unfinished].into_iter().flatten().min().unwrap_or(regular)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::api::VersionStatus;

    fn step(action: crate::plan::Action) -> Step {
        Step { action, reason: crate::plan::Reason::ObjectDeleted }
    }

    #[test]
    fn what_takes_something_away_goes_by_itself_and_a_few_at_a_time_in_a_region() {
        let delete = |region: &str, number: usize| {
            let snapshot = format!("snap-{number}").as_str().into();
            step(crate::plan::Action::DeleteSnapshot { region: region.into(), version: "1.0".into(), snapshot })
        };
        let tag = step(crate::plan::Action::Tag {
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
