//! Block device mappings as calls give them.

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::image::{BlockDevice, InstanceStore};
use crate::world::performance::Performance;
use crate::world::region::Region;
use crate::world::volumes::{check_size, known_type};

const DEFAULT_TYPE: &str = "gp2";

/// One device.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"), deny_unknown_fields)]
pub(crate) struct DeviceInput {
    pub(crate) device_name: String,
    pub(crate) ebs: Option<EbsInput>,
    /// Says that the image's device of this name is left out.
    pub(crate) no_device: Option<String>,
    pub(crate) virtual_name: Option<String>,
}

/// The volume of a device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"), deny_unknown_fields)]
pub(crate) struct EbsInput {
    pub(crate) snapshot_id: Option<String>,
    pub(crate) volume_size: Option<u32>,
    pub(crate) volume_type: Option<String>,
    pub(crate) delete_on_termination: Option<bool>,
    pub(crate) encrypted: Option<bool>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) iops: Option<u32>,
    pub(crate) throughput: Option<u32>,
    /// How fast it is filled; volumes here always are.
    pub(crate) volume_initialization_rate: Option<u32>,
}

impl DeviceInput {
    pub(crate) fn encrypted(&self) -> Option<bool> {
        self.ebs.as_ref()?.encrypted
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.ebs.as_ref()?.kms_key_id.as_deref()
    }

    /// The device as one of the instance store, if it is that.
    pub(crate) fn instance_store(&self) -> Option<InstanceStore> {
        let (device_name, virtual_name) = (self.device_name.clone(), self.virtual_name.clone()?);
        Some(InstanceStore { device_name, virtual_name })
    }

    /// Refuses what an image cannot be registered with: a snapshot that is not complete, or one whose encryption is to
    /// change. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>.
    pub(crate) fn check_for_image(&self, region: &Region, cx: &Context) -> Result<(), ApiError> {
        let Some(EbsInput { snapshot_id: Some(id), encrypted, .. }) = &self.ebs else {
            return Ok(());
        };
        if encrypted.is_some() {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                format!(
                    "the encrypted flag cannot be specified since device {} has a snapshot specified.",
                    self.device_name
                ),
            ));
        }
        region.visible_snapshot(cx, id)?.check_completed()
    }

    /// Refuses what would change a volume that an image is made of; only DeleteOnTermination can be chosen:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>.
    pub(crate) fn check_for_volume(&self, encrypted: bool) -> Result<(), ApiError> {
        let refused = |sentence| Err(ApiError::new("InvalidBlockDeviceMapping", sentence));
        let name = &self.device_name;
        if self.encrypted().is_some_and(|asked| asked != encrypted) {
            return refused(format!(
                "the encrypted flag cannot be specified since device {name} has a conflicting encryption setting"
            ));
        }
        if self.ebs.as_ref().is_some_and(|ebs| ebs.snapshot_id.is_some()) {
            return refused(format!("snapshotId cannot be specified since a snapshot is taken of device {name}"));
        }
        Ok(())
    }

    /// The device with its volume, made from a snapshot or empty. `None` for one of the instance store.
    pub(crate) fn check(&self, region: &Region, cx: &Context) -> Result<Option<BlockDevice>, ApiError> {
        let Some(ebs) = &self.ebs else {
            return Ok(None);
        };
        let snapshot = ebs.snapshot_id.as_deref().map(|id| region.visible_snapshot(cx, id)).transpose()?;
        let size = ebs.volume_size.or(snapshot.map(|snapshot| snapshot.size));
        let size = size.ok_or_else(|| ApiError::missing("VolumeSize"))?;
        if let Some(snapshot) = snapshot.filter(|snapshot| size < snapshot.size) {
            return Err(too_small(&snapshot.id, snapshot.size, size));
        }
        let volume_type = known_type(ebs.volume_type.as_deref().unwrap_or(DEFAULT_TYPE))?;
        check_size(volume_type, size)?;
        Ok(Some(BlockDevice {
            device_name: self.device_name.clone(),
            size,
            encrypted: snapshot.map_or(ebs.encrypted.unwrap_or(false), |snapshot| snapshot.encrypted),
            snapshot: ebs.snapshot_id.clone(),
            volume_type,
            performance: Performance::asked(volume_type, ebs.iops, ebs.throughput)?,
            delete_on_termination: ebs.delete_on_termination.unwrap_or(true),
        }))
    }

    /// The device of an image as a launch changes it.
    fn change(&self, region: &Region, cx: &Context, device: &BlockDevice, root: &str) -> Result<BlockDevice, ApiError> {
        let ebs = self.ebs.clone().unwrap_or_default();
        let device = match ebs.snapshot_id.as_ref().filter(|id| device.snapshot.as_ref() != Some(id)) {
            None => device.clone(),
            Some(_) if device.device_name == root => {
                return Err(ApiError::new("InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device"));
            }
            Some(id) => {
                let snapshot = region.visible_snapshot(cx, id)?;
                BlockDevice {
                    snapshot: Some(id.clone()),
                    size: snapshot.size,
                    encrypted: snapshot.encrypted,
                    ..device.clone()
                }
            }
        };
        let size = ebs.volume_size.unwrap_or(device.size);
        if size < device.size {
            let snapshot = device.snapshot.as_deref().unwrap_or("of the image");
            return Err(too_small(snapshot, device.size, size));
        }
        let volume_type = known_type(ebs.volume_type.as_deref().unwrap_or(device.volume_type))?;
        check_size(volume_type, size)?;
        let kept = ebs.iops.is_none() && ebs.throughput.is_none() && volume_type == device.volume_type;
        let performance =
            if kept { device.performance } else { Performance::asked(volume_type, ebs.iops, ebs.throughput)? };
        Ok(BlockDevice {
            size,
            volume_type,
            performance,
            delete_on_termination: ebs.delete_on_termination.unwrap_or(device.delete_on_termination),
            ..device
        })
    }
}

