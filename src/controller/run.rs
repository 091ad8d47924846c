//! Running: stand for election, then watch objects and reconcile them until told to stop.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Config;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::predicates::{annotations, finalizers, generation};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Controller, Predicate, PredicateConfig, WatchStreamExt, watcher};
use kube::{Api, Client};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::context::Context;
use super::leader::{Election, Leadership, Term};
use super::pass::{reconcile, retry};
use crate::api::MachineImage;
use crate::aws::{Aws, Inventory};
use crate::clock::Clock;
use crate::telemetry::{Health, Metrics};

/// How long passes under way may take to end after the program was told to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// The settings of the controller.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace to watch; `None` watches all.
    pub namespace: Option<String>,
    /// The election to stand in; `None` works without one.
    pub lease: Option<Election>,
    /// The name of this process in events.
    pub identity: String,
    /// How AWS is watched.
    pub inventory: crate::aws::Settings,
    /// How many objects are reconciled at once.
    pub concurrency: u16,
}

/// The doors to the outside: nothing else of the program reaches it.
#[derive(Clone)]
pub struct Doors {
    /// The Kubernetes API.
    pub kube: Client,
    /// AWS, through the HTTP client of its SDK.
    pub aws: Arc<Aws>,
    /// The date. Waiting is tokio's.
    pub clock: Clock,
}

/// What the controller tells of itself.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// What is counted.
    pub metrics: Metrics,
    /// Whether it is ready.
    pub health: Health,
}

/// Why the controller stopped although nobody told it to.
#[derive(Debug, Error)]
pub enum Stopped {
    /// Another process is the leader now, or the API server was out of reach for too long. To go on in the same process
    /// would be to trust that nothing of it is still at work.
    #[error("the lease was lost; this process ends, so that the next one begins anew")]
    LeaseLost,
}

/// Runs the controller until `shutdown` says true.
///
/// # Errors
/// When the lease was lost.
pub async fn run(
    doors: Doors,
    settings: Settings,
    telemetry: Telemetry,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), Stopped> {
    let Telemetry { metrics, health } = &telemetry;
    let lease = settings.lease.clone();
    let mut leadership = lease.map(|lease| Leadership::new(doors.kube.clone(), lease, doors.clock.clone()));
    if let Some(leadership) = &mut leadership {
        tokio::select! {
            () = leadership.acquire(|in_touch| health.set_ready(in_touch)) => tracing::info!("this process is the leader"),
            () = told(&mut shutdown) => return Ok(()),
        }
    }
    metrics.leader(true);
    health.set_ready(false);
    let (stop, stopping) = watch::channel(false);
    let term = leadership.as_ref().map(Leadership::term);
    let mut is_idle = true;
    let result = {
        let mut work = pin!(while_leading(term.clone(), work(doors, settings, telemetry.clone(), stopping, term)));
        tokio::select! {
            result = &mut work => result,
            () = hold(leadership.as_mut()) => Err(Stopped::LeaseLost),
            () = told(&mut shutdown) => {
                tracing::info!("stopping: passes under way are ended first");
                stop.send_replace(true);
                tokio::select! {
                    result = &mut work => result,
                    () = hold(leadership.as_mut()) => Err(Stopped::LeaseLost),
                    () = tokio::time::sleep(DRAIN) => {
                        tracing::warn!("some passes did not end in {DRAIN:?}");
                        is_idle = false;
                        Ok(())
                    }
                }
            }
        }
        // Passes that are still under way end here, before another process may begin.
    };
    metrics.leader(false);
    health.set_ready(false);
    // A call that is cut off can still be done. Then the lease is left to run out, so that the next process begins after that.
    if let (Some(leadership), Ok(()), true) = (&mut leadership, &result, is_idle) {
        leadership.release().await;
    }
    result
}

/// Works on as long as this process is the leader, which is asked before each step: a process that was stopped may have been
/// replaced before it wakes.
async fn while_leading<T>(term: Option<Term>, work: impl Future<Output = T>) -> Result<T, Stopped> {
    let mut work = pin!(work);
    poll_fn(|cx| match &term {
        Some(term) if term.is_over() => Poll::Ready(Err(Stopped::LeaseLost)),
        _ => work.as_mut().poll(cx).map(Ok),
    })
    .await
}

