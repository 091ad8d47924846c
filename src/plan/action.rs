//! What a plan is made of: actions with their reasons, and what stands in the way.

use std::fmt;

use jiff::Timestamp;

use super::ids::{ChannelName, ImageId, ImageRef, ParameterName, RegionName, SnapshotId, VersionName};
use super::observed::{Class, ImageState};
use super::tags::Tags;
use crate::api::ReplicaState;

/// One change to AWS. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Copy the source of a version to a region.
    Copy(Copy),
    /// Put tags on an image and its snapshots.
    Tag {
        /// The region.
        region: RegionName,
        /// The version that the image holds.
        version: VersionName,
        /// The image.
        image: ImageId,
        /// All that is to be tagged: the image, its snapshots, or some of them.
        resources: Vec<String>,
        /// The tags to put.
        tags: Tags,
    },
    /// Write the image of a channel into its parameter.
    Publish {
        /// The region.
        region: RegionName,
        /// The channel.
        channel: ChannelName,
        /// The version that it points to.
        version: VersionName,
        /// The parameter.
        parameter: ParameterName,
        /// The image to name.
        image: ImageId,
    },
    /// Remove a parameter that is or was that of a channel.
    Unpublish {
        /// The region.
        region: RegionName,
        /// The parameter.
        parameter: ParameterName,
    },
    /// Deregister an image and delete its snapshots.
    Deregister {
        /// The region.
        region: RegionName,
        /// The version that it holds.
        version: VersionName,
        /// The image.
        image: ImageId,
        /// Its state when this was decided. What keeps an available image does not keep one that is still pending.
        state: ImageState,
    },
    /// Delete a snapshot whose image is gone.
    DeleteSnapshot {
        /// The region.
        region: RegionName,
        /// The version that it held.
        version: VersionName,
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

/// A copy to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// The region to copy to.
    pub region: RegionName,
    /// The version.
    pub version: VersionName,
    /// The image to copy.
    pub source: ImageRef,
    /// The name of the copy.
    pub name: String,
    /// The key that encrypts it; `None` leaves encryption as in the source.
    pub kms_key: Option<String>,
    /// The tags of the image and its snapshots.
    pub tags: Tags,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// A failed copy of the version that has the name, and is deregistered first.
    pub replaces: Option<ImageId>,
}

/// What identifies an action across passes, so that its failures are remembered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is done.
    pub verb: &'static str,
    /// Where.
    pub region: RegionName,
    /// To what.
    pub subject: String,
}

impl Action {
    /// The region that it changes: its lane.
    pub fn region(&self) -> &RegionName {
        match self {
            Self::Copy(copy) => &copy.region,
            Self::Tag { region, .. }
            | Self::Publish { region, .. }
            | Self::Unpublish { region, .. }
            | Self::Deregister { region, .. }
            | Self::DeleteSnapshot { region, .. } => region,
        }
    }

    /// The version that it is about.
    pub fn version(&self) -> Option<&VersionName> {
        match self {
            Self::Copy(copy) => Some(&copy.version),
            Self::Tag { version, .. }
            | Self::Publish { version, .. }
            | Self::Deregister { version, .. }
            | Self::DeleteSnapshot { version, .. } => Some(version),
            Self::Unpublish { .. } => None,
        }
    }

    /// Whether it takes something away.
    pub fn removes(&self) -> bool {
        matches!(self, Self::Unpublish { .. } | Self::Deregister { .. } | Self::DeleteSnapshot { .. })
    }

    /// One word for what it does, for programs.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Copy(_) => "Copy",
            Self::Tag { .. } => "Tag",
            Self::Publish { .. } => "Publish",
            Self::Unpublish { .. } => "Unpublish",
            Self::Deregister { .. } => "Deregister",
            Self::DeleteSnapshot { .. } => "DeleteSnapshot",
        }
    }

    /// Its identity across passes.
    pub fn key(&self) -> Key {
        let subject = match self {
            Self::Copy(copy) => copy.version.to_string(),
            Self::Tag { image, .. } | Self::Deregister { image, .. } => image.to_string(),
            Self::Publish { parameter, .. } | Self::Unpublish { parameter, .. } => parameter.to_string(),
            Self::DeleteSnapshot { snapshot, .. } => snapshot.to_string(),
        };
        Key { verb: self.verb(), region: self.region().clone(), subject }
    }

    /// The part of the work that it belongs to.
    pub fn concern(&self) -> Concern {
        match self {
            Self::Copy(_) | Self::Tag { .. } => Concern::Replicate,
            Self::Publish { .. } => Concern::Promote,
            Self::Unpublish { .. } | Self::Deregister { .. } | Self::DeleteSnapshot { .. } => Concern::Prune,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(c) => {
                write!(f, "copy {} from {} to {} as {}", c.version, c.source, c.region, c.name)?;
                c.kms_key.iter().try_for_each(|key| write!(f, ", encrypted with {key}"))?;
                c.replaces.iter().try_for_each(|id| write!(f, ", in place of {id}, which failed"))
            }
            Self::Tag { region, image, resources, tags, .. } => {
                let pairs: Vec<_> = tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "tag {} of {image} in {region}: {}", resources.join(", "), pairs.join(", "))
            }
            Self::Publish { region, channel, version, parameter, image } => {
                write!(f, "publish {channel}={version} in {region}: {parameter} = {image}")
            }
            Self::Unpublish { region, parameter } => write!(f, "remove parameter {parameter} in {region}"),
            Self::Deregister { region, version, image, .. } => {
                write!(f, "deregister {image} ({version}) in {region} and delete its snapshots")
            }
            Self::DeleteSnapshot { region, version, snapshot } => {
                write!(f, "delete snapshot {snapshot} ({version}) in {region}")
            }
        }
    }
}

