//! An image: its state, who sees it, and how it is written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::written_in_seconds as date;
use crate::world::machine::{Machine, SharedMachine};
use crate::world::performance::Performance;
use crate::world::recycle_bin::Stay;
use crate::world::tags::{self, Tags, TagsOfOthers};

/// Where an image is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageState {
    /// A copy that is not complete.
    Pending,
    /// Ready to be launched.
    Available,
    /// A copy that did not succeed.
    Failed,
    /// Switched off by its owner.
    Disabled,
}

impl ImageState {
    /// Its name in EC2's answers.
    pub fn name(self) -> &'static str {
        match self {
            ImageState::Pending => "pending",
            ImageState::Available => "available",
            ImageState::Failed => "failed",
            ImageState::Disabled => "disabled",
        }
    }
}

/// A volume that an instance gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockDevice {
    pub(crate) device_name: String,
    /// Absent while a copy has not yet made it.
    pub(crate) snapshot: Option<String>,
    pub(crate) size: u32,
    pub(crate) volume_type: &'static str,
    pub(crate) performance: Performance,
    pub(crate) encrypted: bool,
    pub(crate) delete_on_termination: bool,
}

impl BlockDevice {
    /// The usual root device of an instance whose image is not there.
    pub(crate) fn root(machine: &Machine) -> Self {
        Self {
            device_name: machine.root_device_name.clone(),
            snapshot: None,
            size: 8,
            volume_type: "gp3",
            performance: Performance::default(),
            encrypted: false,
            delete_on_termination: true,
        }
    }

    fn write(&self, x: &mut Xml, snapshot: Option<&String>) {
        x.text("deviceName", &self.device_name).nest("ebs", |x| {
            x.text("deleteOnTermination", self.delete_on_termination)
                .maybe("snapshotId", snapshot)
                .text("volumeSize", self.size)
                .text("volumeType", self.volume_type)
                .text("encrypted", self.encrypted);
            self.performance.write(x);
        });
    }
}

/// A disk that belongs to the machine an instance runs on, for as long as it runs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceStore {
    pub(crate) device_name: String,
    /// `ephemeral0` and so on.
    pub(crate) virtual_name: String,
}

/// Someone an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Grant {
    /// Everyone.
    All,
    Account(String),
    Organization(String),
    OrganizationalUnit(String),
}

impl Grant {
    pub(crate) fn write(&self, x: &mut Xml) {
        match self {
            Grant::All => x.text("group", "all"),
            Grant::Account(id) => x.text("userId", id),
            Grant::Organization(arn) => x.text("organizationArn", arn),
            Grant::OrganizationalUnit(arn) => x.text("organizationalUnitArn", arn),
        };
    }
}

/// Protection against deregistration. Switched off with a cooldown it still holds for 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Protection {
    Off,
    On { cooldown: bool },
    Until(Timestamp),
}

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Origin {
    pub(crate) image: String,
    pub(crate) region: String,
}

/// Why an image is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateReason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// When an image was deregistered, and until when lists still show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deregistered {
    pub(crate) at: Timestamp,
    pub(crate) listed_until: Timestamp,
}

/// An image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) owner_alias: Option<String>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) state: ImageState,
    pub(crate) state_reason: Option<Box<StateReason>>,
    pub(crate) created: Timestamp,
    /// From when lists show it.
    pub(crate) listed_from: Timestamp,
    pub(crate) machine: SharedMachine,
    pub(crate) devices: Vec<BlockDevice>,
    pub(crate) instance_stores: Vec<InstanceStore>,
    pub(crate) grants: BTreeSet<Grant>,
    /// Those of the owner.
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags_of_others: TagsOfOthers,
    pub(crate) origin: Option<Box<Origin>>,
    /// Whether it does not show its snapshots while it is pending.
    pub(crate) bare: bool,
    /// The instance that CreateImage made it of.
    pub(crate) source_instance: Option<String>,
    pub(crate) deprecated_from: Option<Timestamp>,
    pub(crate) protection: Protection,
    pub(crate) last_launched: Option<Timestamp>,
    pub(crate) deregistered: Option<Deregistered>,
    /// While it is in the Recycle Bin.
    pub(crate) recycled: Option<Stay>,
}

