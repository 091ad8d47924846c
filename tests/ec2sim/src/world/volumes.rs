//! Operations on volumes.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::create_image::check_places;
use crate::world::filters::{Filter, Matcher};
use crate::world::ids::VOLUME;
use crate::world::instance::{Instance, Phase};
use crate::world::kms::Encryption;
use crate::world::paging::Paging;
use crate::world::performance::Performance;
use crate::world::region::Region;
use crate::world::snapshot::Snapshot;
use crate::world::tags::{self, TagSpecification};
use crate::world::tokens;
use crate::world::volume::{Attachment, Volume};
use crate::world::zones::{check_zone, zone_with_id};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateVolume {
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    outpost_arn: Option<String>,
    size: Option<u32>,
    snapshot_id: Option<String>,
    volume_type: Option<String>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    iops: Option<u32>,
    throughput: Option<u32>,
    multi_attach_enabled: Option<bool>,
    #[serde(rename = "VolumeInitializationRate")]
    _initialization_rate: Option<u32>,
    client_token: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeVolumes {
    #[serde(default, rename = "VolumeId")]
    volume_ids: Vec<String>,
    #[serde(rename = "IncludeManagedResources")]
    _include_managed: Option<bool>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct VolumeInput {
    volume_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AttachVolume {
    volume_id: String,
    instance_id: String,
    device: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DetachVolume {
    volume_id: String,
    instance_id: Option<String>,
    device: Option<String>,
    #[serde(rename = "Force")]
    _force: Option<bool>,
}

const TYPES: [&str; 7] = ["standard", "io1", "io2", "gp2", "gp3", "sc1", "st1"];

impl World {
    /// A key is looked at after the call was answered; where it cannot be used the volume is gone, and its id names
    /// nothing: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>,
    /// <https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/3010>.
    pub(crate) fn create_volume(&mut self, cx: &Context, input: CreateVolume) -> Result<Xml, ApiError> {
        let asked = format!("{input:?}");
        let token = input.client_token.as_deref();
        let mut x = Xml::new();
        if let Some(made) = self.remembered(cx, "CreateVolume", token, &asked)? {
            let region = self.region(cx)?;
            for id in &made {
                let volume = region.owned_volume(cx, id).map_err(|_| tokens::gone())?;
                volume.write(&mut x, volume.state());
            }
            return Ok(x);
        }
        let tags = tags::specified(&input.tag_specifications, &[&VOLUME], &VOLUME)?;
        let (volume, usable) = self.new_volume(cx, &input)?;
        let volume = Volume { tags, ..volume };
        volume.write(&mut x, "creating");
        self.remember(cx, "CreateVolume", token, asked, vec![volume.id.clone()])?;
        if usable {
            self.region_mut(cx)?.volumes.insert(volume.id.clone(), volume);
        }
        Ok(x)
    }

    /// The volume, and whether its keys can be used.
    fn new_volume(&mut self, cx: &Context, input: &CreateVolume) -> Result<(Volume, bool), ApiError> {
        let zone = input.zone(cx)?;
        check_places(&[("OutpostArn", &input.outpost_arn)])?;
        let volume_type = known_type(input.volume_type.as_deref().unwrap_or("gp2"))?;
        if input.multi_attach_enabled == Some(true) {
            return Err(ApiError::combination("Volumes that are attached to several instances are not simulated"));
        }
        let performance = Performance::asked(volume_type, input.iops, input.throughput)?;
        let region = self.region(cx)?;
        let snapshot = input.snapshot_id.as_deref().map(|id| region.visible_snapshot(cx, id)).transpose()?;
        snapshot.map_or(Ok(()), Snapshot::check_completed)?;
        let size = match (input.size, snapshot) {
            (Some(size), _) => size,
            (None, Some(snapshot)) => snapshot.size,
            (None, None) => {
                let message = "The request must contain the parameter size/snapshot";
                return Err(ApiError::new("MissingParameter", message));
            }
        };
        check_size(volume_type, size)?;
        if let Some(snapshot) = snapshot.filter(|snapshot| size < snapshot.size) {
            return Err(ApiError::invalid(format!(
                "Volume of {size}GiB is smaller than snapshot '{}', expect size >= {}GiB",
                snapshot.id, snapshot.size
            )));
        }
        let how = Encryption { asked: input.encrypted, key: input.kms_key_id.as_deref() };
        let (encrypted, inherited) = snapshot.map_or((false, None), |s| (s.encrypted, s.key.clone()));
        let (encrypted, key) = self.encrypt(cx, encrypted, inherited.as_deref(), &how)?;
        let own = (encrypted, key.as_deref());
        let usable = self.region(cx)?.can_unlock(&cx.account, own, inherited.as_deref());
        let volume = Volume {
            id: self.ids.resource(&VOLUME),
            owner: cx.account.clone(),
            size,
            volume_type,
            performance: performance.of_volume(volume_type, size),
            snapshot: input.snapshot_id.clone(),
            encrypted,
            // The answer names the key that was asked for, usable or not.
            key: key.or_else(|| input.kms_key_id.clone()),
            zone,
            created: cx.now,
            attachment: None,
            tags: tags::Tags::new(),
        };
        Ok((volume, usable))
    }

    pub(crate) fn describe_volumes(&mut self, cx: &Context, input: DescribeVolumes) -> Result<Xml, ApiError> {
        let paging = Paging::listing("volumeSet", &input.volume_ids, input.max_results, input.next_token.as_deref())?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        for id in &input.volume_ids {
            region.owned_volume(cx, id)?;
        }
        let (page, token) = paging.page(&region.volumes, |volume| {
            volume.owner == cx.account
                && (input.volume_ids.is_empty() || input.volume_ids.contains(&volume.id))
                && matcher.passes(volume, &cx.account)
        });
        let mut x = Xml::new();
        x.list("volumeSet", page, |x, volume| {
            volume.write(x, volume.state());
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn delete_volume(&mut self, cx: &Context, input: VolumeInput) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let volume = region.owned_volume(cx, &input.volume_id)?;
        if let Some(attachment) = &volume.attachment {
            return Err(ApiError::new(
                "VolumeInUse",
                format!("Volume {} is currently attached to {}", volume.id, attachment.instance),
            ));
        }
        region.volumes.remove(&input.volume_id);
        Ok(Xml::done())
    }

    pub(crate) fn attach_volume(&mut self, cx: &Context, input: AttachVolume) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let instance = region.owned_instance(cx, &input.instance_id)?;
        if instance.phase == Phase::Terminated {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Instance '{}' is not 'running' or 'stopped'.", input.instance_id),
            ));
        }
        let zone = instance.zone.clone();
        let taken = region.volumes_of(&input.instance_id);
        if taken.iter().any(|(_, at)| at.device == input.device) {
            return Err(ApiError::invalid(format!(
                "Invalid value '{0}' for unixDevice. Attachment point {0} is already in use",
                input.device
            )));
        }
        let volume = region.owned_volume_mut(cx, &input.volume_id)?;
        if volume.zone != zone {
            return Err(ApiError::new(
                "InvalidVolume.ZoneMismatch",
                format!(
                    "The volume '{}' is not in the same availability zone as instance '{}'",
                    volume.id, input.instance_id
                ),
            ));
        }
        if volume.attachment.is_some() {
            return Err(ApiError::new("VolumeInUse", format!("{} is already attached to an instance", volume.id)));
        }
        let attachment =
            Attachment { instance: input.instance_id, device: input.device, at: cx.now, delete_on_termination: false };
        let mut x = Xml::new();
        attachment.write(&mut x, &volume.id, "attaching");
        volume.attachment = Some(attachment);
        Ok(x)
    }

    pub(crate) fn detach_volume(&mut self, cx: &Context, input: DetachVolume) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let volume = region.owned_volume(cx, &input.volume_id)?;
        let meant = |attachment: &&Attachment| {
            input.instance_id.as_ref().is_none_or(|id| *id == attachment.instance)
                && input.device.as_ref().is_none_or(|d| *d == attachment.device)
        };
        let Some(attachment) = volume.attachment.as_ref().filter(meant) else {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Volume '{}' is in the '{}' state.", volume.id, volume.state()),
            ));
        };
        region.check_no_root_in_use(cx, &volume.id, attachment)?;
        let mut x = Xml::new();
        attachment.write(&mut x, &volume.id, "detaching");
        region.owned_volume_mut(cx, &input.volume_id)?.attachment = None;
        Ok(x)
    }
}

