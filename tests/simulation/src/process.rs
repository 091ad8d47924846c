//! A controller: the shipped program as a process, with its own doors to the world.

use std::sync::Arc;
use std::time::Duration;

use amiops::aws::{Aws, Settings as AwsSettings};
use amiops::clock::Clock;
use amiops::controller::{Doors, Election, Settings, Telemetry, run};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::doctor::Doctor;
use crate::door::http_client;
use crate::manifest::{ACCOUNT, NAMESPACE};
use crate::state::INSTALLATION;
use crate::world::World;

/// A controller that runs.
pub(crate) struct Controller {
    task: JoinHandle<()>,
    /// Dropped, it tells the controller to stop; so it is kept.
    shutdown: watch::Sender<bool>,
}

impl Controller {
    /// Starts one. It stands for election under its name, or rules alone; its clock may be off.
    pub(crate) fn start(
        world: &World,
        by_hand: &SdkConfig,
        doctor: Option<Doctor>,
        identity: &str,
        elects: bool,
        clock_is_off: SignedDuration,
    ) -> Self {
        world.begin_life();
        let (shutdown, told) = watch::channel(false);
        let (world, by_hand) = (world.clone(), by_hand.clone());
        let settings = settings(identity, elects);
        let candidate = elects.then(|| identity.to_owned());
        let identity = identity.to_owned();
        let task = tokio::spawn(async move {
            loop {
                let process = Arc::new(());
                let door = http_client(&world, &by_hand, doctor, candidate.clone(), Arc::downgrade(&process));
                let telemetry = Telemetry::default();
                let aws = by_hand.clone().into_builder().http_client(door).build();
                let doors = doors(&world, aws, &telemetry, clock_is_off);
                // A controller that lost its lease ends, and is started again, as its Deployment does.
                let Err(error) = run(doors, settings.clone(), telemetry, told.clone()).await else { return };
                drop(process);
                world.trace.line(world.elapsed(), "ended", &format!("{identity}: {error}"));
                world.begin_life();
                sleep(Duration::from_secs(1)).await;
            }
        });
        Self { task, shutdown }
    }

    /// Kills it.
    pub(crate) fn kill(self) {
        self.task.abort();
    }

    /// Tells it to stop, which it does when its passes have ended.
    pub(crate) fn stop(&self) {
        // It may have ended already.
        let _ = self.shutdown.send(true);
    }
}

/// What a controller reaches the world through.
fn doors(world: &World, aws: SdkConfig, telemetry: &Telemetry, clock_is_off: SignedDuration) -> Doors {
    let clock = world.clone();
    Doors {
        kube: world.kube.client(),
        aws: Arc::new(Aws::new(aws, telemetry.metrics.clone())),
        clock: Clock::from_fn(move || clock.wrong_time() + clock_is_off),
    }
}

fn settings(identity: &str, elects: bool) -> Settings {
    let lease = Election {
        name: "amiops".into(),
        namespace: NAMESPACE.into(),
        identity: identity.into(),
        // Thirty times the defaults: over many hours, renewing would cost more than all else.
        duration: Duration::from_secs(450),
        renew_deadline: Duration::from_secs(300),
        retry: Duration::from_secs(120),
    };
    Settings {
        namespace: None,
        lease: elects.then_some(lease),
        identity: identity.into(),
        inventory: AwsSettings {
            installation: INSTALLATION.into(),
            listing: Duration::from_mins(10),
            snapshots: Duration::from_hours(1),
            // Eight times the default: many calls are these looks, and nothing depends on how often they are.
            poll: Duration::from_mins(2),
        },
        concurrency: 8,
    }
}

/// The configuration of an AWS client that goes through a door.
pub(crate) async fn sdk_config(http: SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCOUNT, "secret", None, None, "simulation"))
        .timeout_config(amiops::aws::timeouts())
        .retry_config(RetryConfig::standard().with_use_static_exponential_base(true))
        .load()
        .await
}
