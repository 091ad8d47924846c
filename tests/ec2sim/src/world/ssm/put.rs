//! PutParameter. What a call gives the data type `aws:ec2:image` is validated after the call was answered: it is written
//! only if the image exists and is available. A call that leaves out the data type asks for no validation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::ssm::names;
use crate::world::ssm::policies;
use crate::world::ssm::secrets::{DEFAULT_KEY, SECRET};
use crate::world::ssm::tagging::as_ssm_says;
use crate::world::ssm::{IMAGE_TYPE, Parameter, Parameters, TEXT_TYPE, Version};
use crate::world::tags::{self, Tag, Tags};

const STANDARD: &str = "Standard";
const ADVANCED: &str = "Advanced";
const INTELLIGENT: &str = "Intelligent-Tiering";
/// The data types that are not simulated:
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>.
const OTHER_TYPES: [&str; 14] = [
    "aws:ssm:integration",
    "aws:region",
    "aws:account:id",
    "boolean",
    "integer",
    "float",
    "binary",
    "hostname",
    "email",
    "ipv4-address",
    "ipv6-address",
    "url",
    "json",
    "jsonc",
];
const MAX_VERSIONS: usize = 100;
const MAX_DESCRIPTION: usize = 1024;
const MAX_STANDARD_VALUE: usize = 4096;
const MAX_ADVANCED_VALUE: usize = 8192;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct PutParameter {
    name: String,
    value: String,
    r#type: Option<String>,
    description: Option<String>,
    key_id: Option<String>,
    #[serde(default)]
    overwrite: bool,
    allowed_pattern: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    tier: Option<String>,
    policies: Option<String>,
    data_type: Option<String>,
}

/// What is written once it is checked.
#[derive(Debug)]
struct Checked {
    input: PutParameter,
    tags: Tags,
    /// Without them those stay that are there.
    policies: Option<Vec<Value>>,
}

/// A parameter whose validation is under way.
#[derive(Debug)]
pub(crate) struct LandingParameter {
    cx: Context,
    checked: Checked,
}

impl World {
    pub(crate) fn put_parameter(&mut self, cx: &Context, mut input: PutParameter) -> Result<Value, ApiError> {
        // Spaces at its ends are not part of the name: so the API reference has it.
        input.name = input.name.trim_matches(' ').to_owned();
        input.check()?;
        let mut tags = Tags::new();
        tags::add(&mut tags, &input.tags).map_err(as_ssm_says)?;
        let policies = input.policies.as_deref().map(policies::read).transpose()?;
        let existing = self.parameters(cx)?.0.get(&input.name);
        input.check_against(existing)?;
        let version = existing.and_then(Parameter::latest).map_or(1, |latest| latest.number + 1);
        let asked = policies.as_deref().unwrap_or_default();
        let tier = input.tier_for(existing, asked);
        if tier != ADVANCED && !asked.is_empty() {
            return Err(ApiError::validation(
                "Standard tier parameters do not support parameter policies. To assign policies, upgrade the parameter to \
                 use the advanced-parameter tier.",
            ));
        }
        input.check_size(&tier)?;
        let kind = input.r#type.as_deref().or(existing.map(|parameter| parameter.kind.as_str()));
        if kind == Some(SECRET) {
            let key = input.key_id.get_or_insert_with(|| DEFAULT_KEY.to_owned()).clone();
            self.check_secret_key(cx, &key)?;
        } else if input.key_id.is_some() {
            return Err(ApiError::validation("KeyId is required for SecureString type parameter only."));
        }
        let validated = input.data_type.as_deref() == Some(IMAGE_TYPE);
        let checked = Checked { input, tags, policies };
        if validated {
            let landing = LandingParameter { cx: cx.clone(), checked };
            if self.config.parameter_delay.is_zero() {
                self.land_parameter(cx.now, landing);
            } else {
                let at = after(cx.now, self.config.parameter_delay);
                self.agenda.add(at, Event::ParameterValidated(Box::new(landing)));
            }
        } else {
            self.parameters(cx)?.write(cx, cx.now, checked);
        }
        Ok(json!({"Version": version, "Tier": tier}))
    }

    /// Ends a validation: the value is written, or nobody ever hears of it again.
    pub(crate) fn land_parameter(&mut self, now: Timestamp, landing: LandingParameter) {
        let LandingParameter { cx, checked } = landing;
        let Ok(region) = self.region_mut(&cx) else {
            return;
        };
        if region.is_launchable(&cx, &checked.input.value) {
            region.holdings(&cx.account).parameters.write(&cx, now, checked);
        }
    }
}

impl Parameters {
    /// Writes a new version, and drops the oldest where there are too many.
    fn write(&mut self, cx: &Context, now: Timestamp, checked: Checked) {
        let Checked { input, tags, policies } = checked;
        let tier = input.tier_for(self.0.get(&input.name), policies.as_deref().unwrap_or_default());
        let parameter = self.0.entry(input.name.clone()).or_insert_with(|| Parameter {
            name: input.name.clone(),
            kind: input.r#type.clone().unwrap_or_else(|| "String".to_owned()),
            tier: STANDARD.to_owned(),
            versions: BTreeMap::new(),
            tags,
            policies: Vec::new(),
        });
        parameter.tier = tier;
        if let Some(policies) = policies {
            parameter.policies = policies;
        }
        let number = parameter.latest().map_or(1, |latest| latest.number + 1);
        // AWS does not document what a call means that leaves it out; here the parameter keeps the one it has.
        let data_type = input.data_type.unwrap_or_else(|| parameter.data_type().to_owned());
        let version = Version {
            number,
            value: input.value,
            data_type,
            description: input.description,
            allowed_pattern: input.allowed_pattern,
            key: input.key_id,
            modified: now,
            modified_by: cx.caller.arn.clone(),
            labels: Vec::new(),
        };
        parameter.versions.insert(number, version);
        while parameter.versions.len() > MAX_VERSIONS {
            parameter.versions.pop_first();
        }
    }
}

