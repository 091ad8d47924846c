//! LabelParameterVersion.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::ssm::names;

const MAX_LABELS: usize = 10;
const MAX_LABEL: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct LabelParameterVersion {
    name: String,
    parameter_version: Option<u64>,
    labels: Vec<String>,
}

impl World {
    /// Puts labels on a version. A label names one version: it leaves the one that had it. Labels that break the rules
    /// come back as invalid, and the others are put on all the same.
    pub(crate) fn label_parameter_version(
        &mut self,
        cx: &Context,
        input: LabelParameterVersion,
    ) -> Result<Value, ApiError> {
        let input = input.checked()?;
        let parameter = self.parameters(cx)?.get_mut(&input.name)?;
        let selector = input.parameter_version.map(|version| version.to_string());
        let number = parameter.select(selector.as_deref())?.number;
        let (good, bad): (Vec<String>, Vec<String>) = input.labels.into_iter().partition(|label| is_label(label));
        let mut labels = parameter.select(selector.as_deref())?.labels.clone();
        labels.extend(good.iter().filter(|label| !labels.contains(label)).cloned().collect::<Vec<_>>());
        if labels.len() > MAX_LABELS {
            return Err(ApiError::new(
                "ParameterVersionLabelLimitExceeded",
                format!("A parameter version can have a maximum of {MAX_LABELS} labels."),
            ));
        }
        for version in parameter.versions.values_mut() {
            version.labels.retain(|label| !good.contains(label));
            if version.number == number {
                version.labels.clone_from(&labels);
            }
        }
        Ok(json!({"InvalidLabels": bad, "ParameterVersion": number}))
    }
}

impl World {
    /// Takes labels off a version; those that it does not have come back as invalid.
    pub(crate) fn unlabel_parameter_version(
        &mut self,
        cx: &Context,
        input: LabelParameterVersion,
    ) -> Result<Value, ApiError> {
        let input = input.checked()?;
        let Some(number) = input.parameter_version else {
            return Err(ApiError::validation(
                "1 validation error detected: Value null at 'parameterVersion' failed to satisfy constraint: Member must \
                 not be null",
            ));
        };
        let parameter = self.parameters(cx)?.get_mut(&input.name)?;
        parameter.select(Some(&number.to_string()))?;
        let version = parameter.versions.get_mut(&number);
        let had = version.map_or_else(Vec::new, |version| {
            let had = version.labels.clone();
            version.labels.retain(|label| !input.labels.contains(label));
            had
        });
        let (removed, invalid): (Vec<String>, Vec<String>) =
            input.labels.into_iter().partition(|label| had.contains(label));
        Ok(json!({"RemovedLabels": removed, "InvalidLabels": invalid}))
    }
}

impl LabelParameterVersion {
    /// The name, how many labels a call can give, and how long they can be. What else there is to a label is said of each:
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_LabelParameterVersion.html>.
    fn checked(mut self) -> Result<Self, ApiError> {
        // Spaces at its ends are not part of the name: so the API reference has it.
        self.name = self.name.trim_matches(' ').to_owned();
        names::check(&self.name)?;
        let refused = |what: &str, most: usize| {
            Err(ApiError::validation(format!(
                "1 validation error detected: Value at 'labels' failed to satisfy constraint: {what} must have length \
                 between 1 and {most}"
            )))
        };
        if !(1..=MAX_LABELS).contains(&self.labels.len()) {
            return refused("Member", MAX_LABELS);
        }
        if !self.labels.iter().all(|label| (1..=MAX_LABEL).contains(&label.chars().count())) {
            return refused("Each member", MAX_LABEL);
        }
        Ok(self)
    }
}

/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html>
fn is_label(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    label.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}
