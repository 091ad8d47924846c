//! The informer for EC2: one task for each region lists what is ours, keeps it in memory, and wakes the objects
//! whose images changed. Its cost grows with regions, not with objects.

mod region;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use region::{Region, watch_region};

use super::client::Aws;
use super::memory::Memory;
use super::parameters::{self, Parameters};
use super::usage::Answers;
use super::{images, usage};
use crate::clock::Clock;
use crate::plan::ids::{AccountId, ImageId, ImageRef, Owner, ParameterName, RegionName};
use crate::plan::{Class, Image, RegionView, Shown, Trouble, Usage};
use crate::telemetry::Metrics;

/// How long a pass waits for the first listing of a region before it goes on without it.
const FIRST_LISTING: Duration = Duration::from_secs(5);
/// How long a pass waits for the answer about a source, so that its region holds up no other.
const SOURCE_LIMIT: Duration = Duration::from_secs(10);
/// For so long after a region has not told of a source, it is not asked about any: many objects would wait for it, and hold up the others.
const SILENCE: Duration = Duration::from_secs(30);

/// How often AWS is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The owner id of this installation.
    pub installation: String,
    /// How often the images of a region are listed.
    pub listing: Duration,
    /// How often the snapshots of a region are listed.
    pub snapshots: Duration,
    /// How often images are looked at that are not settled: copies under way.
    pub poll: Duration,
}

