//! The handle on a simulated AWS: what tests hold, and what both doors lead to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::calls::{Call, CallCount};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::request::{Answer, Outcome, Request};
use crate::wire;
use crate::world::{
    Membership, OptIn, RegionView, RetentionRule, SeedImage, SeedInstance, SeedKey, SeedLaunchTemplate, World,
};

/// A simulated AWS. Clones are handles on the same one.
#[derive(Clone)]
pub struct Sim {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    world: World,
    /// How far the world is ahead of the clock.
    offset: SignedDuration,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sim")
    }
}

impl Sim {
    /// A world that takes its time from this clock.
    pub fn new(config: Config, clock: Clock) -> Self {
        let inner = Inner { world: World::new(config), offset: SignedDuration::ZERO };
        Self { clock, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Answers one call.
    pub fn handle(&self, request: &Request) -> Outcome {
        let now = self.now();
        self.lock().world.handle(now, request)
    }

    /// Answers an HTTP request, after the delay that a fault may ask for. `None` is a connection that is closed
    /// without an answer.
    pub async fn answer(&self, parts: &http::request::Parts, body: &[u8]) -> Option<Answer> {
        let request = match wire::parse(parts, body) {
            Ok(request) => request,
            Err(refusal) => return Some(refusal),
        };
        let Outcome { delay, answer } = self.handle(&request);
        if delay.is_positive() {
            tokio::time::sleep(delay.unsigned_abs()).await;
        }
        answer
    }

    /// What time it is in the world.
    pub fn now(&self) -> Timestamp {
        let offset = self.lock().offset;
        (self.clock)().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Moves the world's time forward, ahead of the clock.
    pub fn advance(&self, span: SignedDuration) -> Timestamp {
        let mut inner = self.lock();
        inner.offset = inner.offset.checked_add(span).unwrap_or(SignedDuration::MAX);
        drop(inner);
        self.now()
    }

    /// Ends all copies that are under way, now.
    pub fn end_copies(&self) {
        self.settled(World::end_copies);
    }

    /// The settings.
    pub fn config(&self) -> Config {
        self.lock().world.config.clone()
    }

    /// Changes the settings; what is under way keeps those it began with. Id seeds stay as they were.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.lock().world.config);
    }

    /// Puts an image into the world and answers its id.
    pub fn seed_image(&self, seed: SeedImage) -> Result<String, ApiError> {
        self.settled(|world| world.seed_image(seed))
    }

    /// Puts a KMS key into the world and answers its ARN. The same id or alias again changes whether it can be used.
    pub fn seed_key(&self, seed: SeedKey) -> Result<String, ApiError> {
        self.settled(|world| world.seed_key(seed))
    }

    /// Puts a running instance into the world and answers its id.
    pub fn seed_instance(&self, seed: SeedInstance) -> Result<String, ApiError> {
        self.settled(|world| world.seed_instance(seed))
    }

    /// Puts a launch template into the world and answers its id.
    pub fn seed_launch_template(&self, seed: SeedLaunchTemplate) -> Result<String, ApiError> {
        self.settled(|world| world.seed_launch_template(seed))
    }

    /// Says in which organisation and units an account is; in none, for a membership without an organisation.
    pub fn set_membership(&self, account: &str, membership: Membership) {
        self.settled(|world| world.set_membership(account, membership));
    }

    /// Makes an account keep what it deletes in the Recycle Bin.
    pub fn set_retention(&self, rule: RetentionRule) -> Result<(), ApiError> {
        self.settled(|world| world.set_retention(rule))
    }

    /// Enables a region or switches it off.
    pub fn set_opt_in(&self, region: &str, opt_in: OptIn) -> Result<(), ApiError> {
        self.settled(|world| world.set_opt_in(region, opt_in))
    }

    /// Enables a region for one account, or switches it off.
    pub fn set_account_opt_in(&self, region: &str, account: &str, opt_in: OptIn) -> Result<(), ApiError> {
        self.settled(|world| world.set_account_opt_in(region, account, opt_in))
    }

    /// The regions and whether they can be used.
    pub fn opt_ins(&self) -> Vec<(String, OptIn)> {
        self.lock().world.opt_ins()
    }

    /// Switches on a fault and answers its id.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.lock().world.faults.add(fault)
    }

    /// The faults that are switched on, by id.
    pub fn faults(&self) -> BTreeMap<u64, Fault> {
        self.lock().world.faults.list().clone()
    }

    /// Switches off a fault; whether it was on.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.lock().world.faults.clear(id)
    }

    /// Switches off all faults.
    pub fn clear_faults(&self) {
        self.lock().world.faults.clear_all();
    }

    /// The calls since the log was last reset.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().world.calls.list().to_vec()
    }

    /// How often each operation was called, by region and account.
    pub fn call_counts(&self) -> Vec<CallCount> {
        self.lock().world.calls.counts()
    }

    /// How often an operation was called, anywhere and by anyone.
    pub fn count(&self, operation: &str) -> u64 {
        self.call_counts().iter().filter(|count| count.operation == operation).map(|count| count.count).sum()
    }

    /// Empties the log of calls.
    pub fn reset_calls(&self) {
        self.lock().world.calls.reset();
    }

    /// All that all accounts have, by region.
    pub fn dump(&self) -> Value {
        self.settled(|world| world.dump())
    }

    /// Reads what there is in each region.
    pub fn view(&self, read: impl FnMut(RegionView<'_>)) {
        self.settled(|world| world.view().for_each(read));
    }

    /// Does something with the world as it is now.
    fn settled<T>(&self, action: impl FnOnce(&mut World) -> T) -> T {
        let now = self.now();
        let world = &mut self.lock().world;
        world.advance_to(now);
        action(world)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
