//! A volume: as much of it as snapshots need.

use jiff::Timestamp;
use serde::Serialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::written as date;
use crate::world::filters::{Filtered, Values, maybe, one, written};
use crate::world::ids::VOLUME;
use crate::world::performance::Performance;
use crate::world::region::Region;
use crate::world::tags::{self, Tags};
use crate::world::zones::zone_id;

/// A volume.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) size: u32,
    pub(crate) volume_type: &'static str,
    pub(crate) performance: Performance,
    pub(crate) snapshot: Option<String>,
    pub(crate) encrypted: bool,
    /// The ARN of its key.
    pub(crate) key: Option<String>,
    pub(crate) zone: String,
    pub(crate) created: Timestamp,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) tags: Tags,
}

/// The instance that a volume is attached to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    pub(crate) instance: String,
    pub(crate) device: String,
    pub(crate) at: Timestamp,
    pub(crate) delete_on_termination: bool,
}

impl Volume {
    pub(crate) fn state(&self) -> &'static str {
        match self.attachment {
            Some(_) => "in-use",
            None => "available",
        }
    }

    pub(crate) fn write(&self, x: &mut Xml, state: &str) {
        x.text("volumeId", &self.id)
            .text("size", self.size)
            // A volume that was empty has an empty id here.
            .text("snapshotId", self.snapshot.as_deref().unwrap_or_default())
            .text("availabilityZone", &self.zone)
            .text("availabilityZoneId", zone_id(&self.zone))
            .text("status", state)
            .text("createTime", date(self.created))
            .text("volumeType", self.volume_type)
            .text("encrypted", self.encrypted)
            .maybe("kmsKeyId", self.key.as_ref())
            .text("multiAttachEnabled", false)
            .list("attachmentSet", &self.attachment, |x, attachment| {
                attachment.write(x, &self.id, "attached");
            });
        self.performance.write(x);
        tags::write(x, &self.tags);
    }
}

impl Attachment {
    pub(crate) fn write(&self, x: &mut Xml, volume: &str, state: &str) {
        x.text("volumeId", volume)
            .text("instanceId", &self.instance)
            .text("device", &self.device)
            .text("status", state)
            .text("attachTime", date(self.at))
            .text("deleteOnTermination", self.delete_on_termination);
    }
}

fn attached(volume: &Volume) -> Option<&Attachment> {
    volume.attachment.as_ref()
}

impl Filtered for Volume {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("attachment.attach-time", |v| maybe_written(attached(v).map(|a| date(a.at)))),
        ("attachment.delete-on-termination", |v| maybe_written(attached(v).map(|a| a.delete_on_termination))),
        ("attachment.device", |v| maybe(attached(v).map(|a| a.device.as_str()))),
        ("attachment.instance-id", |v| maybe(attached(v).map(|a| a.instance.as_str()))),
        ("attachment.status", |v| maybe(attached(v).map(|_| "attached"))),
        ("availability-zone", |v| one(&v.zone)),
        ("availability-zone-id", |v| written(zone_id(&v.zone))),
        ("create-time", |v| written(date(v.created))),
        ("encrypted", |v| written(v.encrypted)),
        ("multi-attach-enabled", |_| one("false")),
        ("size", |v| written(v.size)),
        ("snapshot-id", |v| maybe(v.snapshot.as_deref())),
        ("status", |v| one(v.state())),
        ("volume-id", |v| one(&v.id)),
        ("volume-type", |v| one(v.volume_type)),
    ];

    fn is_absent(name: &str) -> bool {
        matches!(name, "fast-restored" | "operator.managed" | "operator.principal")
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

fn maybe_written<'a>(value: Option<impl ToString>) -> Vec<std::borrow::Cow<'a, str>> {
    value.map(|value| written(value)).unwrap_or_default()
}

impl Region {
    pub(crate) fn owned_volume(&self, cx: &Context, id: &str) -> Result<&Volume, ApiError> {
        VOLUME.check(id)?;
        self.volumes.get(id).filter(|volume| volume.owner == cx.account).ok_or_else(|| VOLUME.not_found(id))
    }

    pub(crate) fn owned_volume_mut(&mut self, cx: &Context, id: &str) -> Result<&mut Volume, ApiError> {
        self.owned_volume(cx, id)?;
        self.volumes.get_mut(id).ok_or_else(|| VOLUME.not_found(id))
    }

    /// The volumes of an instance with what attaches them, in the order of their devices.
    pub(crate) fn volumes_of(&self, instance: &str) -> Vec<(&Volume, &Attachment)> {
        let mut volumes: Vec<_> = self
            .volumes
            .values()
            .filter_map(|volume| Some((volume, volume.attachment.as_ref()?)))
            .filter(|(_, attachment)| attachment.instance == instance)
            .collect();
        volumes.sort_by_key(|(_, attachment)| &attachment.device);
        volumes
    }
}
