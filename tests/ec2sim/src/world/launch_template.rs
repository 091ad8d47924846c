//! A launch template, as far as it names images.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::written as date;
use crate::world::filters::{Filtered, Values, one, written};
use crate::world::ids::LAUNCH_TEMPLATE;
use crate::world::region::Region;
use crate::world::tags::{self, Tags};

/// A launch template with its versions.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) default_version: u64,
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
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"), deny_unknown_fields)]
pub(crate) struct TemplateData {
    pub(crate) image_id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) ebs_optimized: Option<bool>,
}

/// A template and a version of it, as a launch names them.
#[derive(Debug, Deserialize)]
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
        let data = &version.data;
        x.text("launchTemplateId", &self.id)
            .text("launchTemplateName", &self.name)
            .text("versionNumber", version.number)
            .maybe("versionDescription", version.description.as_ref())
            .text("createTime", date(version.created))
            .text("createdBy", format_args!("arn:aws:iam::{}:user/simulated", self.owner))
            .text("defaultVersion", version.number == self.default_version)
            .nest("launchTemplateData", |x| {
                x.maybe("imageId", data.image_id.as_ref())
                    .maybe("instanceType", data.instance_type.as_ref())
                    .maybe("keyName", data.key_name.as_ref())
                    .maybe("userData", data.user_data.as_ref())
                    .maybe("ebsOptimized", data.ebs_optimized);
            });
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

    /// The version of a template that a launch names.
    pub(crate) fn chosen_version(&self, cx: &Context, choice: &TemplateChoice) -> Result<&Version, ApiError> {
        let id = choice.launch_template_id.as_deref();
        self.template(cx, id, choice.launch_template_name.as_deref())?
            .version(choice.version.as_deref().unwrap_or("$Default"))
    }
}
