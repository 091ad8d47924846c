//! What was seen in AWS and in the program's own memory, as the planner gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::action::Key;
use super::ids::{AccountId, ImageId, ImageRef, ParameterName, RegionName, SnapshotId, VersionName};
use super::tags::{Ownership, Tags};

/// Everything that one decision is made from.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The account that amiops works for, if it was asked for.
    pub account: Option<Result<AccountId, Trouble>>,
    /// The regions of the manifest, and those that left it and that the last report or the inventory knows.
    pub regions: BTreeMap<RegionName, RegionView>,
    /// The sources that had to be looked up.
    pub sources: BTreeMap<ImageRef, Result<Image, Trouble>>,
    /// Who uses the images that could be retired. An image without an entry was not asked about.
    pub usage: BTreeMap<ImageId, Usage>,
    /// Images that other manifests name as a source.
    pub claimed: BTreeSet<ImageId>,
    /// Other manifests that cannot be read, `<namespace>/<name>`: which images they name is not known.
    pub unreadable: BTreeSet<String>,
    /// Actions that failed before, and for how long they are not tried again.
    pub failures: BTreeMap<Key, Failure>,
    /// For how long EC2 may still come to list what an earlier process has begun for the object and not reported.
    pub listed_late_for: Duration,
    /// The versions that an earlier process may have begun to copy.
    pub begun_earlier: BTreeSet<VersionName>,
    /// Somebody asked for a pass now: copies that failed are tried again without waiting.
    pub requested: bool,
}

/// What was seen in one region.
#[derive(Clone, Debug, Default)]
pub struct RegionView {
    /// The images with the object's ownership tag, by the last listing that worked; `None` if none has.
    pub images: Option<Vec<Image>>,
    /// The snapshots with the object's ownership tag, and those of its images. `None` if not listed yet.
    pub snapshots: Option<Vec<Snapshot>>,
    /// Images that have gone since snapshots were last listed, and perhaps not their snapshots: what they left is not known.
    pub vanished: BTreeSet<ImageId>,
    /// Why the latest listing of snapshots failed.
    pub snapshot_trouble: Option<Trouble>,
    /// Why the latest listing failed. What `images` says may be old then.
    pub trouble: Option<Trouble>,
    /// Versions whose copy exists, by the answer of CopyImage, but under an id that is not known; and
    /// for how long EC2 is still given time to list it. Afterwards, zero, the next listing tells.
    pub awaited: BTreeMap<VersionName, Duration>,
    /// Versions whose copy was asked for and not answered, so that it may exist or not; likewise.
    pub unanswered: BTreeMap<VersionName, Duration>,
    /// The highest attempt to copy each version that is known to have been made.
    pub attempts: BTreeMap<VersionName, u32>,
    /// The parameters of the channels.
    pub parameters: BTreeMap<ParameterName, Result<Option<Parameter>, Trouble>>,
}

impl RegionView {
    /// Whether it was listed, and the latest listing worked. Nothing is built on what is older, nor taken away.
    pub fn is_current(&self) -> bool {
        self.images.is_some() && self.trouble.is_none()
    }

    /// The versions of which EC2 may come to list a copy whose id is not known, and for how long.
    pub fn unlisted(&self) -> impl Iterator<Item = (&VersionName, Duration)> {
        self.awaited.iter().chain(&self.unanswered).map(|(version, wait)| (version, *wait))
    }

    /// Whether EC2 may come to list a copy of a version whose id is not known, and for how long.
    pub fn may_list(&self, version: &VersionName) -> Option<Duration> {
        self.unlisted().find(|(of, _)| *of == version).map(|(_, wait)| wait)
    }
}

/// The state of an image, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    /// The copy is on its way (`pending`, `transient`).
    Pending,
    /// It can be launched.
    Available,
    /// It never will be (`failed`, `error`, `invalid`).
    Failed,
    /// Somebody disabled it.
    Disabled,
    /// It is on its way out.
    Deregistered,
}

impl std::fmt::Display for ImageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
            Self::Deregistered => "deregistered",
        })
    }
}

/// An image, as DescribeImages tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name.
    pub name: String,
    /// The account that owns it.
    pub account: AccountId,
    /// Its state.
    pub state: ImageState,
    /// Why it failed, in EC2's words.
    pub state_reason: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The image that EC2 says it was made from.
    pub made_from: Option<ImageRef>,
    /// Its snapshots, as far as EC2 lists them.
    pub snapshots: Vec<SnapshotId>,
    /// Its tags.
    pub tags: Tags,
    /// Whether it is protected from deregistration.
    pub protected: bool,
    /// How EC2 has last shown it.
    pub sight: Sight,
}