/// What is known of all regions of one account.
pub struct Inventory {
    aws: Arc<Aws>,
    clock: Clock,
    settings: Settings,
    metrics: Metrics,
    wake: mpsc::UnboundedSender<Owner>,
    regions: Mutex<BTreeMap<RegionName, Arc<Region>>>,
    /// When a region was last asked about a source and did not answer.
    silent: Mutex<BTreeMap<RegionName, Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inventory {
    /// An inventory that tells `wake` whose images changed.
    pub fn new(
        aws: Arc<Aws>,
        clock: Clock,
        settings: Settings,
        metrics: Metrics,
        wake: mpsc::UnboundedSender<Owner>,
    ) -> Self {
        Self { aws, clock, settings, metrics, wake, regions: Mutex::default(), silent: Mutex::default() }
    }

    /// The clients that this inventory uses.
    pub(super) fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The present date.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The account of the credentials.
    ///
    /// # Errors
    /// When STS does not tell.
    pub async fn account(&self, near: &RegionName) -> Result<AccountId, Trouble> {
        let late = |_| {
            let message =
                "the account that amiops works for is not known, since STS did not answer in time. amiops asks again";
            Err(Trouble::new(Class::Transient, "Timeout", message))
        };
        timeout(SOURCE_LIMIT, self.aws.account(near)).await.unwrap_or_else(late)
    }

    /// What an owner may know of a region, from memory. The first question about a region waits a little for its
    /// first listing.
    pub async fn view(self: &Arc<Self>, region: &RegionName, owner: &Owner) -> RegionView {
        let region = self.region(region);
        let mut served = region.served.subscribe();
        // An error means that the region's task is gone; then what is remembered has to do.
        let _ = timeout(FIRST_LISTING, served.wait_for(|served| *served > 0)).await;
        lock(&region.memory).view(owner)
    }

    /// What an owner may know of a region at this moment, from memory.
    pub fn known(self: &Arc<Self>, region: &RegionName, owner: &Owner) -> RegionView {
        lock(&self.region(region).memory).view(owner)
    }

    /// The regions, but those left out, in which an owner is known to have an image or a snapshot.
    pub fn regions_of(&self, owner: &Owner, but: impl Fn(&RegionName) -> bool) -> BTreeSet<RegionName> {
        let regions = lock(&self.regions);
        let others = regions.values().filter(|region| !but(&region.name));
        others.filter(|region| lock(&region.memory).holds_of(owner)).map(|region| region.name.clone()).collect()
    }

    /// Lists a region anew, snapshots included, and waits for that. Requests made at the same time share one listing.
    pub async fn refresh(self: &Arc<Self>, region: &RegionName) {
        let region = self.region(region);
        lock(&region.parameters).expire();
        let ticket = region.ask();
        let mut served = region.served.subscribe();
        let _ = served.wait_for(|served| *served >= ticket).await;
    }

    /// The parameters `wanted` of a region, and those that SSM may still come to show what was just written to them. What is older than
    /// the listing interval is read again.
    pub async fn parameters(
        self: &Arc<Self>,
        region: &RegionName,
        wanted: &BTreeSet<ParameterName>,
    ) -> parameters::Answers {
        let region = self.region(region);
        let _reading = region.reading.lock().await;
        let wanted: BTreeSet<_> = lock(&region.parameters).unshown().chain(wanted).cloned().collect();
        let due = lock(&region.parameters).due(&wanted, self.settings.listing);
        if !due.is_empty() {
            self.read_parameters(&region, &due).await;
        }
        lock(&region.parameters).known(&wanted)
    }

    async fn read_parameters(&self, region: &Region, names: &[ParameterName]) {
        let answers = parameters::read(&self.aws, &region.name, names).await;
        lock(&region.parameters).apply(answers);
    }

    /// Looks up the source of a version.
    ///
    /// # Errors
    /// When it does not exist, is not shared with us, or cannot be asked about.
    pub async fn source(self: &Arc<Self>, source: &ImageRef) -> Result<Image, Trouble> {
        let is_silent = lock(&self.silent).get(&source.region).is_some_and(|at| at.elapsed() < SILENCE);
        let late = |_| Err(images::source_not_told(source));
        let answer = match is_silent {
            true => return Err(images::source_not_told(source)),
            false => timeout(SOURCE_LIMIT, images::source(&self.aws, source)).await.unwrap_or_else(late),
        };
        if answer.as_ref().is_err_and(Trouble::is_unanswered) {
            lock(&self.silent).insert(source.region.clone(), Instant::now());
        }
        let found = answer?;
        // What was adopted and has just been removed may still be shown.
        if self.has_removed(&source.region, &source.id) { Err(images::source_not_found(source)) } else { Ok(found) }
    }

    /// Looks at all images of an owner in a region now, before a decision that must not rest on an old listing.
    pub async fn look_now(self: &Arc<Self>, region: &RegionName, owner: &Owner) -> RegionView {
        let region = self.region(region);
        let images = lock(&region.memory).view(owner).images.unwrap_or_default();
        let ids: Vec<_> = images.into_iter().map(|image| image.id).collect();
        match images::find(&self.aws, &region.name, &ids).await {
            Ok(found) => {
                let mut changed = lock(&region.memory).apply_look(&ids, found, self.clock.now());
                changed.remove(owner);
                self.wake(changed);
                region.ask_what_is_left();
                lock(&region.memory).view(owner)
            }
            Err(error) => {
                let trouble = Some(error.about("the images of amiops"));
                RegionView { trouble, ..lock(&region.memory).view(owner) }
            }
        }
    }

    /// Asks who uses images. That nobody does is never answered from memory. Of very many, some are asked about and the others
    /// have no answer, or the last one that keeps them. What EC2 does not know then may be gone, whatever its listings show.
    pub async fn usage(self: &Arc<Self>, region: &RegionName, images: &[ImageId]) -> BTreeMap<ImageId, Usage> {
        let remembered = self.region(region);
        let turn = lock(&remembered.stay).whose_turn(images);
        let Answers { usage, gone } = usage::usage(&self.aws, region, &turn).await;
        if !gone.is_empty() {
            // Nobody is woken: who has asked goes on, and a look follows soon.
            self.note(region, |memory| drop(memory.doubt(&gone)));
        }
        let mut stay = lock(&remembered.stay);
        stay.note(&usage);
        stay.of(images).into_iter().chain(usage).collect()
    }

    /// Changes what is remembered of a region, for a write.
    pub(super) fn note<T>(self: &Arc<Self>, region: &RegionName, change: impl FnOnce(&mut Memory) -> T) -> T {
        let region = self.region(region);
        let answer = change(&mut lock(&region.memory));
        region.called.notify_one();
        answer
    }

    /// Takes in a look at images that was made before a write, and wakes those whose images changed.
    pub(super) fn note_look(self: &Arc<Self>, region: &RegionName, asked: &[ImageId], found: Vec<Image>) {
        let region = self.region(region);
        let changed = lock(&region.memory).apply_look(asked, found, self.clock.now());
        self.follow_up(&region, changed);
    }

    /// Notes that an image may be gone, and wakes whose it is.
    pub(super) fn doubt(self: &Arc<Self>, region: &RegionName, image: &ImageId) {
        let region = self.region(region);
        let changed = lock(&region.memory).doubt(std::slice::from_ref(image));
        self.follow_up(&region, changed);
    }

    /// Whether we have removed an image a short time ago, so that it is not believed when EC2 still shows it.
    pub(super) fn has_removed(self: &Arc<Self>, region: &RegionName, image: &ImageId) -> bool {
        // To ask this of a region that only has sources does not have it listed.
        let region = lock(&self.regions).get(region).cloned();
        region.is_some_and(|region| lock(&region.memory).has_removed(image))
    }

    /// What SSM showed of a parameter when it was last read, if it was there.
    pub(super) fn shown_parameter(self: &Arc<Self>, region: &RegionName, name: &ParameterName) -> Option<Shown> {
        lock(&self.region(region).parameters).shown(name)
    }

    /// Changes what is remembered of a region's parameters, after a write.
    pub(super) fn note_parameters(self: &Arc<Self>, region: &RegionName, change: impl FnOnce(&mut Parameters)) {
        change(&mut lock(&self.region(region).parameters));
    }

    /// Reads a parameter back after it was written.
    pub(super) async fn read_back(self: &Arc<Self>, region: &RegionName, name: &ParameterName) {
        let region = self.region(region);
        let _reading = region.reading.lock().await;
        self.read_parameters(&region, std::slice::from_ref(name)).await;
    }

    /// Has the snapshots of a region listed soon.
    pub(super) fn want_snapshots(self: &Arc<Self>, region: &RegionName) {
        self.region(region).ask();
    }

    fn region(self: &Arc<Self>, name: &RegionName) -> Arc<Region> {
        let mut regions = lock(&self.regions);
        if let Some(region) = regions.get(name) {
            return region.clone();
        }
        let region = Arc::new(Region::new(name.clone()));
        regions.insert(name.clone(), region.clone());
        // The task ends with the inventory: it holds it only while it works.
        tokio::spawn(watch_region(Arc::downgrade(self), region.clone()));
        region
    }

    /// Wakes those whose images changed, and the task of the region, which looks at what is not settled.
    fn follow_up(&self, region: &Region, changed: BTreeSet<Owner>) {
        self.wake(changed);
        region.ask_what_is_left();
        region.called.notify_one();
    }

    fn wake(&self, owners: BTreeSet<Owner>) {
        for owner in owners {
            // Nobody listens when the controller is on its way out, or in a one-time plan.
            let _ = self.wake.send(owner);
        }
    }

    fn count(&self, region: &Region) {
        for (state, count) in lock(&region.memory).count_by_state() {
            self.metrics.images(region.name.as_str(), state, count);
        }
    }
}
