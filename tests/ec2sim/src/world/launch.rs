//! RunInstances.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::devices::{self, DeviceInput};
use crate::world::ids::{INSTANCE, VOLUME};
use crate::world::image::{BlockDevice, Image, StateReason};
use crate::world::instance::{Instance, Phase};
use crate::world::instance_types::{architecture, check_instance_type};
use crate::world::kms::Encryption;
use crate::world::launch_template::{TemplateChoice, TemplateData};
use crate::world::machine::Machine;
use crate::world::network::Network;
use crate::world::plain::{self, Plain};
use crate::world::region::Region;
use crate::world::tags::{self, TagSpecification, Tags};
use crate::world::volume::{Attachment, Volume};
use crate::world::zones::{check_zone, invalid_zone};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunInstances {
    image_id: Option<String>,
    instance_type: Option<String>,
    min_count: u32,
    max_count: u32,
    launch_template: Option<TemplateChoice>,
    client_token: Option<String>,
    key_name: Option<String>,
    disable_api_termination: Option<bool>,
    disable_api_stop: Option<bool>,
    placement: Option<Placement>,
    #[serde(default, rename = "BlockDeviceMapping")]
    devices: Vec<DeviceInput>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
    subnet_id: Option<String>,
    #[serde(default, rename = "SecurityGroupId")]
    security_group_ids: Vec<String>,
    #[serde(default, rename = "SecurityGroup")]
    security_groups: Vec<String>,
    /// The other members, those of [`OTHERS`].
    #[serde(flatten)]
    others: BTreeMap<String, Plain>,
}

/// What cannot change how an image is used is accepted and has no effect.
const OTHERS: [&str; 27] = [
    "AdditionalInfo",
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "EbsOptimized",
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerator",
    "EnablePrimaryIpv6",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "Ipv6Address",
    "Ipv6AddressCount",
    "KernelId",
    "LicenseSpecification",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterface",
    "NetworkPerformanceOptions",
    "PrivateDnsNameOptions",
    "PrivateIpAddress",
    "RamdiskId",
    "SecondaryInterface",
    "UserData",
];

/// The other members choose a host, and there are none.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Placement {
    availability_zone: Option<String>,
}

/// What one instance is launched with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) reservation: String,
    pub(crate) index: u32,
    pub(crate) key_name: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) protected: bool,
    pub(crate) stop_protected: bool,
    /// Ids and names.
    pub(crate) security_groups: Vec<(String, String)>,
    pub(crate) devices: Vec<DeviceInput>,
    pub(crate) tags: Tags,
    pub(crate) volume_tags: Tags,
}

const DEFAULT_TYPE: &str = "m1.small";

impl World {
    pub(crate) fn run_instances(&mut self, cx: &Context, input: RunInstances) -> Result<Xml, ApiError> {
        plain::check_known(&input.others, &OTHERS)?;
        if input.min_count == 0 {
            return Err(ApiError::invalid_value("MinCount", "0"));
        }
        if input.max_count < input.min_count {
            return Err(ApiError::combination("MinCount must be at most MaxCount"));
        }
        let asked = format!("{input:?}");
        let token = input.client_token.clone();
        if let Some(made) = self.remembered(cx, "RunInstances", token.as_deref(), &asked)? {
            self.region(cx)?.check_not_terminated(&made)?;
            return self.write_reservation(cx, &made, None);
        }
        let region = self.region(cx)?;
        let template = input.launch_template.as_ref().map(|choice| region.chosen_version(cx, choice)).transpose()?;
        let origin = template.map(|(template, version)| template.origin_tags(version)).unwrap_or_default();
        let template = template.map(|(_, version)| version.data.clone()).unwrap_or_default();
        let count = input.max_count;
        let subnet = input.subnet_id.clone();
        let groups = self.launch_groups(cx, &input.security_group_ids, &input.security_groups)?;
        let mut launch = input.launch(template)?;
        launch.security_groups = groups;
        launch.tags.extend(origin.iter());
        launch.image = self.region(cx)?.resolve_image(cx, &launch.image)?;
        self.launchable(cx, &launch.image)?.check_type(&launch)?;
        if let Some(name) = &launch.key_name {
            self.region_mut(cx)?.holdings(&cx.account).check_key_pair(name)?;
        }
        let network = Network::of(&cx.account, &cx.region);
        if let Some(subnet) = &subnet {
            launch.zone = Some(network.zone_of(subnet)?);
        }
        if let Some(zone) = &launch.zone {
            check_zone(cx, zone).map_err(|_| invalid_zone(zone))?;
        }
        launch.reservation = self.ids.resource(&INSTANCE).replacen("i-", "r-", 1);
        let mut launched = Vec::new();
        for index in 0..count {
            launched.push(self.launch(cx, Launch { index, ..launch.clone() })?);
        }
        self.remember(cx, "RunInstances", token.as_deref(), asked, launched.clone())?;
        self.write_reservation(cx, &launched, Some(Phase::Running))
    }

