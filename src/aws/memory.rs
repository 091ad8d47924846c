//! What is remembered of one region: the last listing, corrected by what we have done since. No I/O.
//!
//! EC2 lists late. An image that was just made is *assumed* until it is listed; one that was just removed is not
//! believed when it is listed again; and one that is missing from a listing is missed only after a second look. What is waited for
//! is measured by a clock that does not jump: what is given up too early is copied again, or believed although it is gone.

mod copies;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use copies::Unknown;

use crate::plan::ids::{ImageId, Owner, SnapshotId, VersionName};
use crate::plan::tags::{self, Ownership, Tags, owned_by};
use crate::plan::{Image, ImageState, LISTING_GRACE, RegionView, Sight, Snapshot, Trouble};

/// After this long, what was removed cannot be listed any more.
const REMOVED_GRACE: Duration = LISTING_GRACE;
/// For this long after a write, the tags that EC2 lists may be those before it.
const TAGS_LAG: Duration = Duration::from_mins(1);
/// How long a claim stands: until the call that writes the tags has ended, and EC2 shows them.
const CLAIM_GRACE: Duration = Duration::from_mins(2);
/// This many looks in a row must miss an image before it counts as gone.
const LOOKS: u32 = 2;

/// What is remembered of one region.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether it has been listed at all.
    is_listed: bool,
    /// Who has asked about the region, to be told when it can be seen again.
    watchers: BTreeSet<Owner>,
    trouble: Option<Trouble>,
    images: BTreeMap<Owner, BTreeMap<ImageId, Remembered>>,
    unknown: BTreeMap<(Owner, VersionName), Unknown>,
    /// The highest attempt to copy a version that is known to have been made.
    attempts: BTreeMap<(Owner, VersionName), u32>,
    snapshots: Option<BTreeMap<SnapshotId, Snapshot>>,
    snapshot_trouble: Option<Trouble>,
    /// How many listings of snapshots have begun.
    snapshot_listings: u64,
    /// Whose images went, after which listing of snapshots began: until the next one nobody knows what they left.
    departed: BTreeMap<Owner, u64>,
    /// The images that went by no doing of ours or may have left snapshots, and whose; likewise.
    vanished: BTreeMap<ImageId, (Owner, u64)>,
    /// The tags that we wrote lately, by the id of what carries them.
    written: BTreeMap<String, (Tags, Instant)>,
    /// When we removed what.
    removed: BTreeMap<String, Instant>,
    /// Since when an image may be gone although EC2 lists it.
    doubted: BTreeMap<ImageId, Instant>,
}

#[derive(Debug)]
struct Remembered {
    image: Image,
    /// Until when EC2 may leave it out of its listings.
    late_until: Option<Instant>,
    /// How many looks in a row have missed it.
    misses: u32,
}

impl Remembered {
    /// Whether it is known only because it is about to be adopted.
    fn is_claim(&self) -> bool {
        self.image.sight == Sight::Claimed
    }
}

/// How EC2 was asked. Tags show later than the image that carries them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    ByTag,
    ById,
}

impl Memory {
    /// Takes in a whole listing. The answer names the owners for whom something changed.
    pub(super) fn apply_listing(&mut self, listing: Vec<Image>, now: Timestamp) -> BTreeSet<Owner> {
        let first_or_recovered = !self.is_listed || self.trouble.is_some();
        self.is_listed = true;
        self.trouble = None;
        self.removed.retain(|_, at| at.elapsed() < REMOVED_GRACE);
        self.doubted.retain(|_, at| at.elapsed() < REMOVED_GRACE);
        self.written.retain(|_, (_, at)| at.elapsed() < TAGS_LAG);
        let everyone: Vec<_> = self.images.values().flat_map(BTreeMap::keys).cloned().collect();
        let mut changed = self.take_in(Look::ByTag, &everyone, listing, now);
        changed.extend(self.give_up_unknown());
        if first_or_recovered {
            changed.extend(self.watchers.iter().cloned());
        }
        changed
    }

    /// Takes in a look at the images `asked` about.
    pub(super) fn apply_look(&mut self, asked: &[ImageId], found: Vec<Image>, now: Timestamp) -> BTreeSet<Owner> {
        self.take_in(Look::ById, asked, found, now)
    }

