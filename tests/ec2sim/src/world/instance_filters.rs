//! What instances can be filtered by.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::world::agenda::written_in_seconds as date;
use crate::world::filters::{Filtered, Values, maybe, one, written};
use crate::world::instance::{Instance, State};
use crate::world::network::Network;
use crate::world::region::Region;
use crate::world::tags::Tags;
use crate::world::volume::Attachment;
use crate::world::zones::zone_id;

/// Documented filters on what instances here never have.
const ABSENT: [&str; 18] = [
    "affinity",
    "capacity-reservation-id",
    "current-instance-boot-mode",
    "dns-name",
    "host-id",
    "instance-lifecycle",
    "ip-address",
    "ipv6-address",
    "outpost-arn",
    "placement-group-name",
    "placement-partition-number",
    "private-dns-name",
    "product-code.type",
    "requester-id",
    "source-dest-check",
    "spot-instance-request-id",
    "usage-operation",
    "usage-operation-update-time",
];
/// How the names of others begin.
const ABSENT_PARTS: [&str; 9] = [
    "capacity-reservation-specification.",
    "enclave-options.",
    "hibernation-options.",
    "iam-instance-profile.",
    "maintenance-options.",
    "network-interface.",
    "network-performance-options.",
    "operator.",
    "private-dns-name-options.",
];

/// A volume and how it is attached.
struct Device {
    volume: String,
    attachment: Attachment,
}

/// An instance as filters see it: as it is at one moment, with its volumes.
pub(crate) struct Seen {
    pub(crate) instance: Instance,
    pub(crate) state: State,
    devices: Vec<Device>,
    region: String,
}

impl Seen {
    pub(crate) fn new(region: &Region, instance: &Instance, now: Timestamp) -> Self {
        let devices = region
            .volumes_of(&instance.id)
            .into_iter()
            .map(|(volume, attachment)| Device { volume: volume.id.clone(), attachment: attachment.clone() });
        Self {
            instance: instance.clone(),
            state: instance.state(now),
            devices: devices.collect(),
            region: region.name.clone(),
        }
    }

    /// An option of the metadata service, which an instance shows only if its image asked for version 2.
    fn metadata_option(&self, value: &'static str) -> Vec<Cow<'_, str>> {
        maybe(self.instance.machine.imds_support.as_ref().map(|_| value))
    }

    fn network(&self) -> Network {
        Network::of(&self.instance.owner, &self.region)
    }
}

impl Filtered for Seen {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("architecture", |i| one(&i.instance.machine.architecture)),
        ("availability-zone", |i| one(&i.instance.zone)),
        ("availability-zone-id", |i| written(zone_id(&i.instance.zone))),
        ("block-device-mapping.attach-time", |i| {
            i.devices.iter().flat_map(|d| written(date(d.attachment.at))).collect()
        }),
        ("block-device-mapping.delete-on-termination", |i| {
            i.devices.iter().flat_map(|d| written(d.attachment.delete_on_termination)).collect()
        }),
        ("block-device-mapping.device-name", |i| i.devices.iter().flat_map(|d| one(&d.attachment.device)).collect()),
        ("block-device-mapping.status", |i| i.devices.iter().flat_map(|_| one("attached")).collect()),
        ("block-device-mapping.volume-id", |i| i.devices.iter().flat_map(|d| one(&d.volume)).collect()),
        ("boot-mode", |i| maybe(i.instance.machine.boot_mode.as_deref())),
        ("client-token", |i| maybe(i.instance.client_token.as_deref())),
        ("ebs-optimized", |_| one("false")),
        ("ena-support", |i| written(i.instance.machine.ena_support)),
        ("hypervisor", |_| one("xen")),
        ("image-id", |i| one(&i.instance.image)),
        ("instance.group-id", |i| i.instance.security_groups.iter().flat_map(|(id, _)| one(id)).collect()),
        ("instance.group-name", |i| i.instance.security_groups.iter().flat_map(|(_, name)| one(name)).collect()),
        ("instance-id", |i| one(&i.instance.id)),
        ("instance-state-code", |i| written(i.state.code)),
        ("instance-state-name", |i| one(i.state.name)),
        ("instance-type", |i| one(&i.instance.instance_type)),
        ("kernel-id", |i| maybe(i.instance.machine.kernel_id.as_deref())),
        ("key-name", |i| maybe(i.instance.key_name.as_deref())),
        ("launch-index", |i| written(i.instance.launch_index)),
        ("launch-time", |i| written(date(i.instance.launched))),
        ("metadata-options.http-endpoint", |i| i.metadata_option("enabled")),
        ("metadata-options.http-protocol-ipv4", |i| i.metadata_option("enabled")),
        ("metadata-options.http-protocol-ipv6", |i| i.metadata_option("disabled")),
        ("metadata-options.http-put-response-hop-limit", |i| i.metadata_option("2")),
        ("metadata-options.http-tokens", |i| i.metadata_option("required")),
        ("metadata-options.instance-metadata-tags", |i| i.metadata_option("disabled")),
        ("metadata-options.state", |i| i.metadata_option("applied")),
        ("monitoring-state", |_| one("disabled")),
        ("owner-id", |i| one(&i.instance.owner)),
        ("platform", |i| maybe(i.instance.machine.platform())),
        ("platform-details", |i| one(&i.instance.machine.platform_details)),
        ("private-ip-address", |i| written(i.network().address(&i.instance.zone, &i.instance.id))),
        ("product-code", |i| i.instance.machine.product_codes.iter().flat_map(|code| one(code)).collect()),
        ("ramdisk-id", |i| maybe(i.instance.machine.ramdisk_id.as_deref())),
        ("reason", |i| written(i.instance.transition_reason())),
        ("reservation-id", |i| one(&i.instance.reservation)),
        ("root-device-name", |i| one(&i.instance.machine.root_device_name)),
        ("root-device-type", |_| one("ebs")),
        ("state-reason-code", |i| maybe(i.instance.reason.as_ref().map(|r| r.code.as_str()))),
        ("state-reason-message", |i| maybe(i.instance.reason.as_ref().map(|r| r.message.as_str()))),
        ("subnet-id", |i| written(i.network().subnet(&i.instance.zone))),
        ("tenancy", |_| one("default")),
        ("tpm-support", |i| maybe(i.instance.machine.tpm_support.as_deref())),
        ("virtualization-type", |i| one(&i.instance.machine.virtualization_type)),
        ("vpc-id", |i| written(i.network().vpc())),
    ];

    /// Interfaces, hosts, reservations and the like.
    fn is_absent(name: &str) -> bool {
        ABSENT.contains(&name) || ABSENT_PARTS.iter().any(|part| name.starts_with(part))
    }

    fn tags(&self) -> &Tags {
        &self.instance.tags
    }
}
