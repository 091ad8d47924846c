//! The trace of a history: every request at the doors, in order. Its hash tells whether two histories are the same.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How many lines are kept to be shown: the latest, or those that led to the first violation.
const KEPT: usize = 400;
/// The kind of a line that says what was wrong.
pub(crate) const VIOLATION: &str = "VIOLATION";

/// A trace that is being written; clones write to the same one.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    hash: Sha256,
    lines: VecDeque<String>,
    counts: BTreeMap<String, u64>,
}

impl Trace {
    /// Writes a line: when, what kind, what.
    pub(crate) fn line(&self, at: Duration, kind: &str, what: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{} {kind} {what}", clock(at));
        inner.hash.update(line.as_bytes());
        inner.hash.update(b"\n");
        if !inner.counts.contains_key(VIOLATION) {
            if inner.lines.len() == KEPT {
                inner.lines.pop_front();
            }
            inner.lines.push_back(line);
        }
        *inner.counts.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts something that has happened, which the hash does not see.
    pub(crate) fn count(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    /// Counts something that has happened so often.
    pub(crate) fn add(&self, what: impl Into<String>, times: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.counts.entry(what.into()).or_default() += times;
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> String {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.hash.clone().finalize().iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The latest lines, or those that led to the first violation.
    pub(crate) fn latest(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    /// How many lines of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }
}

/// The time since the start of the history, in hours, minutes, seconds and milliseconds.
pub(crate) fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, at.subsec_millis())
}