/// Why an action is planned.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// There is no image of the version in the region.
    Missing,
    /// Earlier copies failed, the latest with this cause.
    CopyFailed {
        /// In EC2's words.
        cause: String,
    },
    /// The manifest hands the source over.
    HandedOver,
    /// The manifest does not hand the source over any more.
    TakenBack,
    /// Tags were changed or are new.
    TagsDiffer,
    /// The channel points to a version that the parameter does not name.
    Moved {
        /// What the parameter names now.
        from: Option<String>,
    },
    /// The version has left the list and is not among those kept.
    LeftTheList {
        /// How many that left are kept.
        keep_last: usize,
    },
    /// Another image or a later attempt has replaced the failed copy.
    Superseded,
    /// The version of the failed copy is not wanted any more.
    FailedAndUnwanted,
    /// The image of the snapshot is gone.
    LeftBehind,
    /// The object is being deleted with its images.
    ObjectDeleted,
}

impl Reason {
    /// One word for it, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::CopyFailed { .. } => "CopyFailed",
            Self::HandedOver => "HandedOver",
            Self::TakenBack => "TakenBack",
            Self::TagsDiffer => "TagsDiffer",
            Self::Moved { .. } => "Moved",
            Self::LeftTheList { .. } => "LeftTheList",
            Self::Superseded => "Superseded",
            Self::FailedAndUnwanted => "FailedAndUnwanted",
            Self::LeftBehind => "LeftBehind",
            Self::ObjectDeleted => "ObjectDeleted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the region has no image of this version"),
            Self::CopyFailed { cause } => write!(f, "the last copy failed: {cause}"),
            Self::HandedOver => f.write_str("the manifest hands this image over (adopt: true)"),
            Self::TakenBack => f.write_str("the manifest takes this image back (no adopt: true any more)"),
            Self::TagsDiffer => f.write_str("the tags differ from the manifest"),
            Self::Moved { from: Some(from) } => write!(f, "the parameter names {from}"),
            Self::Moved { from: None } => f.write_str("the parameter does not exist"),
            Self::LeftTheList { keep_last: 0 } => {
                f.write_str("the version has left the list, and none that left is kept")
            }
            Self::LeftTheList { keep_last } => {
                write!(f, "the version has left the list and is not among the {keep_last} newest that are kept")
            }
            Self::Superseded => f.write_str("the copy failed and another has taken its place"),
            Self::FailedAndUnwanted => f.write_str("the copy failed and is not asked for any more"),
            Self::LeftBehind => f.write_str("its image is gone"),
            Self::ObjectDeleted => f.write_str("the MachineImage is being deleted with deletionPolicy: Delete"),
        }
    }
}

/// An action and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// The part of the work that something belongs to; each has a condition of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Images, copies and their tags.
    Replicate,
    /// Channels and their parameters.
    Promote,
    /// Images that go.
    Prune,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What it stands in the way of.
    pub concern: Concern,
    /// What kind of trouble it is.
    pub class: Class,
    /// One word for the cause.
    pub code: String,
    /// The region it concerns.
    pub region: Option<RegionName>,
    /// The version it concerns.
    pub version: Option<VersionName>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A version in a region, and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// The version.
    pub version: VersionName,
    /// The region.
    pub region: RegionName,
    /// Whether the manifest asks for it.
    pub wanted: bool,
    /// The image that holds it.
    pub image: Option<ImageId>,
    /// How it stands.
    pub state: ReplicaState,
    /// When the version was released, as far as known.
    pub released_at: Option<Timestamp>,
    /// Why it is not available.
    pub error: Option<String>,
}

/// A channel in a region, and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Landing {
    /// The channel.
    pub channel: ChannelName,
    /// The region.
    pub region: RegionName,
    /// What the parameter names, or would, if the channel has one.
    pub image: Option<String>,
    /// The version of that image.
    pub version: Option<VersionName>,
    /// When that was written.
    pub since: Option<Timestamp>,
    /// Whether that is known: a parameter may not be read at present.
    pub is_read: bool,
    /// Why it is not the version of the channel.
    pub error: Option<String>,
}

/// Something that goes, now or when nothing keeps it any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// The version.
    pub version: VersionName,
    /// The region.
    pub region: RegionName,
    /// The image or snapshot.
    pub id: String,
    /// Why it goes.
    pub reason: Reason,
    /// What keeps it.
    pub blocked_by: Option<String>,
}
