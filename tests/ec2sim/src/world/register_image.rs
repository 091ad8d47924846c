//! RegisterImage: an image of snapshots.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::copies::check_description;
use crate::world::devices::{self, DeviceInput};
use crate::world::ids::IMAGE;
use crate::world::image::{BlockDevice, Image};
use crate::world::machine::Machine;
use crate::world::tags::{self, TagSpecification};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RegisterImage {
    name: String,
    description: Option<String>,
    architecture: Option<String>,
    root_device_name: Option<String>,
    virtualization_type: Option<String>,
    sriov_net_support: Option<String>,
    ena_support: Option<bool>,
    boot_mode: Option<String>,
    imds_support: Option<String>,
    tpm_support: Option<String>,
    kernel_id: Option<String>,
    ramdisk_id: Option<String>,
    uefi_data: Option<String>,
    image_location: Option<String>,
    #[serde(default, rename = "BillingProduct")]
    billing_products: Vec<String>,
    #[serde(default, rename = "BlockDeviceMapping")]
    devices: Vec<DeviceInput>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

impl World {
    pub(crate) fn register_image(&mut self, cx: &Context, input: RegisterImage) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&IMAGE], &IMAGE)?;
        let id = self.ids.resource(&IMAGE);
        let listed_from = after(cx.now, self.config.late_listing);
        input.check()?;
        self.check_quota(cx)?;
        let region = self.region_mut(cx)?;
        region.check_name(cx, &input.name)?;
        let root = input.root_device_name.ok_or_else(|| ApiError::missing("rootDeviceName"))?;
        let mut devices: Vec<BlockDevice> = Vec::new();
        for device in &input.devices {
            device.check_for_image(region, cx)?;
            devices.extend(device.check(region, cx)?);
        }
        if !devices.iter().any(|device| device.device_name == root && device.snapshot.is_some()) {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                "The root device must have a snapshot in the block device mapping",
            ));
        }
        let machine = Machine {
            architecture: input.architecture.unwrap_or_else(|| "i386".to_owned()),
            root_device_name: root,
            virtualization_type: input.virtualization_type.unwrap_or_else(|| "paravirtual".to_owned()),
            ena_support: input.ena_support.unwrap_or(false),
            sriov_net_support: input.sriov_net_support,
            boot_mode: input.boot_mode,
            imds_support: input.imds_support,
            tpm_support: input.tpm_support,
            kernel_id: input.kernel_id,
            ramdisk_id: input.ramdisk_id,
            uefi_data: input.uefi_data,
            ..Machine::default()
        };
        let machine = self.machines.shared(machine);
        let region = self.region_mut(cx)?;
        let image = Image {
            description: input.description,
            listed_from,
            devices,
            instance_stores: input.devices.iter().filter_map(DeviceInput::instance_store).collect(),
            tags,
            ..Image::new(id.clone(), &cx.account, input.name, machine, cx.now)
        };
        region.add_image(image);
        Ok(Xml::new().with("imageId", id))
    }
}

impl RegisterImage {
    /// The values that the members of the call can have.
    fn check(&self) -> Result<(), ApiError> {
        check_description(self.description.as_deref())?;
        devices::check_assigned_once(&self.devices)?;
        // There are no buckets here, and so no manifests in them.
        if let Some(location) = &self.image_location {
            let message = format!("The manifest at '{location}' cannot be read: there is no such bucket");
            return Err(ApiError::new("InvalidManifest", message));
        }
        if !self.billing_products.is_empty() {
            return Err(ApiError::new(
                "OperationNotPermitted",
                "The account is not authorized to specify billing product codes",
            ));
        }
        let architectures = ["i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"];
        let members: [(&str, &Option<String>, &[&str]); 5] = [
            ("architecture", &self.architecture, &architectures),
            ("virtualizationType", &self.virtualization_type, &["hvm", "paravirtual"]),
            ("bootMode", &self.boot_mode, &["legacy-bios", "uefi", "uefi-preferred"]),
            ("imdsSupport", &self.imds_support, &["v2.0"]),
            ("tpmSupport", &self.tpm_support, &["v2.0"]),
        ];
        for (name, value, known) in members {
            if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
                return Err(ApiError::invalid_value(name, value));
            }
        }
        let uefi = self.boot_mode.as_deref().is_some_and(|mode| mode.starts_with("uefi"));
        if self.tpm_support.is_some() && !uefi {
            return Err(ApiError::combination("A TPM needs the boot mode uefi"));
        }
        Ok(())
    }
}
