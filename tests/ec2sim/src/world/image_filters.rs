//! What images can be filtered by.

use crate::world::agenda::written_in_seconds as date;
use crate::world::filters::{Filtered, Values, maybe, one, written};
use crate::world::image::Image;
use crate::world::tags::Tags;

impl Filtered for Image {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("architecture", |image| one(&image.machine.architecture)),
        ("block-device-mapping.device-name", |i| i.devices.iter().flat_map(|d| one(&d.device_name)).collect()),
        ("block-device-mapping.encrypted", |i| i.devices.iter().flat_map(|d| written(d.encrypted)).collect()),
        ("block-device-mapping.snapshot-id", |i| i.shown_snapshots().flat_map(one).collect()),
        ("block-device-mapping.volume-size", |i| i.devices.iter().flat_map(|d| written(d.size)).collect()),
        ("block-device-mapping.volume-type", |i| i.devices.iter().flat_map(|d| one(d.volume_type)).collect()),
        ("block-device-mapping.delete-on-termination", |i| {
            i.devices.iter().flat_map(|d| written(d.delete_on_termination)).collect()
        }),
        ("boot-mode", |image| maybe(image.machine.boot_mode.as_deref())),
        ("creation-date", |image| written(date(image.created))),
        ("description", |image| maybe(image.description.as_deref())),
        ("ena-support", |image| written(image.machine.ena_support)),
        ("free-tier-eligible", |_| one("false")),
        ("kernel-id", |image| maybe(image.machine.kernel_id.as_deref())),
        ("ramdisk-id", |image| maybe(image.machine.ramdisk_id.as_deref())),
        ("manifest-location", |image| written(image.location())),
        ("product-code.type", |image| {
            let codes = image.machine.product_codes.iter();
            codes.flat_map(|_| one("marketplace")).collect()
        }),
        ("hypervisor", |_| one("xen")),
        ("image-id", |image| one(&image.id)),
        ("image-type", |_| one("machine")),
        ("is-public", |image| written(image.is_public())),
        ("name", |image| one(&image.name)),
        ("owner-alias", |image| maybe(image.owner_alias.as_deref())),
        ("owner-id", |image| one(&image.owner)),
        ("platform", |i| maybe(i.machine.platform())),
        ("product-code", |image| image.machine.product_codes.iter().flat_map(|code| one(code)).collect()),
        ("root-device-name", |image| one(&image.machine.root_device_name)),
        ("root-device-type", |_| one("ebs")),
        ("source-image-id", |image| maybe(image.origin.as_ref().map(|origin| origin.image.as_str()))),
        ("source-instance-id", |image| maybe(image.source_instance.as_deref())),
        ("source-image-region", |image| maybe(image.origin.as_ref().map(|origin| origin.region.as_str()))),
        ("state", |image| one(image.state.name())),
        ("state-reason-code", |image| maybe(image.state_reason.as_ref().map(|reason| reason.code.as_str()))),
        ("state-reason-message", |image| maybe(image.state_reason.as_ref().map(|reason| reason.message.as_str()))),
        ("sriov-net-support", |image| maybe(image.machine.sriov_net_support.as_deref())),
        ("virtualization-type", |image| one(&image.machine.virtualization_type)),
    ];

    /// What scanners and publishers add to images.
    fn is_absent(name: &str) -> bool {
        name == "public-ssm-parameter-name"
            || ["image-watermark.", "instance-type-specification.", "scan-result."]
                .iter()
                .any(|of| name.starts_with(of))
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn tags_for(&self, viewer: &str) -> Tags {
        self.tags_for(viewer)
    }
}