    fn take_in(&mut self, look: Look, asked: &[ImageId], found: Vec<Image>, now: Timestamp) -> BTreeSet<Owner> {
        let mut changed = BTreeSet::new();
        let seen: BTreeSet<_> = found.iter().map(|image| image.id.clone()).collect();
        for image in found {
            changed.extend(self.see(image, now));
        }
        for id in asked.iter().filter(|id| !seen.contains(*id)) {
            changed.extend(self.miss(look, id));
        }
        changed
    }

    fn see(&mut self, mut image: Image, now: Timestamp) -> BTreeSet<Owner> {
        let mut changed = BTreeSet::new();
        if self.removed.contains_key(image.id.as_str()) {
            return changed;
        }
        // A look by its id shows an image before its tags do, and a listing goes by the tags.
        let is_late = image.ownership().is_none();
        image.tags.extend(self.just_written(image.id.as_str()));
        image.created = self.began(&image.id).filter(|at| *at <= now).or(image.created);
        let ownership = image.ownership();
        let former = self.owner_of(&image.id);
        let present = ownership.as_ref().map(|o| o.owner.clone());
        if former != present {
            if present.is_none() && self.is_claimed(&image.id) {
                return changed;
            }
            // The owner tag was changed or taken off: the image leaves its former owner.
            if let Some(former) = former {
                self.tell_vanished(&image.id);
                self.forget_image(&image.id);
                changed.insert(former);
            }
        }
        let Some(ownership) = ownership else { return changed };
        self.note_copy(&image, &ownership);
        self.vanished.remove(&image.id);
        let doubted = self.is_doubted(&image.id);
        image.sight = if doubted { Sight::Missed } else { Sight::Listed };
        let images = self.images.entry(ownership.owner.clone()).or_default();
        let late_until = images.get(&image.id).and_then(|known| known.late_until).filter(|_| is_late);
        let remembered = Remembered { image: image.clone(), late_until, misses: doubted.into() };
        let before = images.insert(image.id.clone(), remembered);
        if before.is_none_or(|before| before.image != image) {
            changed.insert(ownership.owner);
        }
        changed
    }

    fn miss(&mut self, look: Look, id: &ImageId) -> Option<Owner> {
        let owner = self.owner_of(id)?;
        let images = self.images.get_mut(&owner)?;
        let remembered = images.get_mut(id)?;
        let may_be_late = look == Look::ByTag || remembered.image.sight.is_unlisted();
        if may_be_late && remembered.late_until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        remembered.misses += 1;
        if !remembered.is_claim() {
            remembered.image.sight = Sight::Missed;
        }
        if remembered.misses >= LOOKS {
            self.tell_vanished(id);
            self.forget_image(id);
        }
        Some(owner)
    }

    /// Notes that images may be gone, although EC2 may list them for a while: it did not answer when one was removed, or does not
    /// know one when it is asked who uses it. The next look that misses them is the second; to be told so again is none.
    pub(super) fn doubt(&mut self, ids: &[ImageId]) -> BTreeSet<Owner> {
        let mut changed = BTreeSet::new();
        for id in ids {
            if !self.is_doubted(id) {
                changed.extend(self.miss(Look::ById, id));
            }
            self.doubted.insert(id.clone(), Instant::now());
        }
        changed
    }

    /// Whether an image may be gone, whatever EC2 shows.
    fn is_doubted(&self, id: &ImageId) -> bool {
        self.doubted.get(id).is_some_and(|at| at.elapsed() < REMOVED_GRACE)
    }

    /// Notes that a listing failed. The answer names the owners to tell, if the reason is new.
    pub(super) fn fail(&mut self, trouble: Trouble) -> BTreeSet<Owner> {
        let new = self.trouble.as_ref() != Some(&trouble);
        self.trouble = Some(trouble);
        if new { self.watchers.clone() } else { BTreeSet::new() }
    }

    /// Remembers an image that a call has just made, changed or found, until EC2 lists it.
    pub(super) fn assume(&mut self, mut image: Image) {
        image.tags.extend(self.just_written(image.id.as_str()));
        let doubted = self.is_doubted(&image.id);
        if doubted {
            image.sight = Sight::Missed;
        }
        let Some(ownership) = image.ownership() else { return };
        self.note_copy(&image, &ownership);
        let images = self.images.entry(ownership.owner).or_default();
        // What EC2 has listed before, it does not list late any more.
        let listed = images.get(&image.id).is_some_and(|known| known.late_until.is_none() && !known.is_claim());
        let late_until = (!listed).then(|| Instant::now() + LISTING_GRACE);
        let (id, tags) = (image.id.clone(), image.tags.clone());
        images.insert(id.clone(), Remembered { image, late_until, misses: doubted.into() });
        self.write_down(id.as_str(), &tags);
    }

