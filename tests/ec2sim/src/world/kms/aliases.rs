//! The operations on aliases.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::kms::operations::{ListInput, is_alias, not_found};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AliasTarget {
    alias_name: String,
    target_key_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AliasInput {
    alias_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListAliases {
    key_id: Option<String>,
    limit: Option<usize>,
    marker: Option<String>,
}

impl World {
    pub(crate) fn create_alias(&mut self, cx: &Context, input: AliasTarget) -> Result<Value, ApiError> {
        input.check()?;
        let key = self.own_key(cx, &input.target_key_id)?;
        key.check_not_deleted(cx)?;
        let id = key.id.clone();
        let aliases = &mut self.region_mut(cx)?.holdings(&cx.account).keys.aliases;
        if aliases.contains_key(&input.alias_name) {
            return Err(ApiError::new(
                "AlreadyExistsException",
                format!(
                    "An alias with the name arn:aws:kms:{}:{}:{} already exists",
                    cx.region, cx.account, input.alias_name
                ),
            ));
        }
        aliases.insert(input.alias_name, id);
        Ok(json!({}))
    }

    pub(crate) fn update_alias(&mut self, cx: &Context, input: AliasTarget) -> Result<Value, ApiError> {
        input.check()?;
        let id = self.own_key(cx, &input.target_key_id)?.id.clone();
        let aliases = &mut self.region_mut(cx)?.holdings(&cx.account).keys.aliases;
        match aliases.get_mut(&input.alias_name) {
            Some(target) => *target = id,
            None => return Err(not_found(cx, &input.alias_name)),
        }
        Ok(json!({}))
    }

    pub(crate) fn delete_alias(&mut self, cx: &Context, input: AliasInput) -> Result<Value, ApiError> {
        check_alias(&input.alias_name)?;
        let aliases = &mut self.region_mut(cx)?.holdings(&cx.account).keys.aliases;
        match aliases.remove(&input.alias_name) {
            Some(_) => Ok(json!({})),
            None => Err(not_found(cx, &input.alias_name)),
        }
    }

    pub(crate) fn list_aliases(&mut self, cx: &Context, input: ListAliases) -> Result<Value, ApiError> {
        let key = match &input.key_id {
            Some(named) => Some(self.own_key(cx, named)?.id.clone()),
            None => None,
        };
        let aliases = &self.region_mut(cx)?.holdings(&cx.account).keys.aliases;
        let all =
            aliases.iter().filter(|(_, target)| key.as_ref().is_none_or(|key| key == *target)).map(|(name, target)| {
                json!({
                    "AliasName": name,
                    "AliasArn": format!("arn:aws:kms:{}:{}:{name}", cx.region, cx.account),
                    "TargetKeyId": target,
                })
            });
        let (limit, marker) = (input.limit, input.marker);
        ListInput { limit, marker }.page("Aliases", all.collect())
    }
}

impl AliasTarget {
    fn check(&self) -> Result<(), ApiError> {
        check_alias(&self.alias_name)?;
        if is_alias(&self.target_key_id) {
            return Err(ApiError::validation("Aliases must refer to keys. Not aliases"));
        }
        Ok(())
    }
}

/// `alias/` and a name that is not AWS's own: <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>.
fn check_alias(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    let rest = name.strip_prefix("alias/").unwrap_or_default();
    if rest.is_empty() || !rest.chars().all(allowed) {
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint"
        )));
    }
    if rest.starts_with("aws/") {
        return Err(ApiError::new("NotAuthorizedException", "Alias names that begin with alias/aws/ are reserved"));
    }
    Ok(())
}
