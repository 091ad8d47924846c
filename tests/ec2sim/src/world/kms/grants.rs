//! The operations on grants.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::kms::arn;
use crate::world::kms::key::KeyGrant;
use crate::world::kms::operations::ListInput;

/// What can be granted of a key that encrypts:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>.
const OPERATIONS: [&str; 11] = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "RetireGrant",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateGrant {
    key_id: String,
    grantee_principal: String,
    retiring_principal: Option<String>,
    operations: Vec<String>,
    name: Option<String>,
    /// Encryption contexts are not looked at when a key is used.
    constraints: Option<Value>,
    #[serde(rename = "GrantTokens")]
    _grant_tokens: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListGrants {
    key_id: String,
    grant_id: Option<String>,
    grantee_principal: Option<String>,
    limit: Option<usize>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RevokeGrant {
    key_id: String,
    grant_id: String,
}

impl World {
    /// A grant with a name is made once; asked for again it is answered with another token:
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html>.
    pub(crate) fn create_grant(&mut self, cx: &Context, input: CreateGrant) -> Result<Value, ApiError> {
        input.check()?;
        let fresh = self.ids.uuid().replace('-', "");
        let token = format!("token-of-{fresh}");
        let key = self.own_key(cx, &input.key_id)?;
        key.check_not_deleted(cx)?;
        if let Some(grant) = key.grants.values().find(|grant| input.repeats(grant)) {
            return Ok(json!({"GrantId": grant.id, "GrantToken": token}));
        }
        let grant = KeyGrant {
            id: fresh.clone(),
            name: input.name,
            grantee: input.grantee_principal,
            retiring: input.retiring_principal,
            operations: input.operations,
            constraints: input.constraints,
            created: cx.now,
        };
        key.grants.insert(fresh.clone(), grant);
        Ok(json!({"GrantId": fresh, "GrantToken": token}))
    }

    pub(crate) fn list_grants(&mut self, cx: &Context, input: ListGrants) -> Result<Value, ApiError> {
        let key = self.own_key(cx, &input.key_id)?;
        let is = |asked: &Option<String>, value: &str| asked.as_ref().is_none_or(|a| a == value);
        let all = key
            .grants
            .values()
            .filter(|grant| is(&input.grant_id, &grant.id))
            .filter(|grant| is(&input.grantee_principal, &grant.grantee))
            .map(|grant| {
                json!({
                    "KeyId": arn(&cx.region, &cx.account, &key.id),
                    "GrantId": grant.id,
                    "Name": grant.name.as_deref().unwrap_or_default(),
                    "CreationDate": grant.created.as_second(),
                    "GranteePrincipal": grant.grantee,
                    "RetiringPrincipal": grant.retiring.as_deref().unwrap_or_default(),
                    "IssuingAccount": format!("arn:aws:iam::{}:root", cx.account),
                    "Operations": grant.operations,
                })
            })
            .collect();
        let (limit, marker) = (input.limit, input.marker);
        ListInput { limit, marker }.page("Grants", all)
    }

    pub(crate) fn revoke_grant(&mut self, cx: &Context, input: RevokeGrant) -> Result<Value, ApiError> {
        let key = self.own_key(cx, &input.key_id)?;
        match key.grants.remove(&input.grant_id) {
            Some(_) => Ok(json!({})),
            None => Err(ApiError::new("NotFoundException", format!("Grant {} is not found.", input.grant_id))),
        }
    }
}

impl CreateGrant {
    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html>.
    fn check(&self) -> Result<(), ApiError> {
        if let Some(unknown) = self.operations.iter().find(|operation| !OPERATIONS.contains(&operation.as_str())) {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value '{unknown}' at 'operations' failed to satisfy constraint: Member must \
                 satisfy enum value set: {OPERATIONS:?}"
            )));
        }
        check_principal(&self.grantee_principal)?;
        self.retiring_principal.as_deref().map_or(Ok(()), check_principal)
    }

    /// Whether it asks for a grant that is there.
    fn repeats(&self, grant: &KeyGrant) -> bool {
        self.name.is_some()
            && self.name == grant.name
            && self.grantee_principal == grant.grantee
            && self.retiring_principal == grant.retiring
            && self.operations == grant.operations
            && self.constraints == grant.constraints
    }
}

/// Refuses what is not the ARN of an account or of someone in one.
fn check_principal(named: &str) -> Result<(), ApiError> {
    match named.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, "iam" | "sts", "", account, _, ..] if !account.is_empty() => Ok(()),
        _ => {
            let message = format!("ARN does not refer to a valid principal: {named}");
            Err(ApiError::new("InvalidArnException", message))
        }
    }
}
