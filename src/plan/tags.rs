//! The tags by which amiops knows its own: written when an image is made, read back from AWS, and the
//! whole of its memory.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ids::{ImageRef, Owner, VersionName};

/// Who owns the image or snapshot: `<owner id>/<namespace>/<name>`.
pub const OWNER: &str = "amiops.dev/owner";
/// The version that it holds.
pub const VERSION: &str = "amiops.dev/version";
/// The image that it was copied from, `<region>/<image id>`; an adopted image names itself.
pub const SOURCE: &str = "amiops.dev/source";
/// When the version was released, RFC 3339.
pub const RELEASED_AT: &str = "amiops.dev/released-at";
/// Which attempt to copy the version to the region made it, from 1.
pub const ATTEMPT: &str = "amiops.dev/attempt";
/// Only on an image that was adopted: `true`, or [`HANDED_BACK`]. A copy that somebody makes of it together with its tags has
/// it too, and is known by it: amiops's own copies have not.
pub const ADOPTED: &str = "amiops.dev/adopted";
/// The value of [`ADOPTED`] on an image that the manifest no longer hands over: it is not ours, whatever its other tags say.
pub const HANDED_BACK: &str = "false";
/// On a parameter: the channel that it publishes.
pub const CHANNEL: &str = "amiops.dev/channel";

/// At one an hour this takes a century: a higher number is not of an attempt that was made.
const MOST_ATTEMPTS: u32 = 1_000_000;

/// Kubernetes writes no date before the year 0, which somebody may have put there.
const EARLIEST: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// What the tags say about a resource of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Who owns it.
    pub owner: Owner,
    /// The version that it holds.
    pub version: VersionName,
    /// The image that it was copied from.
    pub source: Option<ImageRef>,
    /// When the version was released.
    pub released_at: Option<Timestamp>,
    /// Which attempt made it.
    pub attempt: u32,
    /// Whether it was adopted, by its tags.
    pub adopted: bool,
}

/// Whether tags say that their resource was handed back.
pub fn is_handed_back(tags: &Tags) -> bool {
    tags.get(ADOPTED).is_some_and(|adopted| adopted == HANDED_BACK)
}

impl Ownership {
    /// Reads the ownership from tags; `None` if owner or version are missing or not legible, or if the resource was handed
    /// back, which means that it is not ours to change.
    pub fn read(tags: &Tags) -> Option<Self> {
        if is_handed_back(tags) {
            return None;
        }
        Some(Self {
            owner: Owner::parse(tags.get(OWNER)?)?,
            version: VersionName::new(tags.get(VERSION)?),
            source: tags.get(SOURCE).and_then(|s| ImageRef::parse(s)),
            released_at: tags.get(RELEASED_AT).and_then(|t| t.parse().ok()).filter(|at| *at >= EARLIEST),
            attempt: tags.get(ATTEMPT).and_then(|a| a.parse().ok()).filter(|a| *a <= MOST_ATTEMPTS).unwrap_or(1),
            adopted: tags.contains_key(ADOPTED),
        })
    }

    /// Writes the ownership as tags. Whole seconds are enough for a date that orders releases.
    pub fn write(&self) -> Tags {
        let mut tags = Tags::from([
            (OWNER.to_owned(), self.owner.to_string()),
            (VERSION.to_owned(), self.version.to_string()),
            (ATTEMPT.to_owned(), self.attempt.to_string()),
        ]);
        if self.adopted {
            tags.insert(ADOPTED.to_owned(), "true".to_owned());
        }
        if let Some(source) = &self.source {
            tags.insert(SOURCE.to_owned(), source.to_string());
        }
        if let Some(at) = self.released_at {
            tags.insert(RELEASED_AT.to_owned(), whole_seconds(at).to_string());
        }
        tags
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Whether tags say that their resource is an owner's.
pub fn owned_by(tags: &Tags, owner: &Owner) -> bool {
    Ownership::read(tags).is_some_and(|ownership| ownership.owner == *owner)
}

/// The tags of `wanted` that `present` lacks or has with another value. Tags that others added do not count.
pub fn missing(wanted: &Tags, present: &Tags) -> Tags {
    wanted
        .iter()
        .filter(|(key, value)| present.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
