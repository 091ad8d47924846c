//! Clients: one pair for each region, made when first asked for, with time limits, retries of their own, and
//! a count of every call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::{OnceCell, Semaphore};

use super::attempts::{Attempts, watched};
use super::errors::CallError;
use crate::plan::Trouble;
use crate::plan::ids::{AccountId, RegionName};
use crate::telemetry::Metrics;

/// Writes to one region that may be under way at once, so that a slow region holds up only itself and a busy
/// one does not empty EC2's request buckets.
const WRITES_PER_REGION: usize = 4;

/// Loads credentials and settings from the environment, as every AWS program does: environment variables, profile, web
/// identity (IRSA), container (EKS Pod Identity), IMDS; `AWS_ENDPOINT_URL` redirects.
///
/// `http` is the door through which all calls go; `None` is the real network.
pub async fn sdk_config(http: Option<SharedHttpClient>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts());
    if let Some(http) = http {
        loader = loader.http_client(http);
    }
    loader.load().await
}

/// How long a call may take. The SDK has no limits of its own; these keep a region that does not answer from holding up a
/// pass for long.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(25))
        .build()
}

/// A bucket of retries that no other client draws from. The SDK's own are shared by the whole process: a region in trouble would
/// use up the retries of the others.
fn own_retries(name: impl Into<Cow<'static, str>>) -> RetryPartition {
    RetryPartition::custom(name).build()
}

/// The clients of one account.
pub struct Aws {
    config: SdkConfig,
    metrics: Metrics,
    account: OnceCell<AccountId>,
    regions: Mutex<BTreeMap<RegionName, Arc<Regional>>>,
}

/// The clients of one region, and the permits for its writes.
pub(super) struct Regional {
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) writes: Semaphore,
}

impl Aws {
    /// Clients that use `config` and count their calls in `metrics`.
    pub fn new(config: SdkConfig, metrics: Metrics) -> Self {
        Self { config, metrics, account: OnceCell::new(), regions: Mutex::default() }
    }

    /// The clients of a region.
    pub(super) fn in_region(&self, region: &RegionName) -> Arc<Regional> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.entry(region.clone()).or_insert_with(|| Arc::new(self.connect(region))).clone()
    }

    fn connect(&self, region: &RegionName) -> Regional {
        let place = SdkRegion::new(region.to_string());
        let partition = |service: &str| own_retries(format!("{service}/{region}"));
        let ec2 =
            aws_sdk_ec2::config::Builder::from(&self.config).region(place.clone()).retry_partition(partition("ec2"));
        let ec2 = ec2.interceptor(Attempts);
        let ssm = aws_sdk_ssm::config::Builder::from(&self.config).region(place).retry_partition(partition("ssm"));
        Regional {
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            ssm: aws_sdk_ssm::Client::from_conf(ssm.build()),
            writes: Semaphore::new(WRITES_PER_REGION),
        }
    }

    /// The account that the credentials belong to; asked once. `near` is the region whose STS is asked.
    ///
    /// # Errors
    /// When STS does not answer, or not with an account.
    pub async fn account(&self, near: &RegionName) -> Result<AccountId, Trouble> {
        let account = self.account.get_or_try_init(|| async {
            let place = SdkRegion::new(near.to_string());
            let sts =
                aws_sdk_sts::config::Builder::from(&self.config).region(place).retry_partition(own_retries("sts"));
            let call = aws_sdk_sts::Client::from_conf(sts.build()).get_caller_identity().send();
            let identity = self.call("GetCallerIdentity", near, call).await.map_err(|e| e.about("the account"))?;
            let missing =
                || CallError::malformed("GetCallerIdentity", near, "the answer names no account").about("the account");
            identity.account().map(AccountId::new).ok_or_else(missing)
        });
        account.await.cloned()
    }

    /// Makes one call: counts it by operation, region and code, and classifies its error.
    pub(super) async fn call<T, E, R>(
        &self,
        operation: &'static str,
        region: &RegionName,
        call: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let started = Instant::now();
        let (answer, is_unsure) = watched(call).await;
        let result = answer.map_err(|error| CallError::from_sdk(operation, region, &error, is_unsure));
        let code = result.as_ref().map_or_else(|e| e.code.as_str(), |_| "OK");
        self.metrics.aws_call(operation, region.as_str(), code, started.elapsed());
        result
    }
}
