//! The manifest, parsed once into types from which everything else is decided.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use super::ids::{ChannelName, ImageRef, Owner, ParameterName, RegionName, VersionName};
use super::tags::Tags;
use crate::api::{DeletionPolicy, MachineImage};

/// What a manifest asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The identity of the object in AWS.
    pub owner: Owner,
    /// The versions that must exist.
    pub versions: Vec<Version>,
    /// The regions in which each must exist, with the KMS key that encrypts copies made there.
    pub regions: BTreeMap<RegionName, Option<String>>,
    /// The user's tags.
    pub tags: Tags,
    /// The channels.
    pub channels: Vec<Channel>,
    /// How many versions that have left the list are kept; `None` keeps all.
    pub keep_last: Option<usize>,
    /// What becomes of the images when the object goes.
    pub deletion_policy: DeletionPolicy,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether nothing may be changed.
    pub suspended: bool,
    /// How often to look when nothing happens.
    pub interval: Duration,
}

/// A version that must exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The version.
    pub name: VersionName,
    /// The image that holds its content.
    pub source: ImageRef,
    /// Whether the source itself is the replica of its region.
    pub adopt: bool,
    /// When it was released, if the manifest says so.
    pub released_at: Option<Timestamp>,
    /// The name of its images, after the template.
    pub image_name: String,
}

/// A channel and the version that it points to.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// The channel.
    pub name: ChannelName,
    /// The version that it points to.
    pub version: VersionName,
    /// The parameter that publishes it.
    pub parameter: Option<ParameterName>,
}

/// Why a manifest cannot be acted on, although it decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// A field that the API server sets is missing.
    #[error("metadata.{0} is missing")]
    Metadata(&'static str),
    /// The interval is no duration, or out of bounds.
    #[error("spec.interval '{0}' is not a duration between 1m and 24h: write one like 10m or 1h30m")]
    Interval(String),
    /// The name of an image is outside EC2's bounds.
    #[error(
        "spec.nameTemplate makes the image name '{name}' for version {version}, which has {length} characters; \
         EC2 allows 3 to 128"
    )]
    ImageName {
        /// The version.
        version: VersionName,
        /// The name that the template makes.
        name: String,
        /// Its length.
        length: usize,
    },
    /// A channel points to a version that is not listed.
    #[error("channel '{channel}' points to version '{version}', which spec.versions does not list")]
    UnknownVersion {
        /// The channel.
        channel: ChannelName,
        /// The version.
        version: VersionName,
    },
    /// Nothing is listed.
    #[error("spec.{0} is empty: list at least one")]
    Empty(&'static str),
}

impl Desired {
    /// Parses a manifest. `installation` is the owner id of this installation.
    ///
    /// # Errors
    /// What the schema refuses as a rule, but an object made under an older schema may still hold.
    pub fn parse(object: &MachineImage, installation: &str) -> Result<Self, Invalid> {
        let name = object.metadata.name.clone().ok_or(Invalid::Metadata("name"))?;
        let namespace = object.metadata.namespace.clone().ok_or(Invalid::Metadata("namespace"))?;
        let spec = &object.spec;
        let owner = Owner { installation: installation.to_owned(), namespace, name };
        let versions =
            spec.versions.iter().map(|v| version(v, &spec.name_template, &owner)).collect::<Result<Vec<_>, _>>()?;
        let regions: BTreeMap<_, _> =
            spec.regions.iter().map(|r| (RegionName::new(&r.region), r.kms_key_id.clone())).collect();
        if versions.is_empty() {
            return Err(Invalid::Empty("versions"));
        }
        if regions.is_empty() {
            return Err(Invalid::Empty("regions"));
        }
        let channels = spec.channels.iter().map(|c| channel(c, &versions)).collect::<Result<Vec<_>, _>>()?;
        let interval = interval(&spec.interval).ok_or_else(|| Invalid::Interval(spec.interval.clone()))?;
        Ok(Self {
            owner,
            versions,
            regions,
            tags: spec.tags.clone(),
            channels,
            keep_last: spec.retention.as_ref().map(|r| r.keep_last as usize),
            deletion_policy: spec.deletion_policy,
            deleting: object.metadata.deletion_timestamp.is_some(),
            suspended: spec.suspend,
            interval,
        })
    }

    /// The listed version of this name.
    pub fn version(&self, name: &VersionName) -> Option<&Version> {
        self.versions.iter().find(|v| &v.name == name)
    }

    /// Whether the object is on its way out with its images.
    pub fn retires_all(&self) -> bool {
        self.deleting && self.deletion_policy == DeletionPolicy::Delete
    }
}

fn version(version: &crate::api::Version, template: &str, owner: &Owner) -> Result<Version, Invalid> {
    let image_name = template
        .replace("{name}", &owner.name)
        .replace("{namespace}", &owner.namespace)
        .replace("{version}", &version.version);
    if !(3..=128).contains(&image_name.len()) {
        return Err(Invalid::ImageName {
            version: VersionName::new(&version.version),
            length: image_name.len(),
            name: image_name,
        });
    }
    let image = &version.source.image;
    Ok(Version {
        name: VersionName::new(&version.version),
        source: ImageRef { region: RegionName::new(&image.region), id: image.id.as_str().into() },
        adopt: image.adopt,
        released_at: version.released_at.as_ref().map(|t| t.0),
        image_name,
    })
}

fn channel(channel: &crate::api::Channel, versions: &[Version]) -> Result<Channel, Invalid> {
    let parsed = Channel {
        name: ChannelName::new(&channel.name),
        version: VersionName::new(&channel.version),
        parameter: channel.publish.as_ref().map(|p| ParameterName::new(&p.ssm_parameter)),
    };
    if versions.iter().any(|v| v.name == parsed.version) {
        Ok(parsed)
    } else {
        Err(Invalid::UnknownVersion { channel: parsed.name, version: parsed.version })
    }
}

/// Reads an interval exactly as the schema's rule does; `None` outside of its bounds.
fn interval(text: &str) -> Option<Duration> {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let bounds = Duration::from_mins(1)..=Duration::from_hours(24);
    numbers_with_units(text, &units).filter(|interval| bounds.contains(interval))
}

/// Reads numbers with units, like 1h30m, as the sum of their parts. A unit has a name and a length in milliseconds. `None` for
/// anything else, and for what is too long to count.
pub fn numbers_with_units(mut text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let mut total = 0_u64;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (_, milliseconds) = units.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*milliseconds)?)?;
        text = rest;
    }
    Some(Duration::from_millis(total))
}
