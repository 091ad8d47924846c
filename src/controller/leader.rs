//! Leader election by a Lease: of several processes one works, the others stand by.
//!
//! The rules are those of client-go: a lease that nobody has renewed for its duration, by our own clock, may be taken over;
//! a leader that cannot renew in time stops before that. Other processes' clocks are never trusted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;

/// The settings of an election.
#[derive(Clone, Debug)]
pub struct Election {
    /// The name of the Lease.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The name of this process among those that stand for election.
    pub identity: String,
    /// After this long without renewal another process takes over.
    pub duration: Duration,
    /// A leader that could not renew for this long stops. Shorter than `duration`.
    pub renew_deadline: Duration,
    /// How often the lease is renewed, or looked at by those who stand by.
    pub retry: Duration,
}

/// An election that this process stands in.
pub struct Leadership {
    api: Api<Lease>,
    settings: Election,
    clock: Clock,
    /// What the lease said when that last changed, and when we saw it.
    seen: Option<(Option<LeaseSpec>, Instant)>,
    term: Term,
}

/// How long this process may still count as the leader: until it could not renew for `renew_deadline`. A process that was
/// stopped for longer learns so from the clock, before any timer of it has run.
#[derive(Clone)]
pub(super) struct Term {
    renewed: Arc<Mutex<Instant>>,
    length: Duration,
}

impl Term {
    /// A term that begins now.
    pub(super) fn of(length: Duration) -> Self {
        Self { renewed: Arc::new(Mutex::new(Instant::now())), length }
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.length.saturating_sub(self.renewed().elapsed())
    }

    /// Begins anew with a renewal that was asked for at `asked`. When the answer came says nothing: this process may have been
    /// stopped in between, and another one may have taken over.
    fn renew(&self, asked: Instant) {
        *self.renewed() = asked;
    }

    fn renewed(&self) -> MutexGuard<'_, Instant> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leadership {
    /// Stands for election.
    pub fn new(client: Client, settings: Election, clock: Clock) -> Self {
        let term = Term::of(settings.renew_deadline);
        Self { api: Api::namespaced(client, &settings.namespace), settings, clock, seen: None, term }
    }

    /// The term of this process, from the time when it became the leader.
    pub(super) fn term(&self) -> Term {
        self.term.clone()
    }

    /// Waits until this process is the leader. `in_touch` is told after each try whether the API server answered.
    pub async fn acquire(&mut self, in_touch: impl Fn(bool)) {
        loop {
            let asked = Instant::now();
            match timeout(self.settings.renew_deadline, self.try_acquire()).await {
                Ok(Ok(true)) => {
                    self.term.renew(asked);
                    if !self.term.is_over() {
                        return;
                    }
                }
                Ok(Ok(false)) => in_touch(true),
                Ok(Err(error)) => {
                    in_touch(false);
                    tracing::warn!("the lease {} could not be read or taken: {error}", self.settings.name);
                }
                Err(_) => {
                    in_touch(false);
                    tracing::warn!("the lease {} could not be read or taken in time", self.settings.name);
                }
            }
            sleep(self.settings.retry).await;
        }
    }

    /// Renews the lease until it is lost; then it returns.
    pub async fn hold(&mut self) {
        loop {
            sleep(self.settings.retry).await;
            let asked = Instant::now();
            match timeout(self.term.left(), self.try_acquire()).await {
                Ok(Ok(true)) => self.term.renew(asked),
                Ok(Ok(false)) => {
                    tracing::error!("another process has taken the lease {}", self.settings.name);
                    return;
                }
                Ok(Err(error)) => tracing::warn!("the lease {} could not be renewed: {error}", self.settings.name),
                Err(_) => {}
            }
            if self.term.is_over() {
                tracing::error!(
                    "the lease {} could not be renewed for {:?}",
                    self.settings.name,
                    self.settings.renew_deadline
                );
                return;
            }
        }
    }

    /// Gives the lease up, so that another process need not wait for it to run out.
    pub async fn release(&mut self) {
        let held = async {
            let Some(lease) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
            if holder(lease.spec.as_ref()) == Some(&self.settings.identity) {
                self.write(Some(&lease), "").await
            } else {
                Ok(())
            }
        };
        match timeout(Duration::from_secs(3), held).await {
            Ok(Ok(())) => tracing::info!("released the lease {}", self.settings.name),
            Ok(Err(error)) => tracing::warn!("the lease could not be released: {error}"),
            Err(_) => tracing::warn!("the lease could not be released in time"),
        }
    }

    /// Takes or renews the lease, if nobody else holds it.
    async fn try_acquire(&mut self) -> kube::Result<bool> {
        loop {
            let lease = self.api.get_opt(&self.settings.name).await?;
            if !self.may_take(lease.as_ref().map(|lease| &lease.spec)) {
                return Ok(false);
            }
            match self.write(lease.as_ref(), &self.settings.identity).await {
                // Somebody else was faster: to take it, or to change something else of it. The next look tells.
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {}
                result => return result.map(|()| true),
            }
        }
    }

    /// Whether a lease is ours, free, or has not been renewed for its duration by our own clock. One that somebody has deleted
    /// counts as it was last seen: its holder may not know yet.
    fn may_take(&mut self, found: Option<&Option<LeaseSpec>>) -> bool {
        let seen = match (found, self.seen.take()) {
            (None, None) => return true,
            (None, Some(seen)) => seen,
            (Some(spec), Some((seen, since))) if seen == *spec => (seen, since),
            (Some(spec), _) => (spec.clone(), Instant::now()),
        };
        let (spec, since) = self.seen.insert(seen);
        match holder(spec.as_ref()) {
            None => true,
            Some(holder) if *holder == self.settings.identity => true,
            Some(_) => {
                let seconds = spec.as_ref().and_then(|s| s.lease_duration_seconds).unwrap_or(0);
                since.elapsed() >= Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).max(self.settings.duration)
            }
        }
    }

    /// Writes the lease; the resource version makes the API server refuse if somebody changed it in between.
    async fn write(&self, lease: Option<&Lease>, holder_now: &str) -> kube::Result<()> {
        let now = MicroTime(self.clock.now());
        let former = lease.and_then(|l| l.spec.as_ref());
        let same_holder = former.and_then(|s| s.holder_identity.as_deref()) == Some(holder_now);
        let acquired =
            former.and_then(|s| s.acquire_time.clone()).filter(|_| same_holder).unwrap_or_else(|| now.clone());
        let transitions = former
            .and_then(|s| s.lease_transitions)
            .unwrap_or(0)
            .saturating_add(i32::from(!same_holder && former.is_some()));
        let seconds = i32::try_from(self.settings.duration.as_secs()).unwrap_or(i32::MAX).max(1);
        let spec = json!({
            "holderIdentity": holder_now,
            "leaseDurationSeconds": seconds,
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": transitions,
        });
        match lease {
            Some(lease) => {
                let patch = json!({"metadata": {"resourceVersion": lease.resource_version()}, "spec": spec});
                self.api.patch(&self.settings.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
            None => {
                let spec = serde_json::from_value(spec).map_err(kube::Error::SerdeError)?;
                let metadata = kube::api::ObjectMeta { name: Some(self.settings.name.clone()), ..Default::default() };
                let lease = Lease { metadata, spec: Some(spec) };
                self.api.create(&PostParams::default(), &lease).await?;
            }
        }
        Ok(())
    }
}

fn holder(lease: Option<&LeaseSpec>) -> Option<&String> {
    lease?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}
