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

/// For so long, what was looked at before the steps counts as known, and the manifest as the latest.
const FRESH: Duration = Duration::from_secs(30);

/// Carries out steps by what was looked at when `looked` was. In a lane they go one after another; when a region is out of reach or
/// asks for fewer calls, the rest of its lane has failed for the same reason without being tried, and the region is added to
/// `closed`. Where there are many, or AWS answers slowly, what was looked at grows old: all but the first are left for the next round
/// then.
pub(super) async fn execute(
    inventory: &Arc<Inventory>,
    owner: &Owner,
    steps: Vec<Step>,
    looked: Instant,
    closed: &mut BTreeSet<RegionName>,
) -> Vec<Done> {
    let mut lanes = BTreeMap::<_, Vec<_>>::new();
    for step in steps.into_iter().filter(|step| !closed.contains(step.action.region())) {
        lanes.entry(step.action.region().clone()).or_default().push(step);
    }
    let lanes = lanes.into_iter().map(async |(region, steps)| (region, lane(inventory, owner, steps, looked).await));
    let mut done = Vec::new();
    for (region, mut results) in join_all(lanes).await {
        if results.last().and_then(|last| last.result.as_ref().err()).is_some_and(closes_lane) {
            closed.insert(region);
        }
        done.append(&mut results);
    }
    done
}

async fn lane(inventory: &Arc<Inventory>, owner: &Owner, steps: Vec<Step>, looked: Instant) -> Vec<Done> {
    let mut done = Vec::<Done>::new();
    let mut steps = steps.into_iter();
    while let Some(step) = steps.next() {
        if !done.is_empty() && looked.elapsed() > FRESH {
            break;
        }
        let result = act(inventory, owner, &step.action).await;
        match &result {
            Ok(outcome) => tracing::info!(object = %owner, reason = step.reason.code(), "{}", outcome.note),
            Err(trouble) => tracing::warn!(object = %owner, code = trouble.code, "{}", trouble.message),
        }
        let put_off = result.as_ref().err().filter(|trouble| closes_lane(trouble)).map(untried);
        done.push(Done { step, result });
        if let Some(trouble) = put_off {
            done.extend(steps.map(|step| Done { step, result: Err(trouble.clone()) }));
            break;
        }
    }
    done
}

fn closes_lane(trouble: &Trouble) -> bool {
    trouble.class == Class::Throttled || trouble.is_unanswered()
}

/// Why a step behind one that has closed its lane was not done.
fn untried(trouble: &Trouble) -> Trouble {
    Trouble { message: format!("this was put off, because {}", trouble.message), ..trouble.clone() }
}
