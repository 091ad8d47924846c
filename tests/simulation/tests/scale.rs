//! An object of many years: hundreds of images in one region, far away, in which each call takes almost a second. To ask of each
//! who uses it, one after the other, takes longer than a pass may.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amiops::aws::{self, Aws};
use amiops::clock::Clock;
use amiops::controller::{Doors, Settings, Telemetry, run};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::config::Credentials;
use ec2sim::{Config, Effect, Fault, SeedImage, Sim};
use jiff::Timestamp;
use kubesim::KubeSim;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const NAMESPACE: &str = "images";
const REGION: &str = "eu-west-1";
const MANY: usize = 400;

/// AWS, the API server, and the controller that works on both.
struct Stage {
    aws: Sim,
    kube: KubeSim,
    _shutdown: watch::Sender<bool>,
}

impl Stage {
    /// An object that lists one version, and whose region has many adopted images of versions that have left the list.
    async fn new(left: impl Fn(SeedImage) -> SeedImage) -> Self {
        let start = Instant::now();
        let now = move || Timestamp::from_second(1_800_000_000).unwrap() + start.elapsed();
        let aws = Sim::new(Config::default(), Arc::new(now));
        let kube = KubeSim::new(Arc::new(now)).unwrap();
        kube.ensure_namespace(NAMESPACE);
        aws.seed_image(SeedImage { id: Some("ami-0000000000000abcd".into()), ..SeedImage::default() }).unwrap();
        for number in 0..MANY {
            aws.seed_image(left(adopted(number))).unwrap();
        }
        let door = aws.http_client();
        aws.add_fault(Fault::new(Effect::Delay(900)).operation("*").region(REGION));

        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(door)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("111111111111", "secret", None, None, "test"))
            .timeout_config(aws::timeouts())
            .load()
            .await;
        let telemetry = Telemetry::default();
        let clock = Clock::from_fn(now);
        let aws_door = Arc::new(Aws::new(config, telemetry.metrics.clone()));
        let (shutdown, told) = watch::channel(false);
        let doors = Doors { kube: kube.client(), aws: aws_door, clock };
        tokio::spawn(run(doors, settings(), telemetry, told));
        Self { aws, kube, _shutdown: shutdown }
    }

    fn apply(&self, change: impl FnOnce(&mut Value)) {
        let mut manifest = json!({
            "apiVersion": "amiops.dev/v1alpha1",
            "kind": "MachineImage",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "versions": [{"version": "9.0", "source": {"image": {"region": "us-east-1", "id": "ami-0000000000000abcd"}}}],
                "regions": [{"region": REGION}],
                "retention": {"keepLast": 0},
            },
        });
        change(&mut manifest["spec"]);
        self.kube.apply("machineimages", NAMESPACE, "web", &manifest).unwrap();
    }

    fn status(&self) -> Value {
        self.kube.get("machineimages", NAMESPACE, "web").unwrap_or_default()["status"].take()
    }

    fn is_ready(&self) -> bool {
        let status = self.status();
        status["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    }

    fn count_images(&self) -> usize {
        let mut count = 0;
        self.aws.view(|region| count += if region.name() == REGION { region.images().count() } else { 0 });
        count
    }

    /// Waits until something holds, for so long at most.
    async fn within(&self, limit: Duration, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}; {}", self.status()["conditions"]);
            sleep(Duration::from_secs(10)).await;
        }
    }
}

fn settings() -> Settings {
    let minutes = Duration::from_mins;
    let inventory =
        aws::Settings { installation: "many".into(), listing: minutes(5), snapshots: minutes(60), poll: minutes(1) };
    Settings { namespace: None, lease: None, identity: "one".into(), inventory, concurrency: 8 }
}

fn adopted(number: usize) -> SeedImage {
    let id = format!("ami-{number:017x}");
    let tags = [
        ("amiops.dev/owner", format!("many/{NAMESPACE}/web")),
        ("amiops.dev/version", format!("1.{number}")),
        ("amiops.dev/source", format!("{REGION}/{id}")),
        ("amiops.dev/adopted", "true".to_owned()),
    ];
    let tags: BTreeMap<_, _> = tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    SeedImage { region: REGION.into(), id: Some(id.clone()), name: Some(id), tags, ..SeedImage::default() }
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_images_that_nobody_uses_go() {
    let stage = Stage::new(|image| image).await;
    stage.apply(|_| {});
    stage.within(Duration::from_hours(1), "all but one have gone", |stage| stage.count_images() == 1).await;
    stage.within(Duration::from_mins(5), "the object is ready", Stage::is_ready).await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_images_that_stay_hold_up_no_channel_and_no_status() {
    let shared = vec!["222222222222".to_owned()];
    let stage = Stage::new(|image| SeedImage { shared_with: shared.clone(), ..image }).await;
    stage.apply(|_| {});
    stage.within(Duration::from_mins(10), "the object is ready", Stage::is_ready).await;

    stage.apply(|spec| {
        spec["channels"] = json!([{"name": "prod", "version": "9.0", "publish": {"ssmParameter": "/golden/web/prod"}}]);
    });
    let landed = |stage: &Stage| stage.status()["promoted"] == "prod=9.0" && stage.is_ready();
    stage.within(Duration::from_mins(5), "the channel has landed", landed).await;
    assert_eq!(stage.count_images(), MANY + 1);
}
