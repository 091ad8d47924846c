//! Operations on the versions of launch templates.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::written as date;
use crate::world::filters::{Filter, Filtered, Matcher, Values, maybe, one, written};
use crate::world::launch_template::{LaunchTemplate, TemplateData, Version};
use crate::world::paging::Paging;
use crate::world::tags::Tags;

const CREATE: &str = "CreateLaunchTemplateVersion";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html>.
const MAX_DELETED: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateVersion {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    source_version: Option<String>,
    version_description: Option<String>,
    launch_template_data: TemplateData,
    client_token: Option<String>,
    #[serde(rename = "ResolveAlias")]
    _resolve_alias: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeVersions {
    #[serde(rename = "IncludeManagedResources")]
    _include_managed: Option<bool>,
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(default, rename = "LaunchTemplateVersion")]
    versions: Vec<String>,
    min_version: Option<u64>,
    max_version: Option<u64>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default)]
    resolve_alias: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeleteVersions {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(default, rename = "LaunchTemplateVersion")]
    versions: Vec<String>,
}

/// A version with its template.
struct Listed {
    template: LaunchTemplate,
    version: Version,
}

/// Versions have no tags.
static NO_TAGS: Tags = Tags::new();

impl Filtered for Listed {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("create-time", |v| written(date(v.version.created))),
        ("http-endpoint", |v| maybe(v.version.data.member(&["MetadataOptions", "HttpEndpoint"]))),
        ("http-tokens", |v| maybe(v.version.data.member(&["MetadataOptions", "HttpTokens"]))),
        ("iam-instance-profile", |v| {
            let name = v.version.data.member(&["IamInstanceProfile", "Name"]);
            maybe(name.or_else(|| v.version.data.member(&["IamInstanceProfile", "Arn"])))
        }),
        ("kernel-id", |v| maybe(v.version.data.member(&["KernelId"]))),
        ("ram-disk-id", |v| maybe(v.version.data.member(&["RamDiskId"]))),
        ("ebs-optimized", |v| written(v.version.data.says("EbsOptimized"))),
        ("image-id", |v| maybe(v.version.data.image_id.as_deref())),
        ("instance-type", |v| maybe(v.version.data.instance_type.as_deref())),
        ("is-default-version", |v| {
            one(match v.version.number == v.template.default_version {
                true => "true",
                false => "false",
            })
        }),
    ];

    fn is_absent(name: &str) -> bool {
        matches!(name, "host-resource-group-arn" | "license-configuration-arn" | "network-card-index")
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl World {
    pub(crate) fn create_launch_template_version(
        &mut self,
        cx: &Context,
        input: CreateVersion,
    ) -> Result<Xml, ApiError> {
        let asked = format!("{input:?}");
        let token = input.client_token.clone();
        let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
        let mut x = Xml::new();
        if let Some(made) = self.remembered(cx, CREATE, token.as_deref(), &asked)? {
            let template = self.region(cx)?.template(cx, id, name)?;
            let version = template.version(&made.concat())?;
            x.nest("launchTemplateVersion", |x| template.write_version(x, version));
            return Ok(x);
        }
        input.launch_template_data.check()?;
        self.region(cx)?.check_template_image(cx, &input.launch_template_data)?;
        let template = self.region_mut(cx)?.template_mut(cx, id, name)?;
        let base = match &input.source_version {
            Some(version) => template.version(version)?.data.clone(),
            None => TemplateData::default(),
        };
        let version = Version {
            number: template.last + 1,
            description: input.version_description,
            created: cx.now,
            data: input.launch_template_data.over(base),
        };
        x.nest("launchTemplateVersion", |x| template.write_version(x, &version));
        let made = vec![version.number.to_string()];
        template.last = version.number;
        template.versions.insert(version.number, version);
        self.remember(cx, CREATE, token.as_deref(), asked, made)?;
        Ok(x)
    }

    /// The versions of one template, or of all templates their newest or default ones.
    pub(crate) fn describe_launch_template_versions(
        &mut self,
        cx: &Context,
        input: DescribeVersions,
    ) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 1..=200)?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
        let templates: Vec<&LaunchTemplate> = if id.is_some() || name.is_some() {
            vec![region.template(cx, id, name)?]
        } else {
            let all = input.versions.iter().all(|v| v == "$Latest" || v == "$Default");
            if input.versions.is_empty() || !all {
                return Err(ApiError::missing("LaunchTemplateId"));
            }
            let templates = region.launch_templates.values();
            templates.filter(|t| t.owner == cx.account).collect()
        };
        let mut listed = BTreeMap::new();
        for template in templates {
            for version in input.versions_of(template)? {
                // The newest comes first, and pages go by the order of keys.
                let key = format!("{} {:020}", template.id, u64::MAX - version.number);
                let mut version = version.clone();
                if let Some(image) = version.data.image_id.as_mut().filter(|_| input.resolve_alias) {
                    *image = region.resolve_image(cx, image)?;
                }
                let template = template.clone();
                listed.insert(key, Listed { template, version });
            }
        }
        let (page, token) = paging.page(&listed, |listed| matcher.passes(listed, &cx.account));
        let mut x = Xml::new();
        x.list("launchTemplateVersionSet", page, |x, listed| listed.template.write_version(x, &listed.version));
        x.maybe("nextToken", token);
        Ok(x)
    }

    /// Deletes versions and answers for each; the default version stays.
    pub(crate) fn delete_launch_template_versions(
        &mut self,
        cx: &Context,
        input: DeleteVersions,
    ) -> Result<Xml, ApiError> {
        let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
        let template = self.region_mut(cx)?.template_mut(cx, id, name)?;
        let (mut deleted, mut kept) = (Vec::new(), Vec::new());
        for number in input.numbers()? {
            if number == template.default_version {
                kept.push((number, "unexpectedError", "The default version cannot be deleted"));
            } else if template.versions.remove(&number).is_some() {
                deleted.push(number);
            } else {
                kept.push((number, "launchTemplateVersionDoesNotExist", "The version does not exist"));
            }
        }
        let mut x = Xml::new();
        let names = |x: &mut Xml| {
            x.text("launchTemplateId", &template.id).text("launchTemplateName", &template.name);
        };
        x.list("successfullyDeletedLaunchTemplateVersionSet", deleted, |x, number| {
            names(x);
            x.text("versionNumber", number);
        });
        x.list("unsuccessfullyDeletedLaunchTemplateVersionSet", kept, |x, (number, code, message)| {
            names(x);
            x.text("versionNumber", number).nest("responseError", |x| {
                x.text("code", code).text("message", message);
            });
        });
        Ok(x)
    }
}

impl DeleteVersions {
    /// The versions, which this operation takes as numbers alone; `$Latest` and `$Default` are none.
    fn numbers(&self) -> Result<Vec<u64>, ApiError> {
        if self.versions.len() > MAX_DELETED {
            return Err(ApiError::invalid(format!("At most {MAX_DELETED} versions can be deleted at once")));
        }
        let number =
            |version: &String| version.parse().map_err(|_| ApiError::invalid_value("LaunchTemplateVersion", version));
        self.versions.iter().map(number).collect()
    }
}

impl DescribeVersions {
    fn versions_of<'t>(&self, template: &'t LaunchTemplate) -> Result<Vec<&'t Version>, ApiError> {
        if self.versions.is_empty() {
            let within = |version: &&Version| {
                self.min_version.is_none_or(|least| version.number >= least)
                    && self.max_version.is_none_or(|most| version.number <= most)
            };
            return Ok(template.versions.values().filter(within).collect());
        }
        let versions = self.versions.iter();
        versions.map(|version| template.version(version)).collect()
    }
}
