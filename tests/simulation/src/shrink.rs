//! Shortening a story that ends badly, until every moment left in it is needed.

use crate::doctor::Doctor;
use crate::play::play;
use crate::story::Story;

/// How many histories may be played for it.
const TRIES: usize = 120;

/// What sort of violation it is: its words but those that name something.
fn kind(violation: &str) -> String {
    let words = violation.split(['[', '{']).next().unwrap_or_default().split_whitespace();
    words.filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}

/// The shortest story found that still has a violation.
pub(crate) fn shrink(story: &Story, doctor: Option<Doctor>) -> Story {
    let mut best = story.clone();
    let wanted: Vec<_> = play(story, doctor).violations.iter().map(|v| kind(v)).collect();
    let mut tries = 0;
    let mut size = best.moments.len() / 2;
    while size >= 1 {
        let mut start = 0;
        while start < best.moments.len() && tries < TRIES {
            let mut shorter = best.clone();
            let end = (start + size).min(shorter.moments.len());
            shorter.moments.drain(start..end);
            tries += 1;
            let found = play(&shorter, doctor).violations;
            match found.iter().any(|violation| wanted.contains(&kind(violation))) {
                true => best = shorter,
                false => start += size,
            }
        }
        size /= 2;
    }
    best
}