    /// Writes instances of one reservation, as they are or as they set out for a phase.
    fn write_reservation(&self, cx: &Context, ids: &[String], phase: Option<Phase>) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        let instances: Vec<&Instance> = ids.iter().filter_map(|id| region.instances.get(id)).collect();
        let mut x = Xml::new();
        x.maybe("reservationId", instances.first().map(|i| &i.reservation))
            .text("ownerId", &cx.account)
            .list("groupSet", [(); 0], |_, ()| ())
            .list("instancesSet", instances, |x, instance| {
                let state = phase.map_or_else(|| instance.state(cx.now), Phase::setting_out);
                instance.write(x, region, state);
            });
        Ok(x)
    }

    /// Refuses to launch from an image that is not visible, not complete, disabled or failed. Of one that the account may not
    /// launch EC2 says that it is there, which other calls do not.
    fn launchable(&self, cx: &Context, image: &str) -> Result<&Image, ApiError> {
        let region = self.region(cx)?;
        if region.images.get(image).is_some_and(|image| image.check_registered().is_ok() && !image.is_visible_to(cx)) {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for images: [{image}]")));
        }
        let image = region.visible_image(cx, image)?;
        image.check_available()?;
        Ok(image)
    }

    /// Starts an instance and answers its id. Where a key cannot be used it terminates by itself, as EC2's do.
    pub(crate) fn launch(&mut self, cx: &Context, launch: Launch) -> Result<String, ApiError> {
        let id = self.ids.resource(&INSTANCE);
        let settles = after(cx.now, self.config.instance_time);
        let zone = launch.zone.unwrap_or_else(|| format!("{}a", cx.region));
        let usual = self.machines.shared(Machine::default());
        let lag = self.config.last_launched_lag;
        if !lag.is_zero() {
            let event = Event::LaunchReported { region: cx.region.clone(), image: launch.image.clone(), at: cx.now };
            self.agenda.add(after(cx.now, lag), event);
        }
        let region = self.region_mut(cx)?;
        let image = region.images.get_mut(&launch.image).map(|image| {
            if lag.is_zero() {
                image.last_launched = Some(cx.now);
            }
            image.clone()
        });
        let (machine, own) = match image {
            Some(Image { machine, devices, .. }) => (machine, devices),
            // Instances outlive images and can be put in without one: they have a root volume all the same.
            None => (usual, vec![BlockDevice::root(&Machine::default())]),
        };
        let devices = devices::overridden(region, cx, &own, &launch.devices, &machine.root_device_name)?;
        let mut volumes = Vec::new();
        let mut reason = None;
        for (device, input) in devices {
            let how = Encryption {
                asked: input.as_ref().and_then(DeviceInput::encrypted),
                key: input.as_ref().and_then(DeviceInput::key),
            };
            let source = device.snapshot.as_ref().and_then(|id| {
                let snapshot = self.region(cx).ok()?.snapshots.get(id)?;
                Some((snapshot.encrypted, snapshot.key.clone()))
            });
            let (source_encrypted, source_key) = source.unwrap_or((false, None));
            let (encrypted, key) = self.encrypt(cx, source_encrypted, source_key.as_deref(), &how)?;
            let own = (encrypted, key.as_deref());
            if !self.region(cx)?.can_unlock(&cx.account, own, source_key.as_deref()) {
                reason = Some(StateReason {
                    code: "Client.InternalError".to_owned(),
                    message: "Client.InternalError: Client error on launch".to_owned(),
                });
            }
            volumes.push(Volume {
                id: self.ids.resource(&VOLUME),
                owner: cx.account.clone(),
                size: device.size,
                volume_type: device.volume_type,
                performance: device.performance.of_volume(device.volume_type, device.size),
                snapshot: device.snapshot,
                encrypted,
                key,
                zone: zone.clone(),
                created: cx.now,
                attachment: Some(Attachment {
                    instance: id.clone(),
                    device: device.device_name,
                    at: cx.now,
                    delete_on_termination: device.delete_on_termination,
                }),
                tags: launch.volume_tags.clone(),
            });
        }
        let failed = reason.is_some();
        let instance = Instance {
            id: id.clone(),
            owner: cx.account.clone(),
            reservation: launch.reservation,
            image: launch.image,
            instance_type: launch.instance_type,
            key_name: launch.key_name,
            client_token: launch.client_token,
            zone,
            launched: cx.now,
            phase: if failed { Phase::Terminated } else { Phase::Running },
            settles,
            reason,
            ended_by_owner: None,
            launch_index: launch.index,
            terminated: failed.then_some(settles),
            protected: launch.protected,
            stop_protected: launch.stop_protected,
            security_groups: launch.security_groups,
            machine,
            tags: launch.tags,
        };
        let region = self.region_mut(cx)?;
        region.instances.insert(id.clone(), instance);
        if !failed {
            region.volumes.extend(volumes.into_iter().map(|volume| (volume.id.clone(), volume)));
        }
        Ok(id)
    }
}

