//! A launch template, as far as it names images.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::written as date;
use crate::world::devices::DeviceInput;
use crate::world::filters::{Filtered, Values, one, written};
use crate::world::ids::{INSTANCE, Kind, LAUNCH_TEMPLATE, VOLUME};
use crate::world::plain::{self, Plain};
use crate::world::region::Region;
use crate::world::tags::{self, TagSpecification, Tags};

/// A launch template with its versions.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) default_version: u64,
    /// The number that was given last: numbers do not come back.
    pub(crate) last: u64,
    pub(crate) versions: BTreeMap<u64, Version>,
    pub(crate) tags: Tags,
}

/// A version of a launch template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) description: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) data: TemplateData,
}

/// What a version says about the instances it launches.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"))]
pub(crate) struct TemplateData {
    pub(crate) image_id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) key_name: Option<String>,
    #[serde(default, rename(deserialize = "BlockDeviceMapping"), skip_serializing_if = "Vec::is_empty")]
    pub(crate) devices: Vec<DeviceInput>,
    #[serde(default, rename(deserialize = "TagSpecification"), skip_serializing_if = "Vec::is_empty")]
    pub(crate) tag_specifications: Vec<TagSpecification>,
    #[serde(default, rename(deserialize = "SecurityGroupId"), skip_serializing_if = "Vec::is_empty")]
    pub(crate) security_group_ids: Vec<String>,
    /// The other members, those of [`OTHERS`].
    #[serde(flatten)]
    pub(crate) others: BTreeMap<String, Plain>,
}

/// Members that are kept and answered as they are.
const OTHERS: [&str; 24] = [
    "CapacityReservationSpecification",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceRequirements",
    "KernelId",
    "LicenseSpecification",
    "MaintenanceOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterface",
    "NetworkPerformanceOptions",
    "Placement",
    "PrivateDnsNameOptions",
    "RamDiskId",
    "SecurityGroup",
    "UserData",
];

impl TemplateData {
    /// The tags it gives to one type of resource.
    pub(crate) fn tags(&self, kind: &Kind) -> Result<Tags, ApiError> {
        tags::specified(&self.tag_specifications, &[&INSTANCE, &VOLUME], kind)
    }

    /// Refuses members that there are not.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        plain::check_known(&self.others, &OTHERS)
    }

    /// Whether it sets one of the other members to true.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.member(&[name]) == Some("true")
    }

    /// One of the other members, by the names on the way to it.
    pub(crate) fn member(&self, path: &[&str]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        self.others.get(*first)?.member(rest)
    }

    /// It over another: what it leaves out is taken from there.
    pub(crate) fn over(self, base: Self) -> Self {
        Self {
            image_id: self.image_id.or(base.image_id),
            instance_type: self.instance_type.or(base.instance_type),
            key_name: self.key_name.or(base.key_name),
            devices: either(self.devices, base.devices),
            tag_specifications: either(self.tag_specifications, base.tag_specifications),
            security_group_ids: either(self.security_group_ids, base.security_group_ids),
            others: base.others.into_iter().chain(self.others).collect(),
        }
    }

    fn write(&self, x: &mut Xml) {
        x.maybe("imageId", self.image_id.as_ref())
            .maybe("instanceType", self.instance_type.as_ref())
            .maybe("keyName", self.key_name.as_ref());
        if !self.devices.is_empty() {
            x.list("blockDeviceMappingSet", &self.devices, |x, device| {
                x.text("deviceName", &device.device_name);
                if let Some(ebs) = &device.ebs {
                    x.nest("ebs", |x| {
                        x.maybe("snapshotId", ebs.snapshot_id.as_ref())
                            .maybe("volumeSize", ebs.volume_size)
                            .maybe("volumeType", ebs.volume_type.as_ref())
                            .maybe("iops", ebs.iops)
                            .maybe("throughput", ebs.throughput)
                            .maybe("deleteOnTermination", ebs.delete_on_termination)
                            .maybe("encrypted", ebs.encrypted)
                            .maybe("kmsKeyId", ebs.kms_key_id.as_ref());
                    });
                }
            });
        }
        if !self.tag_specifications.is_empty() {
            x.list("tagSpecificationSet", &self.tag_specifications, |x, s| s.write(x));
        }
        if !self.security_group_ids.is_empty() {
            x.list("securityGroupIdSet", &self.security_group_ids, |x, id| {
                x.raw(id);
            });
        }
        for (name, value) in &self.others {
            value.write(x, name);
        }
    }
}

fn either<T>(own: Vec<T>, base: Vec<T>) -> Vec<T> {
    if own.is_empty() { base } else { own }
}

