//! What AWS answers, down to the bytes: the program sees, plans and acts on it without a panic, keeps to the rules by what it
//! saw, and changes nothing but after a look at it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use amiops::aws::{Aws, Inventory, Settings, act};
use amiops::clock::Clock;
use amiops::controller::{Surroundings, observe};
use amiops::plan::ids::RegionName;
use amiops::plan::{Desired, Observed, plan};
use amiops::telemetry::Metrics;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::draw::Draw;
use crate::facts::{Facts, INSTALLATION};
use crate::notes::note;
use crate::rules::{Question, check};
use crate::{wire, world};

/// The bytes from which one answer is drawn.
const ANSWER: usize = 160;

static MANIFEST: LazyLock<Value> = LazyLock::new(|| {
    let version = |name: &str, id: &str, adopt: bool| json!({"version": name, "source": {"image": {"region": "us-east-1", "id": id, "adopt": adopt}}});
    json!({
        "apiVersion": "amiops.dev/v1alpha1",
        "kind": "MachineImage",
        "metadata": {"name": "web", "namespace": "images"},
        "spec": {
            "versions": [version("1.0", "ami-00000001", false), version("2.0", "ami-00000002", true)],
            "regions": [{"region": "us-east-1"}, {"region": "eu-west-1"}],
            "channels": [{"name": "prod", "version": "1.0", "publish": {"ssmParameter": "/golden/web"}}],
            "retention": {"keepLast": 0},
            "deletionPolicy": "Delete",
        },
    })
});

/// Tries one input.
pub(crate) fn run(bytes: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(pass(bytes));
}

async fn pass(bytes: &[u8]) {
    let (first, answers) = bytes.split_at(bytes.len().min(8));
    let draw = &mut Draw::new(first);
    let mut manifest = MANIFEST.clone();
    if draw.one_in(4) {
        manifest["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    }
    let object = serde_json::from_value(manifest.clone()).expect("the manifest can be decoded");
    let desired = Desired::parse(&object, INSTALLATION).expect("the manifest is valid");
    let facts = Facts::of(&manifest);
    let former = RegionName::new(draw.pick(&["ap-south-1", "nowhere", "", "a b", "ä"]));
    let surroundings =
        Surroundings { former_regions: [former].into(), ..Surroundings::among([&object].into_iter(), &desired.owner) };

    let inventory = inventory(answers).await;
    for _ in 0..2 {
        let observed = observe(&inventory, &desired, &surroundings).await;
        let planned = plan(&desired, &observed, world::now());
        check(&Question { facts: &facts, others: &[], observed: &observed }, &planned);
        speaks(&observed);
        for step in planned.steps.iter().take(8) {
            match act(&inventory, &desired.owner, &step.action).await {
                Ok(outcome) => assert!(!outcome.note.is_empty(), "something was done without a word"),
                Err(trouble) => says(&trouble.message),
            }
            note(step.action.verb());
        }
    }
    note("seen");
}

/// Whether every error that was seen has a sentence that can be read.
fn speaks(observed: &Observed) {
    for view in observed.regions.values() {
        let parameters = view.parameters.values().filter_map(|read| read.as_ref().err());
        view.trouble.iter().chain(&view.snapshot_trouble).chain(parameters).for_each(|trouble| says(&trouble.message));
    }
    observed.sources.values().filter_map(|source| source.as_ref().err()).for_each(|trouble| says(&trouble.message));
}

fn says(sentence: &str) {
    assert!(!sentence.trim().is_empty(), "an error without a word");
    assert!(sentence.chars().count() < 1500, "an error of {} characters: {sentence}", sentence.chars().count());
}

async fn inventory(answers: &[u8]) -> Arc<Inventory> {
    let never = Duration::from_hours(24);
    let settings = Settings { installation: INSTALLATION.into(), listing: never, snapshots: never, poll: never };
    let metrics = Metrics::default();
    let aws = Arc::new(Aws::new(config(answers).await, metrics.clone()));
    let (wake, _) = tokio::sync::mpsc::unbounded_channel();
    Arc::new(Inventory::new(aws, Clock::from_fn(world::now), settings, metrics, wake))
}

async fn config(answers: &[u8]) -> SdkConfig {
    let door = Door { answers: answers.into(), asked: Arc::default() };
    let connector = SharedHttpConnector::new(door);
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "fuzz"))
        // Without chance, so that an input is always answered in the same order.
        .retry_config(RetryConfig::standard().with_use_static_exponential_base(true))
        .timeout_config(amiops::aws::timeouts())
        .load()
        .await
}

/// Answers each call from bytes of its own.
#[derive(Clone)]
struct Door {
    answers: Arc<[u8]>,
    asked: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation(&request);
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let rest = self.answers.get(number * ANSWER..).unwrap_or_default();
        let answer = wire::answer(&operation, &mut Draw::new(&rest[..rest.len().min(ANSWER)]));
        let status = StatusCode::try_from(answer.status).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.body.into())))
    }
}

fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
    body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default().to_owned()
}
