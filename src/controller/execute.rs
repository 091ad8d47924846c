//! Execute: carry out the steps of a plan, all regions at once, each in its own lane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::aws::{Inventory, Outcome, act};
use crate::plan::ids::{Owner, RegionName};
use crate::plan::{Class, Step, Trouble};

/// A step that was tried, and what came of it.
pub(super) struct Done {
    pub(super) step: Step,
    pub(super) result: Result<Outcome, Trouble>,
}

/// For so long, what was looked at before the steps counts as known just before a removal.
const FRESH: Duration = Duration::from_secs(30);

/// Carries out steps. In a lane they go one after another; when a region is out of reach or asks for fewer calls, the rest
/// of its lane has failed for the same reason without being tried, and the region is added to `closed`. Where AWS answers slowly,
/// what was checked grows old: removals but the first are left for the next round then.
pub(super) async fn execute(
    inventory: &Arc<Inventory>,
    owner: &Owner,
    steps: Vec<Step>,
    closed: &mut BTreeSet<RegionName>,
) -> Vec<Done> {
    let mut lanes = BTreeMap::<_, Vec<_>>::new();
    for step in steps.into_iter().filter(|step| !closed.contains(step.action.region())) {
        lanes.entry(step.action.region().clone()).or_default().push(step);
    }
    let lanes = lanes.into_iter().map(async |(region, steps)| (region, lane(inventory, owner, steps).await));
    let mut done = Vec::new();
    for (region, mut results) in join_all(lanes).await {
        if results.last().is_some_and(|last| closes_lane(&last.result)) {
            closed.insert(region);
        }
        done.append(&mut results);
    }
    done
}

async fn lane(inventory: &Arc<Inventory>, owner: &Owner, steps: Vec<Step>) -> Vec<Done> {
    let mut done = Vec::<Done>::new();
    let begun = Instant::now();
    for step in steps {
        if step.action.removes() && !done.is_empty() && begun.elapsed() > FRESH {
            break;
        }
        if let Some(Err(trouble)) = done.last().map(|last| &last.result).filter(|result| closes_lane(result)) {
            let result = Err(trouble.clone());
            done.push(Done { step, result });
            continue;
        }
        let result = act(inventory, owner, &step.action).await;
        match &result {
            Ok(outcome) => tracing::info!(object = %owner, reason = step.reason.code(), "{}", outcome.note),
            Err(trouble) => tracing::warn!(object = %owner, code = trouble.code, "{}", trouble.message),
        }
        done.push(Done { step, result });
    }
    done
}

fn closes_lane(result: &Result<Outcome, Trouble>) -> bool {
    let trouble = result.as_ref().err();
    trouble.is_some_and(|t| t.class == Class::Throttled || t.is_unanswered())
}
