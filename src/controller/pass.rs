//! One pass over one object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use thiserror::Error;
use tokio::time::timeout;

use super::context::Context;
use super::rounds::Rounds;
use super::{delete, events, report};
use crate::api::{MachineImage, MachineImageStatus};
use crate::plan::{Desired, Plan};

/// A pass that takes longer has lost its way; the next one begins anew, and nothing is lost.
const PASS_LIMIT: Duration = Duration::from_mins(5);

/// Why a pass was given up. What AWS refuses is not among this: it is told in the status.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// The Kubernetes API did not do what was asked.
    #[error("the Kubernetes API failed: {0}")]
    Api(#[from] kube::Error),
    /// It took too long.
    #[error("the pass took longer than {0:?}")]
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
    let before = context.last_status(object);
    let desired = match Desired::parse(object, &context.installation) {
        Ok(desired) => desired,
        Err(invalid) => {
            let status = report::invalid(object, &before, &invalid, context.clock.now());
            publish(object, context, &before, status).await?;
            return Ok(Action::requeue(Duration::from_hours(1)));
        }
    };
    if !desired.deleting {
        delete::protect(object, context).await?;
    }
    let (plan, before) = Rounds::new(object, context, &desired, before).run().await?;
    if plan.all_gone {
        // No report: it would go with the object, and writing it would make the object newer than the one let go.
        return delete::release(object, context).await;
    }
    let status = report::status(object, &desired, &plan, &before, context.clock.now());
    publish(object, context, &before, status).await?;
    Ok(Action::requeue(next_look(context, &desired, &plan)))
}

/// Writes the status if it differs, and tells of transitions.
pub(super) async fn publish(
    object: &MachineImage,
    context: &Context,
    before: &MachineImageStatus,
    status: MachineImageStatus,
) -> Result<(), Error> {
    if status == *before {
        return Ok(());
    }
    let written = report::write(object, context, &status).await?;
    events::transitions(context, object, before, &status).await;
    if let Some(written) = written {
        context.wrote_status(&written, status);
    }
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
