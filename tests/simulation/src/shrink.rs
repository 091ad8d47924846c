//! Shortening a story that ends badly, until every moment left in it is needed.

use crate::doctor::Doctor;
use crate::play::play;
use crate::story::Story;

/// How many histories may be played for it.
const TRIES: usize = 120;

/// The shortest story found that still has a violation.
pub(crate) fn shrink(story: &Story, doctor: Option<Doctor>) -> Story {
    let mut best = story.clone();
    let mut tries = 0;
    let mut size = best.moments.len() / 2;
    while size >= 1 {
        let mut start = 0;
        while start < best.moments.len() && tries < TRIES {
            let mut shorter = best.clone();
            let end = (start + size).min(shorter.moments.len());
            shorter.moments.drain(start..end);
            tries += 1;
            if play(&shorter, doctor).violations.is_empty() {
                start += size;
            } else {
                best = shorter;
            }
        }
        size /= 2;
    }
    best
}
