//! Metrics, for Prometheus. No label takes the name of an object, so their number stays bounded.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The metrics of the process. Clones count into the same ones.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: Family<Outcome, Counter>,
    reconcile_seconds: Histogram,
    aws_calls: Family<Call, Counter>,
    aws_seconds: Family<Operation, Histogram, fn() -> Histogram>,
    images: Family<State, Gauge>,
    leader: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    region: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    region: String,
    state: &'static str,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.5, 10))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("amiops");
        let reconciles = Family::default();
        registry.register("reconciles", "Passes over an object, by result", reconciles.clone());
        let reconcile_seconds = seconds();
        registry.register_with_unit(
            "reconcile_duration",
            "How long a pass took",
            Unit::Seconds,
            reconcile_seconds.clone(),
        );
        let aws_calls = Family::default();
        registry.register(
            "aws_calls",
            "Calls to AWS, by operation, region and code (OK, or the error)",
            aws_calls.clone(),
        );
        let aws_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register_with_unit(
            "aws_call_duration",
            "How long a call to AWS took",
            Unit::Seconds,
            aws_seconds.clone(),
        );
        let images = Family::default();
        registry.register("images", "Images of this installation, by region and state", images.clone());
        let leader = Gauge::default();
        registry.register("leader", "1 while this process is the leader", leader.clone());
        registry.register("build", "The version of amiops", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self(Arc::new(Inner { registry, reconciles, reconcile_seconds, aws_calls, aws_seconds, images, leader }))
    }
}

impl Metrics {
    /// Counts a pass.
    pub fn reconciled(&self, result: &'static str, took: Duration) {
        self.0.reconciles.get_or_create(&Outcome { result }).inc();
        self.0.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// Counts a call to AWS.
    pub fn aws_call(&self, operation: &'static str, region: &str, code: &str, took: Duration) {
        self.0.aws_calls.get_or_create(&Call { operation, region: region.into(), code: code.into() }).inc();
        self.0.aws_seconds.get_or_create(&Operation { operation }).observe(took.as_secs_f64());
    }

    /// Sets how many images of a region are in a state.
    pub fn images(&self, region: &str, state: &'static str, count: i64) {
        self.0.images.get_or_create(&State { region: region.into(), state }).set(count);
    }

    /// Sets whether this process is the leader.
    pub fn leader(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// Only if formatting into memory fails.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}
