//! Operations on launch templates.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Matcher};
use crate::world::ids::LAUNCH_TEMPLATE;
use crate::world::launch_template::{LaunchTemplate, TemplateData, Version};
use crate::world::paging::Paging;
use crate::world::tags::{self, TagSpecification};
use crate::world::tokens;

const CREATE: &str = "CreateLaunchTemplate";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateLaunchTemplate {
    launch_template_name: String,
    version_description: Option<String>,
    launch_template_data: TemplateData,
    client_token: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifyLaunchTemplate {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(rename = "SetDefaultVersion")]
    default_version: String,
    client_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeLaunchTemplates {
    #[serde(rename = "IncludeManagedResources")]
    _include_managed: Option<bool>,
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
pub(crate) struct TemplateInput {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
}

impl World {
    pub(crate) fn create_launch_template(
        &mut self,
        cx: &Context,
        input: CreateLaunchTemplate,
    ) -> Result<Xml, ApiError> {
        let asked = format!("{input:?}");
        let token = input.client_token.clone();
        if let Some(made) = self.remembered(cx, CREATE, token.as_deref(), &asked)? {
            let template = self.region(cx)?.template(cx, Some(&made.concat()), None)?;
            let mut x = Xml::new();
            x.nest("launchTemplate", |x| template.write(x));
            return Ok(x);
        }
        check_name(&input.launch_template_name)?;
        input.launch_template_data.check()?;
        self.region(cx)?.check_template_image(cx, &input.launch_template_data)?;
        let tags = tags::specified(&input.tag_specifications, &[&LAUNCH_TEMPLATE], &LAUNCH_TEMPLATE)?;
        let id = self.ids.resource(&LAUNCH_TEMPLATE);
        let region = self.region_mut(cx)?;
        if region.template_named(cx, &input.launch_template_name).is_some() {
            return Err(ApiError::new(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                format!("Launch template name {} is already in use", input.launch_template_name),
            ));
        }
        let description = input.version_description;
        let first = Version { number: 1, description, created: cx.now, data: input.launch_template_data };
        let template = LaunchTemplate {
            id: id.clone(),
            owner: cx.account.clone(),
            name: input.launch_template_name,
            created: cx.now,
            default_version: 1,
            last: 1,
            versions: BTreeMap::from([(1, first)]),
            tags,
        };
        let mut x = Xml::new();
        x.nest("launchTemplate", |x| template.write(x));
        region.launch_templates.insert(id.clone(), template);
        self.remember(cx, CREATE, token.as_deref(), asked, vec![id])?;
        Ok(x)
    }

    pub(crate) fn modify_launch_template(
        &mut self,
        cx: &Context,
        input: ModifyLaunchTemplate,
    ) -> Result<Xml, ApiError> {
        // Nothing more is to be said of the token: to choose a version twice is to choose it once.
        input.client_token.as_deref().map_or(Ok(()), |token| tokens::check("ModifyLaunchTemplate", token))?;
        let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
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
        input.ids.iter().try_for_each(|id| region.template(cx, Some(id), None).map(|_| ()))?;
        input.names.iter().try_for_each(|name| region.template(cx, None, Some(name)).map(|_| ()))?;
        let (page, token) = paging.page(&region.launch_templates, |template| {
            template.owner == cx.account
                && (input.ids.is_empty() || input.ids.contains(&template.id))
                && (input.names.is_empty() || input.names.contains(&template.name))
                && matcher.passes(template, &cx.account)
        });
        let mut x = Xml::new();
        x.list("launchTemplates", page, |x, template| template.write(x));
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn delete_launch_template(&mut self, cx: &Context, input: TemplateInput) -> Result<Xml, ApiError> {
        let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
        let region = self.region_mut(cx)?;
        let id = region.template_id(cx, id, name)?;
        let mut x = Xml::new();
        if let Some(template) = region.launch_templates.remove(&id) {
            x.nest("launchTemplate", |x| template.write(x));
        }
        Ok(x)
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidLaunchTemplateName.MalformedException",
        "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the \
         following characters: ( ) . - / _",
    ))
}