impl Image {
    /// An available image without devices, grants or tags.
    pub(crate) fn new(id: String, owner: &str, name: String, machine: SharedMachine, created: Timestamp) -> Self {
        Self {
            id,
            owner: owner.to_owned(),
            owner_alias: None,
            name,
            description: None,
            state: ImageState::Available,
            state_reason: None,
            created,
            listed_from: created,
            machine,
            devices: Vec::new(),
            instance_stores: Vec::new(),
            grants: BTreeSet::new(),
            tags: Tags::new(),
            tags_of_others: TagsOfOthers::new(),
            origin: None,
            bare: false,
            source_instance: None,
            deprecated_from: None,
            protection: Protection::Off,
            last_launched: None,
            deregistered: None,
            recycled: None,
        }
    }

    pub(crate) fn is_public(&self) -> bool {
        self.grants.contains(&Grant::All)
    }

    /// Whether the caller may launch it, be it the account itself or its organisation that it is shared with.
    pub(crate) fn is_visible_to(&self, cx: &Context) -> bool {
        self.owner == cx.account || (self.state != ImageState::Disabled && !self.grants.is_disjoint(&cx.principals))
    }

    /// Whether it counts towards the quota, as it does in the Recycle Bin too.
    pub(crate) fn counts(&self) -> bool {
        self.deregistered.is_none() || self.recycled.is_some()
    }

    pub(crate) fn location(&self) -> String {
        let owner = self.owner_alias.as_ref().unwrap_or(&self.owner);
        format!("{owner}/{}", self.name)
    }

    /// Whether it is the work of CopyImage, of which only so many may be in flight.
    pub(crate) fn is_copy(&self) -> bool {
        self.origin.is_some() && self.source_instance.is_none()
    }

    pub(crate) fn is_deprecated(&self, now: Timestamp) -> bool {
        self.deprecated_from.is_some_and(|from| from <= now)
    }

