//! DescribeImageReferences: what of the caller's own uses an image.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::paging::Paging;
use crate::world::region::Region;

const MAX_IMAGES: usize = 10;
pub(crate) const INSTANCES: &str = "ec2:Instance";
pub(crate) const LAUNCH_TEMPLATES: &str = "ec2:LaunchTemplate";
const PARAMETERS: &str = "ssm:Parameter";
/// Image Builder is not simulated: its recipes are never found.
pub(crate) const TYPES: [&str; 5] =
    [INSTANCES, LAUNCH_TEMPLATES, PARAMETERS, "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];
/// The option that says how many of the newest versions of a launch template are looked at.
pub(crate) const VERSION_DEPTH: &str = "version-depth";
const USUAL_DEPTH: usize = 10;
const VERSION_DEPTHS: RangeInclusive<usize> = 1..=10_000;
const STATES: [&str; 6] = ["pending", "running", "shutting-down", "terminated", "stopping", "stopped"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeImageReferences {
    #[serde(rename = "ImageId")]
    image_ids: Vec<String>,
    #[serde(default)]
    include_all_resource_types: bool,
    #[serde(default, rename = "ResourceType")]
    types: Vec<ResourceType>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// A type of resource that is asked for, and how it is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ResourceType {
    resource_type: String,
    #[serde(default, rename = "ResourceTypeOption")]
    options: Vec<TypeOption>,
}

impl ResourceType {
    pub(crate) fn name(&self) -> &str {
        &self.resource_type
    }

    /// The names of the options that are given.
    pub(crate) fn options(&self) -> impl Iterator<Item = &str> {
        self.options.iter().map(|option| option.option_name.as_str())
    }

    /// How many of the newest versions of a launch template are looked at, or how many usually are.
    pub(crate) fn version_depth(&self, usual: usize) -> usize {
        let option = self.options.iter().find(|option| option.option_name == VERSION_DEPTH);
        option.and_then(|option| option.values.first()?.parse().ok()).unwrap_or(usual)
    }

    /// Refuses an option that the type does not have, or a value that the option does not have:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ResourceTypeOption.html>.
    pub(crate) fn check_options(&self) -> Result<(), ApiError> {
        for TypeOption { option_name, values } in &self.options {
            let known: fn(&str) -> bool = match (self.name(), option_name.as_str()) {
                (INSTANCES, "state-name") => |value| STATES.contains(&value),
                (LAUNCH_TEMPLATES, VERSION_DEPTH) => |value| value.parse().is_ok_and(|d| VERSION_DEPTHS.contains(&d)),
                _ => return Err(ApiError::invalid_value("OptionName", option_name)),
            };
            if let Some(value) = values.iter().find(|value| !known(value)) {
                return Err(ApiError::invalid_value(option_name, value));
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, x: &mut Xml) {
        x.text("resourceType", &self.resource_type);
        if !self.options.is_empty() {
            x.list("resourceTypeOptionSet", &self.options, |x, option| {
                x.text("optionName", &option.option_name).list("optionValueSet", &option.values, |x, value| {
                    x.raw(value);
                });
            });
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TypeOption {
    option_name: String,
    #[serde(default, rename = "OptionValue")]
    values: Vec<String>,
}

/// One use of an image.
struct Reference<'a> {
    image: &'a str,
    resource_type: &'static str,
    arn: String,
}

impl World {
    pub(crate) fn describe_image_references(
        &mut self,
        cx: &Context,
        input: DescribeImageReferences,
    ) -> Result<Xml, ApiError> {
        input.check()?;
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 5..=1000)?.configured(&self.config);
        let region = self.region(cx)?;
        let mut references = BTreeMap::new();
        for image in &input.image_ids {
            region.visible_image(cx, image)?;
            for reference in references_to(region, cx, image, &input)? {
                references.insert(format!("{image} {}", reference.arn), reference);
            }
        }
        let (page, token) = paging.page(&references, |_| true);
        let mut x = Xml::new();
        x.list("imageReferenceSet", page, |x, reference| {
            x.text("imageId", reference.image)
                .text("resourceType", reference.resource_type)
                .text("arn", &reference.arn);
        });
        x.maybe("nextToken", token);
        Ok(x)
    }
}

impl DescribeImageReferences {
    fn check(&self) -> Result<(), ApiError> {
        if self.image_ids.is_empty() || self.image_ids.len() > MAX_IMAGES {
            return Err(ApiError::invalid(format!("Give between 1 and {MAX_IMAGES} image ids")));
        }
        // With both, the options given replace the usual ones of their types.
        if !self.include_all_resource_types && self.types.is_empty() {
            return Err(ApiError::combination("Give IncludeAllResourceTypes or ResourceTypes"));
        }
        if let Some(unknown) = self.types.iter().find(|t| !TYPES.contains(&t.resource_type.as_str())) {
            return Err(ApiError::invalid_value("ResourceType", &unknown.resource_type));
        }
        self.types.iter().try_for_each(ResourceType::check_options)
    }

    /// Whether resources of a type are asked for.
    fn wants(&self, name: &str) -> bool {
        self.include_all_resource_types || self.types.iter().any(|t| t.resource_type == name)
    }

    /// The values of an option of a type.
    fn option(&self, resource_type: &str, option: &str) -> Option<&[String]> {
        let asked = self.types.iter().find(|t| t.resource_type == resource_type)?;
        asked.options.iter().find(|o| o.option_name == option).map(|o| o.values.as_slice())
    }

    /// How many of the newest versions of a launch template are looked at.
    fn version_depth(&self) -> usize {
        let asked = self.types.iter().find(|t| t.resource_type == LAUNCH_TEMPLATES);
        asked.map_or(USUAL_DEPTH, |asked| asked.version_depth(USUAL_DEPTH))
    }
}

fn references_to<'a>(
    region: &Region,
    cx: &Context,
    image: &'a str,
    input: &DescribeImageReferences,
) -> Result<Vec<Reference<'a>>, ApiError> {
    let mut found = Vec::new();
    let place = format!("{}:{}", region.name, cx.account);
    if input.wants(INSTANCES) {
        let states = input.option(INSTANCES, "state-name");
        let counts = |state: &str| states.is_none_or(|states| states.iter().any(|wanted| wanted == state));
        let users = region.instances.values().filter(|instance| {
            instance.owner == cx.account
                && instance.image == image
                && instance.is_shown(cx.now)
                && counts(instance.state(cx.now).name)
        });
        found.extend(users.map(|instance| Reference {
            image,
            resource_type: INSTANCES,
            arn: format!("arn:aws:ec2:{place}:instance/{}", instance.id),
        }));
    }
    if input.wants(LAUNCH_TEMPLATES) {
        let depth = input.version_depth();
        let users = region.launch_templates.values().filter(|template| {
            let mut newest = template.versions.values().rev().take(depth);
            template.owner == cx.account && newest.any(|version| version.data.image_id.as_deref() == Some(image))
        });
        found.extend(users.map(|template| Reference {
            image,
            resource_type: LAUNCH_TEMPLATES,
            arn: format!("arn:aws:ec2:{place}:launch-template/{}", template.id),
        }));
    }
    if input.wants(PARAMETERS) {
        let parameters = region.accounts.get(&cx.account).map(|holdings| &holdings.parameters);
        let users = parameters.into_iter().flat_map(|parameters| parameters.naming_image(image));
        found.extend(users.map(|name| Reference {
            image,
            resource_type: PARAMETERS,
            arn: format!("arn:aws:ssm:{place}:parameter/{}", name.trim_start_matches('/')),
        }));
    }
    Ok(found)
}
