//! What is remembered of the snapshots of one region, and of those that may be left by images that went.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::{Memory, Remembered};
use crate::plan::ids::{Owner, SnapshotId};
use crate::plan::tags::Ownership;
use crate::plan::{Snapshot, Trouble};

impl Memory {
    /// Begins a listing of snapshots. The answer names those that images of ours have.
    pub(in crate::aws) fn begin_snapshots(&mut self) -> Vec<SnapshotId> {
        self.snapshot_listings += 1;
        self.images.values().flat_map(BTreeMap::values).flat_map(|r| r.image.snapshots.clone()).collect()
    }

    /// Takes in a listing of snapshots. The answer names the owners for whom something changed.
    pub(in crate::aws) fn apply_snapshots(&mut self, mut found: BTreeMap<SnapshotId, Snapshot>) -> BTreeSet<Owner> {
        let recovered = self.snapshot_trouble.take().is_some();
        found.retain(|id, _| !self.removed.contains_key(id.as_str()));
        for (id, snapshot) in &mut found {
            snapshot.tags.extend(self.just_written(id.as_str()));
        }
        let before = self.snapshots.replace(found);
        let Some(after) = &self.snapshots else { return BTreeSet::new() };
        let first_or_recovered = recovered || before.is_none();
        let before = before.unwrap_or_default();
        let differs = after.iter().filter(|(id, snapshot)| before.get(*id) != Some(snapshot));
        let gone = before.iter().filter(|(id, _)| !after.contains_key(*id));
        let mut changed: BTreeSet<_> =
            differs.chain(gone).filter_map(|(_, s)| Ownership::read(&s.tags)).map(|o| o.owner).collect();
        let untagged = after.values().filter(|s| before.get(&s.id) != Some(s) && Ownership::read(&s.tags).is_none());
        changed.extend(untagged.flat_map(|s| self.holders(&s.id)).cloned());
        self.departed.retain(|_, listing| *listing >= self.snapshot_listings);
        if first_or_recovered {
            changed.extend(self.watchers.iter().cloned());
        }
        let known = self.vanished.extract_if(.., |_, (_, listing)| *listing < self.snapshot_listings);
        changed.extend(known.map(|(_, (owner, _))| owner));
        changed
    }

    /// Notes that a listing of snapshots failed. The answer names the owners to tell, if the reason is new.
    pub(in crate::aws) fn fail_snapshots(&mut self, trouble: Trouble) -> BTreeSet<Owner> {
        let new = self.snapshot_trouble.as_ref() != Some(&trouble);
        self.snapshot_trouble = Some(trouble);
        if new { self.watchers.clone() } else { BTreeSet::new() }
    }

    /// The owners of the images that have a snapshot: one snapshot can be in several (RegisterImage).
    pub(super) fn holders(&self, snapshot: &SnapshotId) -> impl Iterator<Item = &Owner> {
        let holds = |r: &Remembered| r.image.snapshots.contains(snapshot);
        self.images.iter().filter(move |(_, images)| images.values().any(holds)).map(|(owner, _)| owner)
    }

    /// Whether a snapshot carries the tags of another owner, who has an image with it.
    pub(super) fn is_of_another(&self, snapshot: &Snapshot, owner: &Owner) -> bool {
        let tagged = Ownership::read(&snapshot.tags).map(|ownership| ownership.owner);
        tagged.is_some_and(|other| other != *owner && self.holders(&snapshot.id).any(|holder| *holder == other))
    }

    /// Whether an image has gone by no doing of ours, and no listing of snapshots has begun since.
    pub(in crate::aws) fn has_vanished(&self) -> bool {
        self.vanished.values().any(|(_, listing)| *listing == self.snapshot_listings)
    }

    /// Whether a snapshot was still being made when snapshots were last listed.
    pub(in crate::aws) fn has_pending_snapshots(&self) -> bool {
        self.snapshots.iter().flat_map(BTreeMap::values).any(|snapshot| snapshot.pending)
    }

    /// Forgets a snapshot that a call has just removed.
    pub(in crate::aws) fn remove_snapshot(&mut self, id: &SnapshotId) {
        self.removed.insert(id.to_string(), Instant::now());
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.remove(id);
        }
    }
}