/// How EC2 has last shown an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The last look or listing had it.
    Listed,
    /// A call of ours has made it, and EC2 may not list it yet.
    Assumed,
    /// A call is about to adopt it. Its tags may be on their way, or may never be written.
    Claimed,
    /// The last look lacked it, or it may be gone although EC2 lists it. One miss does not mean that it is gone.
    Missed,
}

impl Sight {
    /// Whether no look has shown the image with its tags yet.
    pub fn is_unlisted(self) -> bool {
        matches!(self, Self::Assumed | Self::Claimed)
    }

    /// Whether nothing is built on the image, and nothing made in its place, until another look.
    pub fn is_doubtful(self) -> bool {
        matches!(self, Self::Claimed | Self::Missed)
    }
}

impl Image {
    /// An image that EC2 has not shown yet, so far as the call tells that makes or adopts it.
    pub fn unlisted(id: ImageId, state: ImageState, sight: Sight, tags: Tags) -> Self {
        Self {
            id,
            name: String::new(),
            account: "".into(),
            state,
            state_reason: None,
            created: None,
            made_from: None,
            snapshots: Vec::new(),
            tags,
            protected: false,
            sight,
        }
    }

    /// What its tags say, if it is ours.
    pub fn ownership(&self) -> Option<Ownership> {
        Ownership::read(&self.tags)
    }
}

/// A snapshot, as DescribeSnapshots tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// Whether it is still being made.
    pub pending: bool,
    /// Its tags.
    pub tags: Tags,
}

/// An SSM parameter, as GetParameters tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// What SSM shows; nothing while it checks the first value.
    pub shown: Option<Shown>,
    /// What was written last, if SSM has not shown it yet: SSM checks an image id after it has answered.
    pub written: Option<Written>,
}

impl Parameter {
    /// Whether SSM shows that it names an image.
    pub fn names(&self, image: &ImageId) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.value == image.as_str())
    }
}

/// What SSM shows of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The image that it names.
    pub value: String,
    /// When it was last written.
    pub modified: Option<Timestamp>,
    /// Whether its data type is `aws:ec2:image`. Another one cannot be changed to that:
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>
    pub is_image: bool,
}

/// An image that was written to a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its id.
    pub image: ImageId,
    /// How long ago it was written.
    pub ago: Duration,
    /// Whether SSM has answered. If not, it may have been written or not.
    pub answered: bool,
}

/// Who uses an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Usage {
    /// Nobody that can be seen.
    Unused,
    /// These.
    Used(Vec<User>),
    /// The check could not be made, so it counts as in use.
    Unknown(Trouble),
}

/// What uses an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// A parameter names it.
    Parameter(ParameterName),
    /// An instance, a launch template, an account it is shared with, in words.
    Other(String),
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "parameter {name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The code of the trouble that a parameter lacks the object's owner tag, so that it is neither changed nor removed.
pub const PARAMETER_NOT_OURS: &str = "ParameterNotOurs";

/// What kind of trouble an error is, and so when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// AWS asks for fewer calls.
    Throttled,
    /// It passes by itself.
    Transient,
    /// A person has to change something outside the manifest: permissions, keys, limits.
    NeedsPerson,
    /// It stays until the manifest changes.
    Terminal,
}

impl Class {
    /// Whether it passes by itself; else a person has to do something, in AWS or in the manifest.
    pub fn passes(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled)
    }

    /// How long to wait before the next try, after `count` failures in a row.
    pub fn retry_after(self, count: u32) -> Duration {
        let (first, most) = match self {
            Self::Transient => (5, 300),
            Self::Throttled => (30, 600),
            Self::NeedsPerson => (15, 600),
            Self::Terminal => (60, 3600),
        };
        Duration::from_secs(doubled(first, count, most))
    }
}

/// `first` seconds, doubled for each failure after the first, `most` at most.
pub(super) fn doubled(first: u64, count: u32, most: u64) -> u64 {
    first.saturating_mul(1 << count.saturating_sub(1).min(30)).min(most)
}

/// An error, classified and put into a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// What kind it is.
    pub class: Class,
    /// One word for it: the AWS error code, or one of ours.
    pub code: String,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl Trouble {
    /// An error of class `class`.
    pub fn new(class: Class, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, code: code.into(), message: message.into() }
    }

    /// Whether AWS did not answer, so that what was asked for may have been done or not.
    pub fn is_unanswered(&self) -> bool {
        self.code == "Timeout" || self.code == "Unreachable"
    }
}

/// An action that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The latest error.
    pub trouble: Trouble,
    /// For how long it is not tried again.
    pub wait: Duration,
}
