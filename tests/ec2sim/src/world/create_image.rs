//! CreateImage: an image and snapshots of the volumes of an instance.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::copies::{check_description, failure};
use crate::world::devices::{self, DeviceInput};
use crate::world::ids::{IMAGE, SNAPSHOT};
use crate::world::image::{BlockDevice, Image, ImageState, Origin};
use crate::world::snapshot::Snapshot;
use crate::world::tags::{self, TagSpecification, Tags};
use crate::world::volume::Volume;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateImage {
    instance_id: String,
    name: String,
    description: Option<String>,
    /// Without a reboot the snapshots may be torn; here it makes no difference.
    #[serde(rename = "NoReboot")]
    _no_reboot: Option<bool>,
    snapshot_location: Option<String>,
    boot_mode_override: Option<String>,
    #[serde(default, rename = "BlockDeviceMapping")]
    devices: Vec<DeviceInput>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

impl World {
    pub(crate) fn create_image(&mut self, cx: &Context, input: CreateImage) -> Result<Xml, ApiError> {
        check_description(input.description.as_deref())?;
        check_location(input.snapshot_location.as_deref())?;
        devices::check_assigned_once(&input.devices)?;
        if let Some(mode) = input.boot_mode_override.as_deref().filter(|mode| *mode != "uefi") {
            return Err(ApiError::invalid_value("BootModeOverride", mode));
        }
        let created = [&IMAGE, &SNAPSHOT];
        let tags = tags::specified(&input.tag_specifications, &created, &IMAGE)?;
        let snapshot_tags = tags::specified(&input.tag_specifications, &created, &SNAPSHOT)?;
        let region = self.region(cx)?;
        let instance = region.owned_instance(cx, &input.instance_id)?.clone();
        let state = instance.state(cx.now).name;
        if !matches!(state, "running" | "stopped") {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Instance '{}' is not 'running' or 'stopped'; it is '{state}'.", instance.id),
            ));
        }
        region.check_name(cx, &input.name)?;
        self.check_quota(cx)?;
        let region = self.region(cx)?;
        let attached: Vec<(BlockDevice, Volume)> = region
            .volumes_of(&instance.id)
            .into_iter()
            .map(|(volume, attachment)| {
                let device = BlockDevice {
                    device_name: attachment.device.clone(),
                    snapshot: None,
                    size: volume.size,
                    volume_type: volume.volume_type,
                    performance: volume.performance.in_image(volume.volume_type),
                    encrypted: volume.encrypted,
                    delete_on_termination: attachment.delete_on_termination,
                };
                (device, volume.clone())
            })
            .collect();
        let own: Vec<BlockDevice> = attached.iter().map(|(device, _)| device.clone()).collect();
        let devices = devices::overridden(region, cx, &own, &input.devices, &instance.machine.root_device_name)?;

        let id = self.ids.resource(&IMAGE);
        let mut finished = Vec::new();
        let mut snapshots = Vec::new();
        for (mut device, change) in devices {
            let volume =
                attached.iter().find(|(own, _)| own.device_name == device.device_name).map(|(_, volume)| volume);
            if let Some(volume) = volume {
                change.map_or(Ok(()), |change| change.check_for_volume(volume.encrypted))?;
                if device.size != volume.size {
                    return Err(ApiError::combination(
                        "The size of a volume cannot be changed when an image is made of it",
                    ));
                }
                let snapshot = self.volume_snapshot(cx, volume, &snapshot_tags);
                let description = format!("Created by CreateImage({}) for {id}", instance.id);
                device.snapshot = Some(snapshot.id.clone());
                snapshots.push(Snapshot { description, ..snapshot });
            }
            finished.push(device);
        }
        let mut machine = instance.machine;
        if let Some(mode) = input.boot_mode_override {
            machine.own().boot_mode = Some(mode);
        }
        let image = Image {
            description: input.description,
            state: ImageState::Pending,
            state_reason: failure(cx, false),
            listed_from: after(cx.now, self.config.late_listing),
            devices: finished,
            tags,
            origin: Some(Box::new(Origin { image: instance.image, region: cx.region.clone() })),
            source_instance: Some(instance.id),
            ..Image::new(id.clone(), &cx.account, input.name, machine, cx.now)
        };
        let ends = after(cx.now, self.config.copy_time);
        let region = self.region_mut(cx)?;
        region.snapshots.extend(snapshots.into_iter().map(|s| (s.id.clone(), s)));
        region.add_image(image);
        let event = Event::ImageCopied { region: cx.region.clone(), image: id.clone() };
        self.agenda.add(ends, event);
        Ok(Xml::new().with("imageId", id))
    }

    /// A pending snapshot of a volume: as large and as encrypted.
    pub(crate) fn volume_snapshot(&mut self, cx: &Context, volume: &Volume, tags: &Tags) -> Snapshot {
        Snapshot {
            volume: Some(volume.id.clone()),
            encrypted: volume.encrypted,
            key: volume.key.clone(),
            tags: tags.clone(),
            ..self.pending_snapshot(cx, volume.size)
        }
    }
}

/// Local Zones and Outposts, where snapshots can be elsewhere, are not simulated.
pub(crate) fn check_location(location: Option<&str>) -> Result<(), ApiError> {
    match location {
        None | Some("regional") => Ok(()),
        Some(other) => Err(ApiError::invalid_value("SnapshotLocation", other)),
    }
}

/// Refuses a place that is named: an account has no Outposts here, and no Local Zones. At most one place can be named.
pub(crate) fn check_places(places: &[(&str, &Option<String>)]) -> Result<(), ApiError> {
    let named: Vec<(&str, &str)> =
        places.iter().filter_map(|(parameter, value)| Some((*parameter, value.as_deref()?))).collect();
    match named.as_slice() {
        [] => Ok(()),
        [(parameter, value)] => Err(ApiError::invalid(format!(
            "Value ( {value} ) for parameter {parameter} is invalid. The account has no such Outpost or Local Zone."
        ))),
        [(one, _), (other, _), ..] => {
            Err(ApiError::combination(format!("Only one of {one} and {other} can be specified")))
        }
    }
}
