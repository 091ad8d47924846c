//! What is remembered of copies whose id is not known, and of the attempts to make them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Memory;
use crate::plan::ids::{Owner, VersionName};
use crate::plan::tags::Ownership;
use crate::plan::{Image, LISTING_GRACE, RegionView};

/// A copy whose id is not known.
#[derive(Debug)]
pub(in crate::aws) struct Unknown {
    /// Until when EC2 may leave it out of its listings.
    until: Instant,
    /// Whether EC2 has said that it exists. If not, CopyImage was not answered.
    exists: bool,
    /// Which attempt it is.
    attempt: u32,
}

impl Unknown {
    fn of(ownership: &Ownership, exists: bool) -> Self {
        Self { until: Instant::now() + LISTING_GRACE, exists, attempt: ownership.attempt }
    }
}

fn key(ownership: &Ownership) -> (Owner, VersionName) {
    (ownership.owner.clone(), ownership.version.clone())
}

impl Memory {
    /// Notes that a copy is about to be asked for: until that is answered, it may be made or not. The answer is what was awaited
    /// before.
    pub(in crate::aws) fn begin_copy(&mut self, ownership: &Ownership) -> Option<Unknown> {
        self.unknown.insert(key(ownership), Unknown::of(ownership, false))
    }

    /// Forgets a copy that was asked for, since AWS has refused it. What was awaited `before` still is, no longer than then.
    pub(in crate::aws) fn refuse_copy(&mut self, ownership: &Ownership, before: Option<Unknown>) {
        self.unknown.remove(&key(ownership));
        self.unknown.extend(before.map(|unknown| (key(ownership), unknown)));
    }

    /// Remembers that an attempt to copy a version was made before, under an id that is not known.
    pub(in crate::aws) fn await_unknown(&mut self, ownership: &Ownership) {
        self.note_attempt(ownership);
        self.unknown.insert(key(ownership), Unknown::of(ownership, true));
    }

    /// Notes that a version has a copy, whose id is known now. What was adopted is none: when it is handed back, its tags tell a new
    /// process nothing, so they must not count for this one either, or both would ask for the next copy with another token. Nor is
    /// what somebody has copied together with its tags.
    pub(super) fn note_copy(&mut self, image: &Image, ownership: &Ownership) {
        let of_another = ownership.source.is_some() && ownership.source != image.made_from;
        if ownership.adopted || of_another {
            return;
        }
        self.note_attempt(ownership);
        // An earlier attempt, which has failed, tells nothing of this one.
        if self.unknown.get(&key(ownership)).is_some_and(|unknown| unknown.attempt <= ownership.attempt) {
            self.unknown.remove(&key(ownership));
        }
    }

    fn note_attempt(&mut self, ownership: &Ownership) {
        let attempts = self.attempts.entry(key(ownership)).or_default();
        *attempts = (*attempts).max(ownership.attempt);
    }

    /// Forgets the copies that a listing would have shown by now. The answer names the owners who waited for them.
    pub(super) fn give_up_unknown(&mut self) -> BTreeSet<Owner> {
        let now = Instant::now();
        self.unknown.extract_if(.., |_, unknown| unknown.until <= now).map(|((owner, _), _)| owner).collect()
    }

    /// Whether a copy exists under an id that only a whole listing can tell.
    pub(in crate::aws) fn awaits_listing(&self) -> bool {
        self.unknown.values().any(|unknown| unknown.exists)
    }

    /// Whether an owner may have a copy here under an id that is not known.
    pub(super) fn may_have_unknown(&self, owner: &Owner) -> bool {
        self.unknown.keys().any(|(of, _)| of == owner)
    }

    /// Tells an owner of its copies whose id is not known, and of the attempts that were made.
    pub(super) fn tell_copies(&self, owner: &Owner, view: &mut RegionView) {
        for ((_, version), unknown) in self.unknown.iter().filter(|((of, _), _)| of == owner) {
            let wait: Duration = unknown.until.saturating_duration_since(Instant::now());
            let copies = if unknown.exists { &mut view.awaited } else { &mut view.unanswered };
            copies.insert(version.clone(), wait);
        }
        let attempts = self.attempts.iter().filter(|((of, _), _)| of == owner);
        view.attempts = attempts.map(|((_, version), attempt)| (version.clone(), *attempt)).collect();
    }
}

#[cfg(test)]
mod tests;
