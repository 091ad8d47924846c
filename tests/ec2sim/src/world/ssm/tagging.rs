//! Tags of parameters.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::ssm::plain_name;
use crate::world::tags::{self, Tag, Tags};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Resource {
    resource_type: String,
    resource_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AddTags {
    resource_type: String,
    resource_id: String,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RemoveTags {
    resource_type: String,
    resource_id: String,
    tag_keys: Vec<String>,
}

/// SSM has the rules of EC2 for tags, and other codes:
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AddTagsToResource.html>.
pub(crate) fn as_ssm_says(error: ApiError) -> ApiError {
    match &*error.code {
        "TagLimitExceeded" => ApiError::new("TooManyTagsError", error.message),
        _ => ApiError::validation(error.message),
    }
}

impl World {
    pub(crate) fn add_parameter_tags(&mut self, cx: &Context, input: AddTags) -> Result<Value, ApiError> {
        let tags = self.parameter_tags(cx, &input.resource_type, &input.resource_id)?;
        tags::add(tags, &input.tags).map_err(as_ssm_says)?;
        Ok(json!({}))
    }

    pub(crate) fn remove_parameter_tags(&mut self, cx: &Context, input: RemoveTags) -> Result<Value, ApiError> {
        let tags = self.parameter_tags(cx, &input.resource_type, &input.resource_id)?;
        tags.retain(|key, _| !input.tag_keys.iter().any(|gone| gone == key));
        Ok(json!({}))
    }

    pub(crate) fn list_parameter_tags(&mut self, cx: &Context, input: Resource) -> Result<Value, ApiError> {
        let tags = self.parameter_tags(cx, &input.resource_type, &input.resource_id)?;
        let list: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"TagList": list}))
    }

    fn parameter_tags(&mut self, cx: &Context, resource_type: &str, id: &str) -> Result<&mut Tags, ApiError> {
        if resource_type != "Parameter" {
            return Err(ApiError::new(
                "InvalidResourceType",
                format!("The resource type {resource_type} is not simulated"),
            ));
        }
        let refused = |_| ApiError::new("InvalidResourceId", "The resource ID isn't valid.");
        self.parameters(cx)?.get_mut(&plain_name(id)).map(|parameter| &mut parameter.tags).map_err(refused)
    }
}