impl PutParameter {
    /// The tier that the parameter gets: the one asked for, or what its size or policies need. It does not go back to standard.
    fn tier_for(&self, existing: Option<&Parameter>, policies: &[Value]) -> String {
        let advanced = existing.is_some_and(|parameter| parameter.tier == ADVANCED)
            || match self.tier.as_deref() {
                Some(INTELLIGENT) => self.value.len() > MAX_STANDARD_VALUE || !policies.is_empty(),
                tier => tier == Some(ADVANCED),
            };
        if advanced { ADVANCED.to_owned() } else { STANDARD.to_owned() }
    }

    /// The rules of <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>.
    fn check(&self) -> Result<(), ApiError> {
        names::check_new(&self.name)?;
        if self.overwrite && !self.tags.is_empty() {
            return Err(ApiError::validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
                 remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
                 RemoveTagsFromResource.",
            ));
        }
        one_of("Type", self.r#type.as_deref(), &["String", "StringList", SECRET])?;
        one_of("Tier", self.tier.as_deref(), &[STANDARD, ADVANCED, INTELLIGENT])?;
        self.data_type.as_deref().map_or(Ok(()), check_known_type)?;
        if self.data_type.as_deref() == Some(IMAGE_TYPE) && self.r#type.as_deref().is_some_and(|t| t != "String") {
            return Err(ApiError::validation(format!("The data type {IMAGE_TYPE} needs the type String")));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            return Err(ApiError::validation(format!("The description is longer than {MAX_DESCRIPTION} characters")));
        }
        // Parameters do not refer to each other.
        if self.value.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}")) {
            return Err(ApiError::validation(
                "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
            ));
        }
        self.check_pattern()
    }

    /// The tier that the parameter gets says how large its value can be.
    fn check_size(&self, tier: &str) -> Result<(), ApiError> {
        let most = if tier == ADVANCED { MAX_ADVANCED_VALUE } else { MAX_STANDARD_VALUE };
        if self.value.is_empty() || self.value.len() > most {
            return Err(ApiError::validation(format!("The value must have between 1 and {most} characters")));
        }
        Ok(())
    }

    fn check_pattern(&self) -> Result<(), ApiError> {
        let Some(pattern) = &self.allowed_pattern else {
            return Ok(());
        };
        // The whole value has to match.
        let regex = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| ApiError::new("InvalidAllowedPatternException", error.to_string()))?;
        if regex.is_match(&self.value) {
            return Ok(());
        }
        Err(ApiError::new(
            "ParameterPatternMismatchException",
            format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
        ))
    }

    fn check_against(&self, existing: Option<&Parameter>) -> Result<(), ApiError> {
        let Some(parameter) = existing else {
            return match self.r#type {
                Some(_) => Ok(()),
                None => Err(ApiError::validation("A parameter type is required when you create a parameter.")),
            };
        };
        if !self.overwrite {
            return Err(ApiError::new(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to \
                 true.",
            ));
        }
        if self.r#type.as_ref().is_some_and(|kind| *kind != parameter.kind) {
            return Err(ApiError::new(
                "HierarchyTypeMismatchException",
                "Parameter Store does not support changing a parameter type in a hierarchy.",
            ));
        }
        self.check_data_type(parameter)?;
        if parameter.tier == ADVANCED && self.tier.as_deref() == Some(STANDARD) {
            return Err(ApiError::validation(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
                 advanced-parameter tier to the standard-parameter tier.",
            ));
        }
        let oldest = parameter.versions.values().next().filter(|version| !version.labels.is_empty());
        match oldest.filter(|_| parameter.versions.len() >= MAX_VERSIONS) {
            None => Ok(()),
            Some(Version { number, .. }) => Err(ApiError::new(
                "ParameterMaxVersionLimitExceeded",
                format!(
                    "You attempted to create a new version of {} by calling the PutParameter API with the overwrite \
                     flag. Version {number}, the oldest version, can't be deleted because it has a label associated \
                     with it. Move the label to another version of the parameter, and try again.",
                    self.name
                ),
            )),
        }
    }

    /// A parameter neither becomes nor ceases to be one of an image:
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>.
    fn check_data_type(&self, existing: &Parameter) -> Result<(), ApiError> {
        match self.data_type.as_deref().filter(|asked| *asked != existing.data_type()) {
            None => Ok(()),
            Some(asked) => Err(ApiError::validation(format!(
                "The data type of the parameter {} can't be changed from {} to {asked}. You must create a new, unique \
                 parameter.",
                self.name,
                existing.data_type()
            ))),
        }
    }
}

/// Refuses a data type that is not simulated, and in the words of AWS one that there is not.
fn check_known_type(asked: &str) -> Result<(), ApiError> {
    if [TEXT_TYPE, IMAGE_TYPE].contains(&asked) {
        return Ok(());
    }
    if OTHER_TYPES.contains(&asked) {
        return Err(ApiError::validation(format!("The data type {asked} is not simulated")));
    }
    Err(ApiError::validation(format!(
        "The following data type is not supported: {asked} (Data type names are all lowercase.)"
    )))
}

fn one_of(member: &str, value: Option<&str>, allowed: &[&str]) -> Result<(), ApiError> {
    match value {
        Some(value) if !allowed.contains(&value) => Err(ApiError::validation(format!(
            "Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy enum value set: {allowed:?}"
        ))),
        _ => Ok(()),
    }
}
