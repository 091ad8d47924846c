//! DescribeParameters and the filters of parameters.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::paging::Paging;
use crate::world::ssm::policies;
use crate::world::ssm::{Parameter, Version, arn, seconds, without_nulls};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ParameterFilter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeParameters {
    #[serde(default)]
    parameter_filters: Vec<ParameterFilter>,
    /// The older form of filters: only equality.
    #[serde(default)]
    filters: Vec<ParameterFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    shared: bool,
}

/// Refuses a filter that the operation does not have:
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html>.
pub(crate) fn check_filters(filters: &[ParameterFilter], keys: &[&str]) -> Result<(), ApiError> {
    for (at, filter) in filters.iter().enumerate() {
        if filters[..at].iter().any(|other| other.key == filter.key) {
            return Err(ApiError::new(
                "InvalidFilterKey",
                format!(
                    "The following filter is duplicated in the request: {}. A request can contain only one occurrence \
                     of a specific filter.",
                    filter.key
                ),
            ));
        }
        let known = keys.contains(&filter.key.as_str()) || (keys.contains(&"tag:") && filter.key.starts_with("tag:"));
        if !known {
            return Err(ApiError::new("InvalidFilterKey", format!("The filter key {} is not valid.", filter.key)));
        }
        let allowed: &[&str] = match filter.key.as_str() {
            "Name" => &["Equals", "BeginsWith", "Contains"],
            "Path" => &["OneLevel", "Recursive"],
            "Label" => &["Equals"],
            _ => &["Equals", "BeginsWith"],
        };
        // The first is meant where none is named.
        let option = filter.option.as_deref().unwrap_or(allowed[0]);
        if !allowed.contains(&option) {
            return Err(ApiError::new("InvalidFilterOption", format!("The filter option {option} is not valid.")));
        }
        if filter.values.is_empty() && !filter.key.starts_with("tag:") {
            return Err(ApiError::new("InvalidFilterValue", format!("The filter {} has no value.", filter.key)));
        }
    }
    Ok(())
}

impl ParameterFilter {
    /// Whether the filter looks for versions, and not for what is true of the parameter or its latest version.
    pub(crate) fn is_of_versions(&self) -> bool {
        self.key == "Label"
    }

    pub(crate) fn passes(&self, parameter: &Parameter, version: &Version) -> bool {
        let owned: Vec<&str> = match self.key.as_str() {
            "Name" => vec![&parameter.name],
            "Type" => vec![&parameter.kind],
            "Tier" => vec![&parameter.tier],
            "Path" => {
                return self.values.iter().any(|path| self.is_below(path, &parameter.name));
            }
            "KeyId" => version.key.as_deref().into_iter().collect(),
            "DataType" => vec![&version.data_type],
            "Label" => version.labels.iter().map(String::as_str).collect(),
            key => {
                let value = key.strip_prefix("tag:").and_then(|tag| parameter.tags.get(tag));
                if self.values.is_empty() {
                    return value.is_some();
                }
                value.into_iter().collect()
            }
        };
        owned.iter().any(|value| self.values.iter().any(|wanted| self.matches(value, wanted)))
    }

    fn matches(&self, value: &str, wanted: &str) -> bool {
        // A name is found with and without its leading slash.
        let slash = |wanted: &str| format!("/{wanted}");
        match self.option.as_deref() {
            Some("BeginsWith") => value.starts_with(wanted) || value.starts_with(&slash(wanted)),
            Some("Contains") => value.contains(wanted),
            _ => value == wanted,
        }
    }

    fn is_below(&self, path: &str, name: &str) -> bool {
        let below = name.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|rest| self.option.as_deref() == Some("Recursive") || !rest.contains('/'))
    }
}

impl World {
    pub(crate) fn describe_parameters(&mut self, cx: &Context, input: DescribeParameters) -> Result<Value, ApiError> {
        let keys = ["Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag:"];
        check_filters(&input.parameter_filters, &keys)?;
        check_filters(&input.filters, &["Name", "Type", "KeyId"])?;
        let paging = Paging::ssm(input.max_results, input.next_token.as_deref(), 50)?;
        let parameters = self.parameters(cx)?;
        let filters = input.parameter_filters.iter().chain(&input.filters);
        // Nothing is shared between accounts.
        let passes =
            |parameter: &Parameter, latest: &Version| filters.clone().all(|filter| filter.passes(parameter, latest));
        let keep =
            |parameter: &Parameter| !input.shared && parameter.latest().is_some_and(|latest| passes(parameter, latest));
        let (page, token) = paging.page(&parameters.0, keep);
        let describe = |parameter: &Parameter| {
            let latest = parameter.latest()?;
            Some(without_nulls(json!({
                "Name": parameter.name,
                "ARN": arn(cx, &parameter.name),
                "Type": parameter.kind,
                "KeyId": latest.key,
                "LastModifiedDate": seconds(latest.modified),
                "LastModifiedUser": latest.modified_by,
                "Description": latest.description,
                "AllowedPattern": latest.allowed_pattern,
                "Version": latest.number,
                "Tier": parameter.tier,
                "Policies": policies::written(&parameter.policies),
                "DataType": latest.data_type,
            })))
        };
        let page: Vec<Value> = page.into_iter().filter_map(describe).collect();
        Ok(without_nulls(json!({"Parameters": page, "NextToken": token})))
    }
}