/// A template and a version of it, as a launch names them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TemplateChoice {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    version: Option<String>,
}

impl LaunchTemplate {
    pub(crate) fn latest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or_default()
    }

    /// The version that a number, `$Latest` or `$Default` means.
    pub(crate) fn version(&self, named: &str) -> Result<&Version, ApiError> {
        let number = match named {
            "$Latest" => Some(self.latest()),
            "$Default" => Some(self.default_version),
            number => number.parse().ok(),
        };
        number.and_then(|number| self.versions.get(&number)).ok_or_else(|| {
            ApiError::new(
                "InvalidLaunchTemplateId.VersionNotFound",
                format!("Could not find launch template version {named} of {}", self.id),
            )
        })
    }

    /// The tags that say which template and version an instance was launched from.
    pub(crate) fn origin_tags(&self, version: &Version) -> Tags {
        let number = version.number.to_string();
        Tags::from_iter([("aws:ec2launchtemplate:id", self.id.as_str()), ("aws:ec2launchtemplate:version", &number)])
    }

    pub(crate) fn write(&self, x: &mut Xml) {
        x.text("launchTemplateId", &self.id)
            .text("launchTemplateName", &self.name)
            .text("createTime", date(self.created))
            .text("createdBy", format_args!("arn:aws:iam::{}:user/simulated", self.owner))
            .text("defaultVersionNumber", self.default_version)
            .text("latestVersionNumber", self.latest());
        tags::write(x, &self.tags);
    }

    pub(crate) fn write_version(&self, x: &mut Xml, version: &Version) {
        x.text("launchTemplateId", &self.id)
            .text("launchTemplateName", &self.name)
            .text("versionNumber", version.number)
            .maybe("versionDescription", version.description.as_ref())
            .text("createTime", date(version.created))
            .text("createdBy", format_args!("arn:aws:iam::{}:user/simulated", self.owner))
            .text("defaultVersion", version.number == self.default_version)
            .nest("launchTemplateData", |x| version.data.write(x));
    }
}

impl Filtered for LaunchTemplate {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("create-time", |template| written(date(template.created))),
        ("launch-template-name", |template| one(&template.name)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Region {
    /// The template that a caller names by id or by name.
    pub(crate) fn template_id(&self, cx: &Context, id: Option<&str>, name: Option<&str>) -> Result<String, ApiError> {
        match (id, name) {
            (Some(id), None) => {
                LAUNCH_TEMPLATE.check(id)?;
                let found = self.launch_templates.get(id).filter(|template| template.owner == cx.account);
                found.map(|template| template.id.clone()).ok_or_else(|| LAUNCH_TEMPLATE.not_found(id))
            }
            (None, Some(name)) => self.template_named(cx, name).map(|template| template.id.clone()).ok_or_else(|| {
                let message = format!("The specified launch template, with template name {name}, does not exist.");
                ApiError::new("InvalidLaunchTemplateName.NotFoundException", message)
            }),
            _ => Err(ApiError::combination("Give either the id or the name of the launch template")),
        }
    }

    pub(crate) fn template_named(&self, cx: &Context, name: &str) -> Option<&LaunchTemplate> {
        self.launch_templates.values().find(|template| template.owner == cx.account && template.name == name)
    }

    pub(crate) fn template(
        &self,
        cx: &Context,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<&LaunchTemplate, ApiError> {
        let id = self.template_id(cx, id, name)?;
        self.launch_templates.get(&id).ok_or_else(|| LAUNCH_TEMPLATE.not_found(&id))
    }

    pub(crate) fn template_mut(
        &mut self,
        cx: &Context,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<&mut LaunchTemplate, ApiError> {
        let id = self.template_id(cx, id, name)?;
        self.launch_templates.get_mut(&id).ok_or_else(|| LAUNCH_TEMPLATE.not_found(&id))
    }

    /// Refuses a parameter that a version names and that does not lead to an image. An id is not looked at before a launch.
    pub(crate) fn check_template_image(&self, cx: &Context, data: &TemplateData) -> Result<(), ApiError> {
        data.image_id.iter().try_for_each(|image| self.resolve_image(cx, image).map(|_| ()))
    }

    /// The template that a launch names, and its version.
    pub(crate) fn chosen_version(
        &self,
        cx: &Context,
        choice: &TemplateChoice,
    ) -> Result<(&LaunchTemplate, &Version), ApiError> {
        let id = choice.launch_template_id.as_deref();
        let template = self.template(cx, id, choice.launch_template_name.as_deref())?;
        Ok((template, template.version(choice.version.as_deref().unwrap_or("$Default"))?))
    }
}