fn too_small(snapshot: &str, least: u32, size: u32) -> ApiError {
    ApiError::new(
        "InvalidBlockDeviceMapping",
        format!("Volume of size {size}GB is smaller than snapshot '{snapshot}', expect size >= {least}GB"),
    )
}

/// Refuses a device that RegisterImage or CreateImage names twice.
pub(crate) fn check_assigned_once(inputs: &[DeviceInput]) -> Result<(), ApiError> {
    match named_twice(inputs) {
        Some(device) => {
            let message = format!("{device} is being assigned to multiple times");
            Err(ApiError::new("InvalidBlockDeviceMapping", message))
        }
        None => Ok(()),
    }
}

/// Refuses a device that a launch names twice.
pub(crate) fn check_used_once(inputs: &[DeviceInput]) -> Result<(), ApiError> {
    named_twice(inputs).map_or(Ok(()), |device| Err(used_twice(device)))
}

fn named_twice(inputs: &[DeviceInput]) -> Option<&str> {
    let known = |at: usize, name: &str| inputs[..at].iter().any(|input| bare(&input.device_name) == bare(name));
    let names = inputs.iter().map(|input| input.device_name.as_str());
    names.enumerate().find(|(at, name)| known(*at, name)).map(|(_, name)| name)
}

/// The devices of a call over those of its launch template: of a device that both name, the call's is taken.
pub(crate) fn over(own: Vec<DeviceInput>, template: Vec<DeviceInput>) -> Vec<DeviceInput> {
    let named = |device: &DeviceInput| own.iter().any(|o| bare(&o.device_name) == bare(&device.device_name));
    let mut devices: Vec<_> = template.into_iter().filter(|device| !named(device)).collect();
    devices.extend(own);
    devices
}

fn used_twice(device: &str) -> ApiError {
    let message = format!("The device '{}' is used in more than one block-device mapping", bare(device));
    ApiError::new("InvalidBlockDeviceMapping", message)
}

/// The name by which EC2 tells devices apart: `xvda` and `/dev/xvda` are the same.
fn bare(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

/// The devices of an image with what a call changes about them: some left out, some altered, some added. `root` is the
/// name of its root device.
pub(crate) fn overridden(
    region: &Region,
    cx: &Context,
    devices: &[BlockDevice],
    inputs: &[DeviceInput],
    root: &str,
) -> Result<Vec<(BlockDevice, Option<DeviceInput>)>, ApiError> {
    let mut result = Vec::new();
    for device in devices {
        let input = inputs.iter().find(|input| input.device_name == device.device_name);
        match input {
            Some(input) if input.no_device.is_some() => {}
            Some(input) => result.push((input.change(region, cx, device, root)?, Some(input.clone()))),
            None => result.push((device.clone(), None)),
        }
    }
    let known = |input: &&DeviceInput| devices.iter().any(|device| device.device_name == input.device_name);
    for input in inputs.iter().filter(|input| input.no_device.is_none() && !known(input)) {
        if devices.iter().any(|device| bare(&device.device_name) == bare(&input.device_name)) {
            return Err(used_twice(&input.device_name));
        }
        if let Some(device) = input.check(region, cx)? {
            result.push((device, Some(input.clone())));
        }
    }
    Ok(result)
}