impl Region {
    /// Refuses a token whose instances have all been terminated:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
    fn check_not_terminated(&self, instances: &[String]) -> Result<(), ApiError> {
        let is_terminated = |id: &String| self.instances.get(id).is_none_or(|i| i.phase == Phase::Terminated);
        if !instances.iter().all(is_terminated) {
            return Ok(());
        }
        Err(ApiError::new(
            "IdempotentInstanceTerminated",
            "The client token is that of a request whose instances have been terminated.",
        ))
    }
}

impl Image {
    /// Refuses a type of instance that is not there, or is of the other architecture, if one is named.
    fn check_type(&self, launch: &Launch) -> Result<(), ApiError> {
        check_instance_type(&launch.instance_type)?;
        let of_type = architecture(&launch.instance_type);
        let of_image = self.machine.architecture.as_str();
        let fits = launch.instance_type == DEFAULT_TYPE
            || of_image.ends_with("_mac")
            || (of_type == "arm64") == (of_image == "arm64");
        if fits {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "The architecture '{of_type}' of the specified instance type does not match the architecture \
             '{of_image}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, \
             and try again."
        )))
    }
}

impl RunInstances {
    /// What is launched: what the call says, else what the launch template says.
    fn launch(self, template: TemplateData) -> Result<Launch, ApiError> {
        let created = [&INSTANCE, &VOLUME];
        let mut tags = template.tags(&INSTANCE)?;
        let mut volume_tags = template.tags(&VOLUME)?;
        tags.extend(tags::specified(&self.tag_specifications, &created, &INSTANCE)?.iter());
        volume_tags.extend(tags::specified(&self.tag_specifications, &created, &VOLUME)?.iter());
        let protected = self.disable_api_termination.unwrap_or_else(|| template.says("DisableApiTermination"));
        let stop_protected = self.disable_api_stop.unwrap_or_else(|| template.says("DisableApiStop"));
        devices::check_used_once(&template.devices)?;
        devices::check_used_once(&self.devices)?;
        let devices = devices::over(self.devices, template.devices);
        Ok(Launch {
            image: self.image_id.or(template.image_id).ok_or_else(|| ApiError::missing("ImageId"))?,
            instance_type: self.instance_type.or(template.instance_type).unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            reservation: String::new(),
            index: 0,
            key_name: self.key_name.or(template.key_name),
            client_token: self.client_token,
            zone: self.placement.and_then(|placement| placement.availability_zone),
            protected,
            stop_protected,
            security_groups: Vec::new(),
            devices,
            tags,
            volume_tags,
        })
    }
}