impl CreateVolume {
    /// The zone, which is named by its name or its id.
    fn zone(&self, cx: &Context) -> Result<String, ApiError> {
        match (&self.availability_zone, &self.availability_zone_id) {
            (Some(_), Some(_)) => Err(ApiError::combination(
                "The parameter AvailabilityZoneId cannot be used with the parameter AvailabilityZone",
            )),
            (Some(name), None) => check_zone(cx, name).map(|()| name.clone()),
            (None, Some(id)) => zone_with_id(cx, id),
            (None, None) => Err(ApiError::missing("AvailabilityZone")),
        }
    }
}

impl Region {
    /// Refuses the root volume of an instance that is not stopped:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html>.
    fn check_no_root_in_use(&self, cx: &Context, volume: &str, attachment: &Attachment) -> Result<(), ApiError> {
        let holds = |instance: &&Instance| instance.is_root(attachment) && instance.state(cx.now).name != "stopped";
        match self.instances.get(&attachment.instance).filter(holds) {
            None => Ok(()),
            Some(Instance { id, .. }) => Err(ApiError::new(
                "OperationNotPermitted",
                format!("Unable to detach root volume '{volume}' from instance '{id}'"),
            )),
        }
    }
}

/// Refuses a size that volumes of a type cannot have:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>.
pub(crate) fn check_size(volume_type: &str, size: u32) -> Result<(), ApiError> {
    let (least, most) = match volume_type {
        "standard" => (1, 1024),
        "io1" => (4, 16_384),
        "io2" => (4, 65_536),
        "sc1" | "st1" => (125, 16_384),
        "gp2" => (1, 16_384),
        _ => (1, 65_536),
    };
    let (word, bound) = match size {
        size if size < least => ("small", format!("minimum is {least}GiB.")),
        size if size > most => ("large", format!("maximum is {most}GiB.")),
        _ => return Ok(()),
    };
    Err(ApiError::invalid(format!("Volume of {size}GiB is too {word} for volume type {volume_type}; {bound}")))
}

/// The type of volume that a call names.
pub(crate) fn known_type(named: &str) -> Result<&'static str, ApiError> {
    let known = TYPES.into_iter().find(|known| *known == named);
    known.ok_or_else(|| {
        ApiError::new("UnknownVolumeType", format!("Unsupported volume type '{named}' for volume creation."))
    })
}
