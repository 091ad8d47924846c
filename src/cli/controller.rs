//! `amiops controller`: settings from flags and environment, signals, and the run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{AnyError, duration, owner_id};
use crate::aws::{self, Aws, sdk_config};
use crate::clock::Clock;
use crate::controller::{self, Doors, Election, Telemetry};
use crate::telemetry::{self, Health, LogFormat, Metrics};

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Part of the ownership tag of every image: two installations on one account need two ids.
    #[arg(long, env = "AMIOPS_OWNER_ID", default_value = "default", value_parser = owner_id)]
    owner_id: String,

    /// The namespace to watch. All namespaces, if left out.
    #[arg(long, env = "AMIOPS_WATCH_NAMESPACE")]
    watch_namespace: Option<String>,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "AMIOPS_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// The form of the logs.
    #[arg(long, env = "AMIOPS_LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,

    /// What is logged, as a tracing filter like info,amiops=debug.
    #[arg(long, env = "AMIOPS_LOG", default_value = "info")]
    log: String,

    /// Whether only one of several processes works, chosen by a Lease.
    #[arg(long, env = "AMIOPS_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    leader_elect: bool,

    /// The name of the Lease.
    #[arg(long, env = "AMIOPS_LEASE_NAME", default_value = "amiops")]
    lease_name: String,

    /// The namespace of the Lease. That of the kubeconfig or the pod, if left out.
    #[arg(long, env = "AMIOPS_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,

    /// After this long without renewal another process takes over. Whole seconds, 3s or more.
    #[arg(long, env = "AMIOPS_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    lease_duration: Duration,

    /// The name of this process, in the Lease and in events. The name of the host, if left out.
    #[arg(long, env = "AMIOPS_IDENTITY")]
    identity: Option<String>,

    /// How often the images of a region are listed.
    #[arg(long, env = "AMIOPS_INVENTORY_INTERVAL", default_value = "5m", value_parser = duration)]
    inventory_interval: Duration,

    /// How often the snapshots of a region are listed.
    #[arg(long, env = "AMIOPS_SNAPSHOT_INTERVAL", default_value = "1h", value_parser = duration)]
    snapshot_interval: Duration,

    /// How often copies under way are looked at.
    #[arg(long, env = "AMIOPS_POLL_INTERVAL", default_value = "15s", value_parser = duration)]
    poll_interval: Duration,

    /// How many objects are reconciled at once.
    #[arg(long, env = "AMIOPS_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
}

/// An API server that has sent nothing for so long is not there any more; without a limit a list on a dead connection holds up
/// everything until TCP gives up. Longer than a watch lasts, 290 s, so that none is cut off in which nothing happens.
const KUBE_SILENCE: Duration = Duration::from_secs(295);

pub(super) async fn run(args: Args) -> Result<(), AnyError> {
    telemetry::init(args.log_format, &args.log)?;
    let client = kube_client().await.map_err(|e| format!("the Kubernetes API cannot be used: {e}"))?;
    let metrics = Metrics::default();
    let health = Health::default();
    let (stop, stopping) = watch::channel(false);
    let listener =
        TcpListener::bind(args.listen).await.map_err(|e| format!("cannot listen on {}: {e}", args.listen))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %listener.local_addr()?, "amiops starts");
    let mut server_stopping = stopping.clone();
    let stopped = async move {
        let _ = server_stopping.wait_for(|stop| *stop).await;
    };
    let server = tokio::spawn(telemetry::serve(listener, health.clone(), metrics.clone(), stopped));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signals.send_replace(true);
    });

    let settings = settings(args, client.default_namespace());
    let aws = Arc::new(Aws::new(sdk_config(None).await, metrics.clone()));
    let doors = Doors { kube: client, aws, clock: Clock::system() };
    let result = controller::run(doors, settings, Telemetry { metrics, health }, stopping).await;
    stop.send_replace(true);
    server.await??;
    tracing::info!("amiops has stopped");
    Ok(result?)
}

/// The client of the cluster that the environment tells of.
async fn kube_client() -> Result<kube::Client, AnyError> {
    let mut config = kube::Config::infer().await?;
    config.read_timeout = Some(KUBE_SILENCE);
    config.reset_reader_on_write = true;
    Ok(kube::Client::try_from(config)?)
}

/// Kubernetes counts the duration of a Lease in whole seconds; in less than three nobody can renew it in time.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let is_legal = duration.subsec_nanos() == 0 && duration >= Duration::from_secs(3);
    if is_legal { Ok(duration) } else { Err("a Lease lasts whole seconds, 3s or more".into()) }
}

fn settings(args: Args, default_namespace: &str) -> controller::Settings {
    let identity = args.identity.unwrap_or_else(host);
    // The relation of client-go's defaults: 15 s, 10 s, 2 s.
    let lease = args.leader_elect.then(|| Election {
        name: args.lease_name,
        namespace: args.lease_namespace.unwrap_or_else(|| default_namespace.to_owned()),
        identity: identity.clone(),
        duration: args.lease_duration,
        renew_deadline: args.lease_duration * 2 / 3,
        retry: args.lease_duration * 2 / 15,
    });
    controller::Settings {
        namespace: args.watch_namespace.filter(|namespace| !namespace.is_empty()),
        lease,
        identity,
        inventory: aws::Settings {
            installation: args.owner_id,
            listing: args.inventory_interval,
            snapshots: args.snapshot_interval,
            poll: args.poll_interval,
        },
        concurrency: args.concurrency,
    }
}

/// A name that no other process has: a second process on the same host must not take the lease for its own.
fn host() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}-{}", if host.trim().is_empty() { "amiops" } else { host.trim() }, std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_whole_seconds_and_three_at_least() {
        assert_eq!(lease_duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(lease_duration("3s"), Ok(Duration::from_secs(3)));
        for refused in ["2s", "3500ms", "0s", "soon"] {
            assert!(lease_duration(refused).is_err(), "{refused}");
        }
    }
}