async fn hold(leadership: Option<&mut Leadership>) {
    match leadership {
        Some(leadership) => leadership.hold().await,
        None => std::future::pending().await,
    }
}

async fn told(signal: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is as good as being told.
    let _ = signal.wait_for(|told| *told).await;
}

/// Watches and reconciles until `stopping` says true and the passes under way have ended.
async fn work(
    doors: Doors,
    settings: Settings,
    telemetry: Telemetry,
    mut stopping: watch::Receiver<bool>,
    term: Option<Term>,
) {
    let Doors { kube: client, aws, clock } = doors;
    let Telemetry { metrics, health } = telemetry;
    let api: Api<DeserializeGuard<MachineImage>> = match &settings.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let (wake, woken) = mpsc::unbounded_channel();
    let installation = settings.inventory.installation.clone();
    let inventory = Arc::new(Inventory::new(aws, clock.clone(), settings.inventory, metrics.clone(), wake));
    let reporter = Reporter { controller: "amiops".into(), instance: Some(settings.identity) };
    let (store, writer) = reflector::store();
    let context = Arc::new(Context::new(
        client.clone(),
        inventory,
        clock,
        installation,
        Recorder::new(client, reporter),
        store.clone(),
        metrics,
    ));
    // While a list of several pages comes in, objects of its first pages are handed on before the store shows them, and their
    // passes may find nothing or what was there before. So everything is looked at once more when such a list is complete.
    let (complete, completed) = mpsc::unbounded_channel();
    // A change of the status alone is ours and starts no pass.
    let relevant = generation.combine(finalizers).combine(annotations);
    let objects = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(move |event| {
            if matches!(event, watcher::Event::InitDone) {
                // Nobody listens when the controller is on its way out.
                let _ = complete.send(());
            }
        })
        .applied_objects()
        .predicate_filter(relevant, PredicateConfig::default());
    let woken = UnboundedReceiverStream::new(woken).map(|owner| ObjectRef::new(&owner.name).within(&owner.namespace));
    let ready = async {
        if store.wait_until_ready().await.is_ok() {
            health.set_ready(true);
        }
        std::future::pending::<()>().await;
    };
    // Passes are tasks of their own, which go on by themselves when the process wakes.
    let pass = move |object, context| {
        let pass = while_leading(term.clone(), reconcile(object, context));
        async {
            match pass.await {
                Ok(result) => result,
                Err(Stopped::LeaseLost) => std::future::pending().await,
            }
        }
    };
    let passes = Controller::for_stream(objects, store.clone())
        .with_config(Config::default().concurrency(settings.concurrency))
        .reconcile_on(woken)
        // Passes wait for the first list anyway.
        .reconcile_all_on(UnboundedReceiverStream::new(completed).skip(1))
        .graceful_shutdown_on(async move { told(&mut stopping).await })
        .run(pass, |object, error, context| retry(&object, error, &context), context)
        .for_each(async |result| {
            // What a pass fails with is logged where it is retried; the rest is of no consequence, such as an object that
            // went before its turn.
            if let Err(error) = result {
                tracing::debug!("{error}");
            }
        });
    tokio::select! {
        () = passes => {}
        () = ready => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_wakes_after_the_term_goes_no_further() {
        let term = Term::of(Duration::from_secs(10));
        let steps = Arc::new(AtomicU32::new(0));
        let counted = steps.clone();
        let pass = tokio::spawn(while_leading(Some(term), async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
            }
        }));
        sleep(Duration::from_millis(1500)).await;
        assert_eq!(steps.load(Ordering::Relaxed), 2);

        advance(Duration::from_secs(60)).await;
        let ended: Result<(), Stopped> = pass.await.unwrap_or(Ok(()));
        assert!(ended.is_err());
        assert_eq!(steps.load(Ordering::Relaxed), 2);
    }
}
