//! GetParameter, GetParameters, GetParametersByPath, GetParameterHistory.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::paging::Paging;
use crate::world::ssm::describe::{ParameterFilter, check_filters};
use crate::world::ssm::names;
use crate::world::ssm::policies;
use crate::world::ssm::secrets::SECRET;
use crate::world::ssm::{Parameter, Version, arn, plain_name, seconds, without_nulls};

const MAX_NAMES: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetParameter {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetParameters {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetParametersByPath {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    parameter_filters: Vec<ParameterFilter>,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetParameterHistory {
    name: String,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn value(cx: &Context, parameter: &Parameter, version: &Version, selector: Option<String>, decrypted: bool) -> Value {
    without_nulls(json!({
        "Name": parameter.name,
        "Type": parameter.kind,
        "Value": shown(parameter, version, decrypted),
        "Version": version.number,
        "Selector": selector,
        "LastModifiedDate": seconds(version.modified),
        "ARN": arn(cx, &parameter.name),
        "DataType": version.data_type,
    }))
}

/// The value, or of a secret what stands for its ciphertext.
fn shown(parameter: &Parameter, version: &Version, decrypted: bool) -> String {
    if parameter.kind != SECRET || decrypted {
        return version.value.clone();
    }
    let hex: String = version.value.bytes().map(|b| format!("{b:02x}")).collect();
    format!("AQICAH{hex}")
}

/// The keys that it takes to show versions decrypted; only secrets have one.
fn keys_of<'v>(versions: impl IntoIterator<Item = &'v Version>, decrypted: bool) -> Vec<String> {
    versions.into_iter().filter(|_| decrypted).filter_map(|version| version.key.clone()).collect()
}

impl Parameter {
    /// The versions that filters find: all that have the label that is asked for, and without one only the latest.
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html>.
    fn found_by(&self, filters: &[ParameterFilter]) -> impl Iterator<Item = &Version> {
        let newest = if filters.iter().any(ParameterFilter::is_of_versions) { self.versions.len() } else { 1 };
        let asked = self.versions.values().rev().take(newest);
        asked.filter(|version| filters.iter().all(|filter| filter.passes(self, version)))
    }
}

impl World {
    /// Refuses to decrypt where one of the keys cannot be used.
    fn check_decryption(&self, cx: &Context, keys: &[String]) -> Result<(), ApiError> {
        keys.iter().try_for_each(|key| self.check_secret_key(cx, key))
    }

    pub(crate) fn get_parameter(&mut self, cx: &Context, input: GetParameter) -> Result<Value, ApiError> {
        names::check_named(&input.name)?;
        let (parameter, version, selector) = self.parameters(cx)?.find(&input.name)?;
        let keys = keys_of([version], input.with_decryption);
        let found = value(cx, parameter, version, selector, input.with_decryption);
        self.check_decryption(cx, &keys)?;
        Ok(json!({"Parameter": found}))
    }

    pub(crate) fn get_parameters(&mut self, cx: &Context, input: GetParameters) -> Result<Value, ApiError> {
        if input.names.is_empty() || input.names.len() > MAX_NAMES {
            return Err(ApiError::validation(format!(
                "Value at 'names' failed to satisfy constraint: Member must have between 1 and {MAX_NAMES} members"
            )));
        }
        let parameters = self.parameters(cx)?;
        let mut found = Vec::new();
        let mut invalid = Vec::new();
        for name in &input.names {
            match parameters.find(name) {
                Ok(one) => found.push(one),
                Err(_) => invalid.push(name),
            }
        }
        // In the order of the names, whatever the order of the call.
        found.sort_by(|(one, ..), (other, ..)| one.name.cmp(&other.name));
        let keys = keys_of(found.iter().map(|(_, version, _)| *version), input.with_decryption);
        let found: Vec<Value> = found
            .into_iter()
            .map(|(parameter, version, selector)| value(cx, parameter, version, selector, input.with_decryption))
            .collect();
        self.check_decryption(cx, &keys)?;
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
    }

    pub(crate) fn get_parameters_by_path(
        &mut self,
        cx: &Context,
        input: GetParametersByPath,
    ) -> Result<Value, ApiError> {
        if !input.path.starts_with('/') {
            return Err(ApiError::validation(format!(
                "The parameter doesn't meet the parameter name requirements. The path '{}' must begin with /",
                input.path
            )));
        }
        check_filters(&input.parameter_filters, &["Type", "KeyId", "Label"])?;
        let paging = Paging::ssm(input.max_results, input.next_token.as_deref(), 10)?;
        let parameters = self.parameters(cx)?;
        let prefix = format!("{}/", input.path.trim_end_matches('/'));
        let is_below = |parameter: &&Parameter| {
            let below = parameter.name.strip_prefix(&prefix);
            below.is_some_and(|rest| input.recursive || !rest.contains('/'))
        };
        let found: BTreeMap<_, _> = parameters
            .0
            .values()
            .filter(is_below)
            .flat_map(|parameter| parameter.found_by(&input.parameter_filters).map(move |version| (parameter, version)))
            // A name comes before the longer ones that begin with it.
            .map(|(parameter, version)| (format!("{}\0{:020}", parameter.name, version.number), (parameter, version)))
            .collect();
        let (page, token) = paging.page(&found, |_| true);
        let keys = keys_of(page.iter().map(|(_, version)| *version), input.with_decryption);
        let page: Vec<Value> = page
            .into_iter()
            .map(|(parameter, version)| value(cx, parameter, version, None, input.with_decryption))
            .collect();
        self.check_decryption(cx, &keys)?;
        Ok(without_nulls(json!({"Parameters": page, "NextToken": token})))
    }

    pub(crate) fn get_parameter_history(
        &mut self,
        cx: &Context,
        input: GetParameterHistory,
    ) -> Result<Value, ApiError> {
        names::check_named(&input.name)?;
        let paging = Paging::ssm(input.max_results, input.next_token.as_deref(), 50)?;
        let parameter = self.parameters(cx)?.get(&plain_name(&input.name))?;
        let versions = parameter.versions.iter().map(|(number, version)| (format!("{number:020}"), version)).collect();
        let (page, token) = paging.page(&versions, |_| true);
        let keys = keys_of(page.iter().map(|version| **version), input.with_decryption);
        let page: Vec<Value> = page
            .into_iter()
            .map(|version| {
                without_nulls(json!({
                    "Name": parameter.name,
                    "Type": parameter.kind,
                    "KeyId": version.key,
                    "LastModifiedDate": seconds(version.modified),
                    "LastModifiedUser": version.modified_by,
                    "Description": version.description,
                    "Value": shown(parameter, version, input.with_decryption),
                    "AllowedPattern": version.allowed_pattern,
                    "Version": version.number,
                    "Labels": version.labels,
                    "Tier": parameter.tier,
                    "Policies": policies::written(&parameter.policies),
                    "DataType": version.data_type,
                }))
            })
            .collect();
        self.check_decryption(cx, &keys)?;
        Ok(without_nulls(json!({"Parameters": page, "NextToken": token})))
    }
}
