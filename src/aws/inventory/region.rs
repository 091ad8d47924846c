//! One region of the inventory: what is remembered of it, and the task that keeps that fresh.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::{Inventory, lock};
use crate::aws::images;
use crate::aws::memory::Memory;
use crate::aws::parameters::Parameters;
use crate::aws::usage::Stay;
use crate::plan::Trouble;
use crate::plan::ids::{ImageId, Owner, RegionName};

/// One region: what is remembered, and the means to have it refreshed.
pub(super) struct Region {
    pub(super) name: RegionName,
    pub(super) memory: Mutex<Memory>,
    pub(super) parameters: Mutex<Parameters>,
    /// What keeps images, by the last answer.
    pub(super) stay: Mutex<Stay>,
    /// Held while parameters are read, so that objects that ask at once share the calls.
    pub(super) reading: tokio::sync::Mutex<()>,
    demand: Mutex<Demand>,
    pub(super) called: Notify,
    /// The number of the last refresh that was served.
    pub(super) served: watch::Sender<u64>,
}

/// What was asked for and not yet begun.
#[derive(Debug, Default)]
struct Demand {
    tickets: u64,
    snapshots: bool,
}

impl Region {
    /// A region of which nothing is known, and that is to be listed.
    pub(super) fn new(name: RegionName) -> Self {
        let region = Self {
            name,
            memory: Mutex::default(),
            parameters: Mutex::default(),
            stay: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            demand: Mutex::default(),
            called: Notify::new(),
            served: watch::Sender::new(0),
        };
        region.ask();
        region
    }

    /// Asks for a listing of images and snapshots; the answer is the number that `served` reaches when it is done.
    pub(super) fn ask(&self) -> u64 {
        let mut demand = lock(&self.demand);
        demand.tickets += 1;
        demand.snapshots = true;
        self.called.notify_one();
        demand.tickets
    }

    /// Asks for a listing if an image has gone and nobody knows yet which snapshots it has left.
    pub(super) fn ask_what_is_left(&self) {
        if lock(&self.memory).has_vanished() {
            self.ask();
        }
    }
}

/// When the next things are due, and how often in a row a listing has failed.
struct Due {
    listing: Instant,
    snapshots: Instant,
    look: Instant,
    failures: u32,
}

/// The task of one region: lists when it is due or asked for, looks at unsettled images in between.
pub(super) async fn watch_region(inventory: Weak<Inventory>, region: Arc<Region>) {
    let start = Instant::now();
    let mut due = Due { listing: start, snapshots: start, look: start, failures: 0 };
    loop {
        let Some(inventory) = inventory.upgrade() else { return };
        let next = serve(&inventory, &region, &mut due).await;
        drop(inventory);
        tokio::select! {
            () = sleep_until(next) => {}
            () = region.called.notified() => {}
        }
    }
}

/// Does what is due now; the answer is when to come back.
async fn serve(inventory: &Inventory, region: &Region, due: &mut Due) -> Instant {
    list_if_due(inventory, region, due).await;
    match look_if_due(inventory, region, due).await {
        Some(look) => look.min(due.listing),
        None => due.listing,
    }
}

/// Lists the region if that is due or asked for.
async fn list_if_due(inventory: &Inventory, region: &Region, due: &mut Due) {
    let settings = &inventory.settings;
    let now = Instant::now();
    let tickets = lock(&region.demand).tickets;
    if tickets <= *region.served.borrow() && due.listing > now {
        return;
    }
    let asked_snapshots = std::mem::take(&mut lock(&region.demand).snapshots);
    let with_snapshots = asked_snapshots || due.snapshots <= now;
    match inventory.list(region, with_snapshots).await {
        Ok(()) => {
            due.failures = 0;
            due.listing = Instant::now() + settings.listing;
            if with_snapshots {
                due.snapshots = Instant::now() + settings.snapshots;
            }
        }
        Err(trouble) => {
            due.failures += 1;
            due.listing = Instant::now() + trouble.class.retry_after(due.failures).min(settings.listing);
            lock(&region.demand).snapshots |= with_snapshots;
        }
    }
    region.served.send_replace(tickets);
    due.look = Instant::now() + settings.poll;
}

/// Looks at what is not settled, if that is due. The answer is when to look again; `None` if everything is settled.
async fn look_if_due(inventory: &Inventory, region: &Region, due: &mut Due) -> Option<Instant> {
    let poll = inventory.settings.poll;
    let (unsettled, awaits_listing) = {
        let memory = lock(&region.memory);
        (memory.unsettled(), memory.awaits_listing())
    };
    if unsettled.is_empty() && !awaits_listing {
        due.look = Instant::now() + poll;
        return None;
    }
    if due.look <= Instant::now() {
        if awaits_listing && due.failures == 0 {
            // Only a whole listing shows a copy whose id is not known.
            due.listing = Instant::now();
        }
        if !unsettled.is_empty() {
            inventory.look(region, &unsettled).await;
        }
        due.look = Instant::now() + poll;
    }
    Some(due.look)
}

impl Inventory {
    /// Lists the images, and the snapshots if asked to, if an image has vanished or while some are being made, and then wakes those for
    /// whom something changed.
    async fn list(&self, region: &Region, with_snapshots: bool) -> Result<(), Trouble> {
        let result = images::list(&self.aws, &region.name, &self.settings.installation).await;
        let now = self.clock.now();
        let mut outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        let mut changed = match result {
            Ok(images) => lock(&region.memory).apply_listing(images, now),
            Err(trouble) => lock(&region.memory).fail(trouble),
        };
        self.count(region);
        let are_due = {
            let memory = lock(&region.memory);
            with_snapshots || memory.has_vanished() || memory.has_pending_snapshots()
        };
        if outcome.is_ok() && are_due {
            outcome = self.list_snapshots(region, &mut changed).await;
        }
        self.wake(changed);
        outcome
    }

    /// Lists the snapshots, and adds those for whom something changed. The next listing makes up for one that fails.
    async fn list_snapshots(&self, region: &Region, changed: &mut BTreeSet<Owner>) -> Result<(), Trouble> {
        let of_images = lock(&region.memory).begin_snapshots();
        let result = images::snapshots(&self.aws, &region.name, &self.settings.installation, of_images).await;
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        changed.extend(match result {
            Ok(found) => lock(&region.memory).apply_snapshots(found),
            Err(trouble) => {
                lock(&region.demand).snapshots = true;
                lock(&region.memory).fail_snapshots(trouble)
            }
        });
        outcome
    }

    /// Looks at the images that are not settled, and at the snapshots if one of them has vanished.
    async fn look(&self, region: &Region, unsettled: &[ImageId]) {
        // A look that fails says nothing; the next listing will tell what is wrong.
        if let Ok(found) = images::find(&self.aws, &region.name, unsettled).await {
            let mut changed = lock(&region.memory).apply_look(unsettled, found, self.clock.now());
            self.count(region);
            if lock(&region.memory).has_vanished() {
                // What fails is remembered as the region's trouble, and told as that.
                let _ = self.list_snapshots(region, &mut changed).await;
            }
            self.wake(changed);
        }
    }
}
