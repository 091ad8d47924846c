//! The Parameter Store.

pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod labels;
pub(crate) mod names;
pub(crate) mod policies;
pub(crate) mod put;
pub(crate) mod read;
pub(crate) mod secrets;
pub(crate) mod tagging;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::image::ImageState;
use crate::world::region::Region;
use crate::world::tags::Tags;

pub(crate) use put::LandingParameter;

/// The data type whose values must be images that can be launched.
pub(crate) const IMAGE_TYPE: &str = "aws:ec2:image";
/// The data type of all others.
const TEXT_TYPE: &str = "text";

/// A parameter with the versions that are kept.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) tier: String,
    pub(crate) versions: BTreeMap<u64, Version>,
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<Value>,
}

/// One version of a parameter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) value: String,
    pub(crate) data_type: String,
    pub(crate) description: Option<String>,
    pub(crate) allowed_pattern: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) modified: Timestamp,
    pub(crate) modified_by: String,
    pub(crate) labels: Vec<String>,
}

impl Parameter {
    pub(crate) fn latest(&self) -> Option<&Version> {
        self.versions.values().next_back()
    }

    /// The data type, which all versions have in common; what has no version yet begins as text.
    fn data_type(&self) -> &str {
        self.latest().map_or(TEXT_TYPE, |version| &version.data_type)
    }

    /// The version that a selector names: a number or a label.
    fn select(&self, selector: Option<&str>) -> Result<&Version, ApiError> {
        let found = match selector {
            None => self.latest(),
            Some(selector) => match selector.parse() {
                Ok(number) => self.versions.get(&number),
                Err(_) => self.versions.values().find(|version| version.labels.iter().any(|l| l == selector)),
            },
        };
        found.ok_or_else(|| {
            ApiError::new(
                "ParameterVersionNotFound",
                format!("Systems Manager could not find version {} of {}.", selector.unwrap_or("1"), self.name),
            )
        })
    }
}

/// The parameters of an account in a region, by name.
#[derive(Debug, Default)]
pub(crate) struct Parameters(pub(crate) BTreeMap<String, Parameter>);

impl Parameters {
    fn get(&self, name: &str) -> Result<&Parameter, ApiError> {
        self.0.get(name).ok_or_else(not_found)
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut Parameter, ApiError> {
        self.0.get_mut(name).ok_or_else(not_found)
    }

    /// The parameter and version that `name`, `name:3`, `name:label` or an ARN of these names.
    fn find(&self, named: &str) -> Result<(&Parameter, &Version, Option<String>), ApiError> {
        let plain = plain_name(named);
        let (name, selector) = match plain.split_once(':') {
            Some((name, selector)) => (name, Some(selector)),
            None => (plain.as_str(), None),
        };
        // The ARN of a name at the root does not tell whether it begins with a slash.
        let rooted = || self.get(&format!("/{name}")).ok();
        let parameter = match named.starts_with("arn:").then(rooted).flatten() {
            Some(parameter) => parameter,
            None => self.get(name)?,
        };
        let version = parameter.select(selector)?;
        Ok((parameter, version, selector.map(|selector| format!(":{selector}"))))
    }

    /// The names of the parameters whose newest version names the image.
    pub(crate) fn naming_image(&self, image: &str) -> Vec<&str> {
        let names = |parameter: &&Parameter| {
            parameter.latest().is_some_and(|version| version.data_type == IMAGE_TYPE && version.value == image)
        };
        self.0.values().filter(names).map(|parameter| parameter.name.as_str()).collect()
    }
}

fn not_found() -> ApiError {
    ApiError::new("ParameterNotFound", "")
}

/// The name without the ARN around it.
fn plain_name(named: &str) -> String {
    match named.strip_prefix("arn:aws:ssm:").and_then(|rest| rest.split_once(":parameter")) {
        Some((_, name)) if name.matches('/').count() == 1 => name.trim_start_matches('/').to_owned(),
        Some((_, name)) => name.to_owned(),
        None => named.to_owned(),
    }
}

/// The ARN of a parameter: a name that begins with a slash does not get a second one.
fn arn(cx: &Context, name: &str) -> String {
    format!("arn:aws:ssm:{}:{}:parameter/{}", cx.region, cx.account, name.trim_start_matches('/'))
}

/// A moment as JSON carries it: seconds since 1970.
fn seconds(at: Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1000.0)
}

/// Leaves out what has no value.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

impl World {
    fn parameters(&mut self, cx: &Context) -> Result<&mut Parameters, ApiError> {
        Ok(&mut self.region_mut(cx)?.holdings(&cx.account).parameters)
    }
}

impl Region {
    /// The image that a launch names: an id, or `resolve:ssm:` and the name of a parameter, whose data type must be that of
    /// images: <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>.
    pub(crate) fn resolve_image(&self, cx: &Context, named: &str) -> Result<String, ApiError> {
        let Some(parameter) = named.strip_prefix("resolve:ssm:") else {
            return Ok(named.to_owned());
        };
        let refused = |sentence: String| Err(ApiError::new("SsmInvalidParameter", sentence));
        let found = self.accounts.get(&cx.account).and_then(|holdings| holdings.parameters.find(parameter).ok());
        match found {
            None => refused(format!("The following aliases are invalid: {named}")),
            Some((_, version, _)) if version.data_type != IMAGE_TYPE => refused(format!(
                "Unsupported data type. The following parameter data types are supported: {IMAGE_TYPE}"
            )),
            Some((_, version, _)) => Ok(version.value.clone()),
        }
    }

    /// Whether the value of an `aws:ec2:image` parameter is an image that the account can launch.
    fn is_launchable(&self, cx: &Context, value: &str) -> bool {
        self.visible_image(cx, value).is_ok_and(|image| image.state == ImageState::Available)
    }
}
