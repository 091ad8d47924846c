//! Launch templates, as far as they name images.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::written as date;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one, written};
use crate::world::ids::LAUNCH_TEMPLATE;
use crate::world::paging::Paging;
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
#[serde(
    rename_all(deserialize = "PascalCase", serialize = "camelCase"),
    deny_unknown_fields
)]
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateLaunchTemplate {
    launch_template_name: String,
    version_description: Option<String>,
    launch_template_data: TemplateData,
    #[serde(rename = "ClientToken")]
    _client_token: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateVersion {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    source_version: Option<String>,
    version_description: Option<String>,
    launch_template_data: TemplateData,
    #[serde(rename = "ClientToken")]
    _client_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifyLaunchTemplate {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(rename = "SetDefaultVersion")]
    default_version: String,
    #[serde(rename = "ClientToken")]
    _client_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeLaunchTemplates {
    #[serde(default, rename = "LaunchTemplateId")]
    ids: Vec<String>,
    #[serde(default, rename = "LaunchTemplateName")]
    names: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeVersions {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(default, rename = "LaunchTemplateVersion")]
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TemplateInput {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
}

impl LaunchTemplate {
    fn latest(&self) -> u64 {
        self.versions
            .keys()
            .next_back()
            .copied()
            .unwrap_or_default()
    }

    /// The version that a number, `$Latest` or `$Default` means.
    fn version(&self, named: &str) -> Result<&Version, ApiError> {
        let number = match named {
            "$Latest" => Some(self.latest()),
            "$Default" => Some(self.default_version),
            number => number.parse().ok(),
        };
        number
            .and_then(|number| self.versions.get(&number))
            .ok_or_else(|| {
                ApiError::new(
                    "InvalidLaunchTemplateId.VersionNotFound",
                    format!(
                        "Could not find launch template version {named} of {}",
                        self.id
                    ),
                )
            })
    }

    fn write(&self, x: &mut Xml) {
        x.text("launchTemplateId", &self.id)
            .text("launchTemplateName", &self.name)
            .text("createTime", date(self.created))
            .text(
                "createdBy",
                format_args!("arn:aws:iam::{}:user/simulated", self.owner),
            )
            .text("defaultVersionNumber", self.default_version)
            .text("latestVersionNumber", self.latest());
        tags::write(x, &self.tags);
    }

    fn write_version(&self, x: &mut Xml, version: &Version) {
        let data = &version.data;
        x.text("launchTemplateId", &self.id)
            .text("launchTemplateName", &self.name)
            .text("versionNumber", version.number)
            .maybe("versionDescription", version.description.as_ref())
            .text("createTime", date(version.created))
            .text(
                "createdBy",
                format_args!("arn:aws:iam::{}:user/simulated", self.owner),
            )
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
    fn template_id(
        &self,
        cx: &Context,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<String, ApiError> {
        match (id, name) {
            (Some(id), None) => {
                LAUNCH_TEMPLATE.check(id)?;
                let found = self
                    .launch_templates
                    .get(id)
                    .filter(|template| template.owner == cx.account);
                found
                    .map(|template| template.id.clone())
                    .ok_or_else(|| LAUNCH_TEMPLATE.not_found(id))
            }
            (None, Some(name)) => self
                .template_named(cx, name)
                .map(|template| template.id.clone())
                .ok_or_else(|| {
                    let message = format!(
                        "The specified launch template, with template name {name}, does not exist."
                    );
                    ApiError::new("InvalidLaunchTemplateName.NotFoundException", message)
                }),
            _ => Err(ApiError::combination(
                "Give either the id or the name of the launch template",
            )),
        }
    }

    fn template_named(&self, cx: &Context, name: &str) -> Option<&LaunchTemplate> {
        self.launch_templates
            .values()
            .find(|template| template.owner == cx.account && template.name == name)
    }

    fn template(
        &self,
        cx: &Context,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<&LaunchTemplate, ApiError> {
        let id = self.template_id(cx, id, name)?;
        self.launch_templates
            .get(&id)
            .ok_or_else(|| LAUNCH_TEMPLATE.not_found(&id))
    }

    fn template_mut(
        &mut self,
        cx: &Context,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<&mut LaunchTemplate, ApiError> {
        let id = self.template_id(cx, id, name)?;
        self.launch_templates
            .get_mut(&id)
            .ok_or_else(|| LAUNCH_TEMPLATE.not_found(&id))
    }

    /// The version of a template that a launch names.
    pub(crate) fn chosen_version(
        &self,
        cx: &Context,
        choice: &TemplateChoice,
    ) -> Result<&Version, ApiError> {
        let id = choice.launch_template_id.as_deref();
        self.template(cx, id, choice.launch_template_name.as_deref())?
            .version(choice.version.as_deref().unwrap_or("$Default"))
    }
}

impl World {
    pub(crate) fn create_launch_template(
        &mut self,
        cx: &Context,
        input: CreateLaunchTemplate,
    ) -> Result<Xml, ApiError> {
        let tags = tags::specified(
            &input.tag_specifications,
            &[&LAUNCH_TEMPLATE],
            &LAUNCH_TEMPLATE,
        )?;
        let id = self.ids.resource(&LAUNCH_TEMPLATE);
        let region = self.region_mut(cx)?;
        if region
            .template_named(cx, &input.launch_template_name)
            .is_some()
        {
            return Err(ApiError::new(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                format!(
                    "Launch template name {} is already in use",
                    input.launch_template_name
                ),
            ));
        }
        let description = input.version_description;
        let first = Version {
            number: 1,
            description,
            created: cx.now,
            data: input.launch_template_data,
        };
        let template = LaunchTemplate {
            id: id.clone(),
            owner: cx.account.clone(),
            name: input.launch_template_name,
            created: cx.now,
            default_version: 1,
            versions: BTreeMap::from([(1, first)]),
            tags,
        };
        let mut x = Xml::new();
        x.nest("launchTemplate", |x| template.write(x));
        region.launch_templates.insert(id, template);
        Ok(x)
    }

    pub(crate) fn create_launch_template_version(
        &mut self,
        cx: &Context,
        input: CreateVersion,
    ) -> Result<Xml, ApiError> {
        let (id, name) = (
            input.launch_template_id.as_deref(),
            input.launch_template_name.as_deref(),
        );
        let template = self.region_mut(cx)?.template_mut(cx, id, name)?;
        let base = match &input.source_version {
            Some(version) => template.version(version)?.data.clone(),
            None => TemplateData::default(),
        };
        let data = input.launch_template_data;
        let version = Version {
            number: template.latest() + 1,
            description: input.version_description,
            created: cx.now,
            data: TemplateData {
                image_id: data.image_id.or(base.image_id),
                instance_type: data.instance_type.or(base.instance_type),
                key_name: data.key_name.or(base.key_name),
                user_data: data.user_data.or(base.user_data),
                ebs_optimized: data.ebs_optimized.or(base.ebs_optimized),
            },
        };
        let mut x = Xml::new();
        x.nest("launchTemplateVersion", |x| {
            template.write_version(x, &version)
        });
        template.versions.insert(version.number, version);
        Ok(x)
    }

    pub(crate) fn modify_launch_template(
        &mut self,
        cx: &Context,
        input: ModifyLaunchTemplate,
    ) -> Result<Xml, ApiError> {
        let (id, name) = (
            input.launch_template_id.as_deref(),
            input.launch_template_name.as_deref(),
        );
        let template = self.region_mut(cx)?.template_mut(cx, id, name)?;
        template.default_version = template.version(&input.default_version)?.number;
        let mut x = Xml::new();
        x.nest("launchTemplate", |x| template.write(x));
        Ok(x)
    }

    pub(crate) fn describe_launch_templates(
        &mut self,
        cx: &Context,
        input: DescribeLaunchTemplates,
    ) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 1..=200)?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        input
            .ids
            .iter()
            .try_for_each(|id| region.template(cx, Some(id), None).map(|_| ()))?;
        input
            .names
            .iter()
            .try_for_each(|name| region.template(cx, None, Some(name)).map(|_| ()))?;
        let (page, token) = paging.page(&region.launch_templates, |template| {
            template.owner == cx.account
                && (input.ids.is_empty() || input.ids.contains(&template.id))
                && (input.names.is_empty() || input.names.contains(&template.name))
                && matcher.passes(template)
        });
        let mut x = Xml::new();
        x.list("launchTemplates", page, |x, template| template.write(x));
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn describe_launch_template_versions(
        &mut self,
        cx: &Context,
        input: DescribeVersions,
    ) -> Result<Xml, ApiError> {
        let (id, name) = (
            input.launch_template_id.as_deref(),
            input.launch_template_name.as_deref(),
        );
        let template = self.region(cx)?.template(cx, id, name)?;
        let versions: Vec<&Version> = if input.versions.is_empty() {
            template.versions.values().rev().collect()
        } else {
            input
                .versions
                .iter()
                .map(|version| template.version(version))
                .collect::<Result<_, _>>()?
        };
        let mut x = Xml::new();
        x.list("launchTemplateVersionSet", versions, |x, version| {
            template.write_version(x, version)
        });
        Ok(x)
    }

    pub(crate) fn delete_launch_template(
        &mut self,
        cx: &Context,
        input: TemplateInput,
    ) -> Result<Xml, ApiError> {
        let (id, name) = (
            input.launch_template_id.as_deref(),
            input.launch_template_name.as_deref(),
        );
        let region = self.region_mut(cx)?;
        let id = region.template_id(cx, id, name)?;
        let mut x = Xml::new();
        if let Some(template) = region.launch_templates.remove(&id) {
            x.nest("launchTemplate", |x| template.write(x));
        }
        Ok(x)
    }
}