    /// Whether eventual consistency lets a list show it.
    pub(crate) fn is_listed(&self, now: Timestamp) -> bool {
        self.listed_from <= now && self.deregistered.is_none_or(|gone| now < gone.listed_until)
    }

    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().filter_map(|device| device.snapshot.as_deref())
    }

    /// The snapshots that lists show.
    pub(crate) fn shown_snapshots(&self) -> impl Iterator<Item = &str> {
        self.snapshots().filter(|_| !self.hides_snapshots())
    }

    fn hides_snapshots(&self) -> bool {
        self.bare && self.state == ImageState::Pending
    }

    /// The devices that get volumes without content.
    pub(crate) fn empty_volumes(&self) -> impl Iterator<Item = BlockDevice> {
        self.devices.iter().filter(|device| device.snapshot.is_none()).cloned()
    }

    pub(crate) fn check_registered(&self) -> Result<(), ApiError> {
        match self.deregistered {
            None => Ok(()),
            Some(_) => Err(unavailable(&self.id)),
        }
    }

    /// Refuses what needs an image that is complete and switched on.
    pub(crate) fn check_available(&self) -> Result<(), ApiError> {
        if self.state == ImageState::Available { Ok(()) } else { Err(unavailable(&self.id)) }
    }

    /// How EC2 writes its protection; during the cooldown until when that lasts.
    pub(crate) fn protection_name(&self, now: Timestamp) -> String {
        match self.protection {
            Protection::On { cooldown: true } => "enabled-with-cooldown".to_owned(),
            Protection::On { cooldown: false } => "enabled-without-cooldown".to_owned(),
            Protection::Until(end) if now < end => format!("disabled after {}", date(end)),
            Protection::Until(_) | Protection::Off => "disabled".to_owned(),
        }
    }

    /// Writes the image as DescribeImages answers it.
    pub(crate) fn write(&self, x: &mut Xml, cx: &Context) {
        let machine = &self.machine;
        let owned = self.owner == cx.account;
        x.text("imageId", &self.id)
            .text("imageLocation", self.location())
            .text("imageState", self.state.name())
            .text("imageOwnerId", &self.owner)
            .maybe("imageOwnerAlias", self.owner_alias.as_ref())
            .text("creationDate", date(self.created))
            .text("isPublic", self.is_public())
            .text("architecture", &machine.architecture)
            .text("imageType", "machine")
            .text("name", &self.name)
            .maybe("description", self.description.as_ref())
            .text("rootDeviceType", "ebs")
            .text("rootDeviceName", &machine.root_device_name)
            .text("virtualizationType", &machine.virtualization_type)
            .text("hypervisor", "xen")
            .text("platformDetails", &machine.platform_details)
            .text("usageOperation", usage_operation(&machine.platform_details))
            .text("enaSupport", machine.ena_support)
            .maybe("sriovNetSupport", machine.sriov_net_support.as_ref())
            .maybe("bootMode", machine.boot_mode.as_ref())
            .maybe("imdsSupport", machine.imds_support.as_ref())
            .maybe("tpmSupport", machine.tpm_support.as_ref())
            .maybe("kernelId", machine.kernel_id.as_ref())
            .maybe("ramdiskId", machine.ramdisk_id.as_ref());
        x.maybe("platform", machine.platform());
        // A pending copy may already know why it will fail; nobody sees it yet.
        if let Some(reason) = self.state_reason.as_ref().filter(|_| self.state != ImageState::Pending) {
            x.nest("stateReason", |x| {
                x.text("code", &reason.code).text("message", &reason.message);
            });
        }
        self.write_devices(x);
        self.write_product_codes(x);
        x.maybe("deprecationTime", self.deprecated_from.map(date));
        if owned {
            x.text("deregistrationProtection", self.protection_name(cx.now));
            x.maybe("lastLaunchedTime", self.last_launched.map(date));
        }
        x.maybe("sourceInstanceId", self.source_instance.as_ref());
        if let Some(origin) = &self.origin {
            x.text("sourceImageId", &origin.image).text("sourceImageRegion", &origin.region);
        }
        tags::write(x, &self.tags_for(&cx.account));
    }

    /// The tags that an account gave, be it the owner or one that the image is shared with.
    pub(crate) fn tags_by(&self, account: &str) -> Option<&Tags> {
        if self.owner == account { Some(&self.tags) } else { self.tags_of_others.get(account) }
    }

    /// The same, to be changed.
    pub(crate) fn tags_by_mut(&mut self, account: &str) -> &mut Tags {
        if self.owner == account { &mut self.tags } else { self.tags_of_others.entry(account.to_owned()).or_default() }
    }

    /// The tags that an account sees: its own, and of the owner's what is marked as shared.
    pub(crate) fn tags_for(&self, account: &str) -> Tags {
        let mut tags = self.tags.clone();
        if self.owner == account {
            return tags;
        }
        tags.retain(|key, _| is_shared(key));
        if let Some(own) = self.tags_by(account) {
            tags.extend(own.iter());
        }
        tags
    }

    pub(crate) fn write_devices(&self, x: &mut Xml) {
        x.nest("blockDeviceMapping", |x| {
            for device in &self.devices {
                let snapshot = device.snapshot.as_ref().filter(|_| !self.hides_snapshots());
                x.nest("item", |x| device.write(x, snapshot));
            }
            for store in &self.instance_stores {
                x.nest("item", |x| {
                    x.text("deviceName", &store.device_name).text("virtualName", &store.virtual_name);
                });
            }
        });
    }

    pub(crate) fn write_product_codes(&self, x: &mut Xml) {
        if !self.machine.product_codes.is_empty() {
            x.list("productCodes", &self.machine.product_codes, |x, code| {
                x.text("productCode", code).text("type", "marketplace");
            });
        }
    }
}

/// Whether the accounts that an image is shared with see the tag:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#sharing-tags>.
fn is_shared(tag: &str) -> bool {
    tag.starts_with("ec2:SharedTag/")
}

/// The error for an image that exists but cannot be used.
pub(crate) fn unavailable(id: &str) -> ApiError {
    ApiError::new("InvalidAMIID.Unavailable", format!("The image ID '{id}' is no longer available"))
}

fn usage_operation(platform_details: &str) -> &'static str {
    if platform_details.starts_with("Windows") { "RunInstances:0002" } else { "RunInstances" }
}
