//! DeleteParameter and DeleteParameters.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::ssm::names;
use crate::world::ssm::not_found;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeleteParameter {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeleteParameters {
    names: Vec<String>,
}

impl World {
    pub(crate) fn delete_parameter(&mut self, cx: &Context, input: DeleteParameter) -> Result<Value, ApiError> {
        names::check(&input.name)?;
        names::check_reserved(&input.name)?;
        self.parameters(cx)?.0.remove(&input.name).ok_or_else(not_found)?;
        Ok(json!({}))
    }

    /// What is not the name of a parameter is answered as invalid:
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameters.html>.
    pub(crate) fn delete_parameters(&mut self, cx: &Context, input: DeleteParameters) -> Result<Value, ApiError> {
        if !(1..=10).contains(&input.names.len()) {
            return Err(ApiError::validation("Give between 1 and 10 names"));
        }
        let parameters = self.parameters(cx)?;
        let (deleted, invalid): (Vec<String>, Vec<String>) =
            input.names.into_iter().partition(|name| parameters.0.remove(name).is_some());
        Ok(json!({"DeletedParameters": deleted, "InvalidParameters": invalid}))
    }
}