    /// Remembers an image that is about to be adopted, unless another owner has it. Until a look has shown it with the tags, since
    /// the answer may be lost, nothing is built on it, and nothing is made in its place. The answer is what of `resources` may be
    /// tagged: not a snapshot that an image of another owner has as well, nor, to hand it back, one that any other image has.
    pub(super) fn claim(&mut self, id: &ImageId, resources: &[String], tags: &Tags) -> Result<Vec<String>, Owner> {
        let Some(ownership) = Ownership::read(tags) else {
            let others = || self.images.values().flat_map(BTreeMap::values).filter(|r| r.image.id != *id);
            let shared = |resource: &String| others().any(|r| r.image.snapshots.contains(&SnapshotId::new(resource)));
            return Ok(resources.iter().filter(|r| !tags::is_handed_back(tags) || !shared(r)).cloned().collect());
        };
        let late_until = Some(Instant::now() + CLAIM_GRACE);
        if let Some(owner) = self.owner_of(id).filter(|owner| *owner != ownership.owner) {
            return Err(owner);
        }
        let shared = |id: &String| self.holders(&SnapshotId::new(id)).any(|owner| *owner != ownership.owner);
        let free = resources.iter().filter(|id| !shared(id)).cloned().collect();
        let images = self.images.entry(ownership.owner).or_default();
        if let Some(known) = images.get_mut(id) {
            if known.is_claim() {
                known.late_until = late_until;
                return Ok(free);
            }
            return Ok(resources.to_vec());
        }
        let image = Image {
            snapshots: resources.iter().filter(|r| *r != id.as_str()).map(SnapshotId::new).collect(),
            ..Image::unlisted(id.clone(), ImageState::Available, Sight::Claimed, tags.clone())
        };
        images.insert(id.clone(), Remembered { image, late_until, misses: 0 });
        Ok(free)
    }

    /// Whether the tags of an image that is about to be adopted may still come to be shown.
    fn is_claimed(&self, id: &ImageId) -> bool {
        self.remembered(id).is_some_and(|r| r.is_claim() && r.late_until.is_some_and(|until| until > Instant::now()))
    }

    /// Forgets a claim: AWS has refused the tags.
    pub(super) fn disclaim(&mut self, id: &ImageId) {
        if self.remembered(id).is_some_and(Remembered::is_claim) {
            self.forget_image(id);
        }
    }

    /// Puts tags on what is remembered, as a call has just done in AWS; so it is there.
    pub(super) fn retag(&mut self, resources: &[String], tags: &Tags) {
        self.doubted.retain(|id, _| !resources.iter().any(|r| r == id.as_str()));
        let listed = |id: &str| resources.iter().any(|r| r == id);
        for remembered in
            self.images.values_mut().flat_map(BTreeMap::values_mut).filter(|r| listed(r.image.id.as_str()))
        {
            remembered.image.tags.extend(tags.clone());
        }
        for snapshot in self.snapshots.iter_mut().flat_map(BTreeMap::values_mut).filter(|s| listed(s.id.as_str())) {
            snapshot.tags.extend(tags.clone());
        }
        resources.iter().for_each(|id| self.write_down(id, tags));
    }

    /// Remembers for a while what tags an image or a snapshot has been given.
    fn write_down(&mut self, id: &str, tags: &Tags) {
        let before = self.just_written(id);
        self.written.insert(id.to_owned(), (before.into_iter().chain(tags.clone()).collect(), Instant::now()));
    }

    /// The tags that EC2 may not show yet.
    fn just_written(&self, id: &str) -> Tags {
        let written = self.written.get(id).filter(|(_, at)| at.elapsed() < TAGS_LAG);
        written.map(|(tags, _)| tags.clone()).unwrap_or_default()
    }

    /// Forgets an image without a grace: the next listing may bring it back.
    fn forget_image(&mut self, id: &ImageId) {
        for (owner, images) in &mut self.images {
            if images.remove(id).is_some() {
                self.departed.insert(owner.clone(), self.snapshot_listings);
            }
        }
    }

    /// Forgets an image that a call has just removed, and does not believe listings that still have it. Unless all of its snapshots
    /// went with it, the region counts as holding some until a listing shows what it has left.
    pub(super) fn remove_image(&mut self, id: &ImageId, leaves_none: bool) {
        self.removed.insert(id.to_string(), Instant::now());
        if !leaves_none {
            self.tell_vanished(id);
        }
        self.forget_image(id);
    }

    fn tell_vanished(&mut self, id: &ImageId) {
        let owner = self.owner_of(id);
        self.vanished.extend(owner.map(|owner| (id.clone(), (owner, self.snapshot_listings))));
    }

    /// Whether a call has removed an image a short time ago.
    pub(super) fn has_removed(&self, id: &ImageId) -> bool {
        self.removed.get(id.as_str()).is_some_and(|at| at.elapsed() < REMOVED_GRACE)
    }

    /// When an image was made, by our own clock if this process made it: what waits are measured against must not differ from
    /// EC2's clock by hours.
    fn began(&self, id: &ImageId) -> Option<Timestamp> {
        self.remembered(id)?.image.created
    }

    fn remembered(&self, id: &ImageId) -> Option<&Remembered> {
        self.images.values().find_map(|images| images.get(id))
    }

    fn owner_of(&self, id: &ImageId) -> Option<Owner> {
        self.images.iter().find(|(_, images)| images.contains_key(id)).map(|(owner, _)| owner.clone())
    }

    /// The images to look at until they are settled: copies under way, those that no look has shown with their tags yet, and
    /// those that a look has missed.
    pub(super) fn unsettled(&self) -> Vec<ImageId> {
        let unlisted = |r: &Remembered| r.image.sight.is_unlisted() || r.late_until.is_some();
        let unsettled = |r: &&Remembered| r.image.state == ImageState::Pending || unlisted(r) || r.misses > 0;
        self.images.values().flat_map(BTreeMap::values).filter(unsettled).map(|r| r.image.id.clone()).collect()
    }

    /// Whether an owner is known to have an image or a snapshot here, or a copy under an id that is not known; or had an image, and
    /// what that has left is not known.
    pub(super) fn holds_of(&self, owner: &Owner) -> bool {
        let image =
            self.images.get(owner).is_some_and(|images| !images.is_empty()) || self.departed.contains_key(owner);
        image
            || self.may_have_unknown(owner)
            || self.snapshots.iter().flat_map(BTreeMap::values).any(|s| owned_by(&s.tags, owner))
    }

    /// How many images are in each state.
    pub(super) fn count_by_state(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::from([("pending", 0), ("available", 0), ("failed", 0), ("disabled", 0)]);
        for remembered in self.images.values().flat_map(BTreeMap::values) {
            let state = match remembered.image.state {
                ImageState::Pending => "pending",
                ImageState::Available => "available",
                ImageState::Failed => "failed",
                ImageState::Disabled | ImageState::Deregistered => "disabled",
            };
            *counts.entry(state).or_default() += 1;
        }
        counts
    }

    /// What one owner may know of the region. Parameters are added by their own reader.
    pub(super) fn view(&mut self, owner: &Owner) -> RegionView {
        self.watchers.insert(owner.clone());
        let images = self.images.get(owner).into_iter().flat_map(BTreeMap::values).map(|r| r.image.clone());
        let images: Vec<_> = images.collect();
        let held: BTreeSet<_> = images.iter().flat_map(|i| &i.snapshots).collect();
        let snapshots = self.snapshots.as_ref().map(|snapshots| {
            let ours =
                |s: &&Snapshot| owned_by(&s.tags, owner) || (held.contains(&s.id) && !self.is_of_another(s, owner));
            snapshots.values().filter(ours).cloned().collect()
        });
        let vanished = self.vanished.iter().filter(|(_, (of, _))| of == owner);
        let mut view = RegionView {
            images: self.is_listed.then_some(images),
            snapshots,
            vanished: vanished.map(|(id, _)| id.clone()).collect(),
            snapshot_trouble: self.snapshot_trouble.clone(),
            trouble: self.trouble.clone(),
            ..RegionView::default()
        };
        self.tell_copies(owner, &mut view);
        view
    }
}

#[cfg(test)]
mod tests;
