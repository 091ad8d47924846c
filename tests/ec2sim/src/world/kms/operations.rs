//! The operations on keys.

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::kms::key::{Key, can_be_replaced};
use crate::world::kms::{DEFAULT_ALIAS, arn};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateKey {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<String>,
    #[serde(alias = "CustomerMasterKeySpec")]
    key_spec: Option<String>,
    origin: Option<String>,
    #[serde(rename = "MultiRegion")]
    _multi_region: Option<bool>,
    #[serde(default, rename = "BypassPolicyLockoutSafetyCheck")]
    bypass: bool,
    #[serde(default, rename = "Tags")]
    _tags: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct KeyInput {
    key_id: String,
    #[serde(rename = "GrantTokens")]
    _grant_tokens: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListInput {
    pub(crate) limit: Option<usize>,
    pub(crate) marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ScheduleKeyDeletion {
    key_id: String,
    pending_window_in_days: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct KeyPolicy {
    key_id: String,
    policy_name: Option<String>,
    policy: Option<String>,
    #[serde(default, rename = "BypassPolicyLockoutSafetyCheck")]
    bypass: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListPolicies {
    key_id: String,
    limit: Option<usize>,
    marker: Option<String>,
}

const DEFAULT_WINDOW: i64 = 30;
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeys.html>.
const MAX_LIMIT: usize = 1000;

impl World {
    pub(crate) fn create_key(&mut self, cx: &Context, input: CreateKey) -> Result<Value, ApiError> {
        let usual =
            [(&input.key_usage, "ENCRYPT_DECRYPT"), (&input.key_spec, "SYMMETRIC_DEFAULT"), (&input.origin, "AWS_KMS")];
        for (asked, known) in usual {
            if asked.as_ref().is_some_and(|asked| asked != known) {
                return Err(ApiError::new("UnsupportedOperationException", format!("Only {known} keys are simulated")));
            }
        }
        if let Some(policy) = &input.policy {
            check_policy(cx, policy, input.bypass)?;
        }
        let id = self.ids.uuid();
        let mut key = Key::new(id.clone(), &cx.account, cx.now);
        key.description = input.description.unwrap_or_default();
        key.policy = input.policy.unwrap_or(key.policy);
        let answer = json!({"KeyMetadata": metadata(cx, &cx.account, &key)});
        let keys = &mut self.region_mut(cx)?.holdings(&cx.account).keys;
        keys.by_id.insert(id, key);
        Ok(answer)
    }

    /// To ask for the key of EBS makes it: <https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>.
    pub(crate) fn describe_key(&mut self, cx: &Context, input: KeyInput) -> Result<Value, ApiError> {
        if input.key_id == DEFAULT_ALIAS {
            let fresh = self.ids.uuid();
            self.region_mut(cx)?.holdings(&cx.account).keys.add_default(cx, fresh);
        }
        let region = self.region(cx)?;
        let (account, key) = region.find_key(&cx.account, &input.key_id).ok_or_else(|| not_found(cx, &input.key_id))?;
        if account != cx.account && !key.allows(&cx.account) {
            return Err(ApiError::new(
                "AccessDeniedException",
                format!(
                    "User: {} is not authorized to perform: kms:DescribeKey on resource: {}",
                    cx.caller.arn,
                    arn(&cx.region, account, &key.id)
                ),
            ));
        }
        Ok(json!({"KeyMetadata": metadata(cx, account, key)}))
    }

    pub(crate) fn list_keys(&mut self, cx: &Context, input: ListInput) -> Result<Value, ApiError> {
        let keys = &self.region_mut(cx)?.holdings(&cx.account).keys;
        let all = keys.by_id.keys().map(|id| json!({"KeyId": id, "KeyArn": arn(&cx.region, &cx.account, id)}));
        input.page("Keys", all.collect())
    }

    pub(crate) fn enable_key(&mut self, cx: &Context, input: KeyInput) -> Result<Value, ApiError> {
        self.switch_key(cx, &input.key_id, true)
    }

    pub(crate) fn disable_key(&mut self, cx: &Context, input: KeyInput) -> Result<Value, ApiError> {
        self.switch_key(cx, &input.key_id, false)
    }

    fn switch_key(&mut self, cx: &Context, named: &str, enabled: bool) -> Result<Value, ApiError> {
        let key = self.changeable_key(cx, named)?;
        key.check_not_deleted(cx)?;
        key.enabled = enabled;
        Ok(json!({}))
    }

    pub(crate) fn schedule_key_deletion(
        &mut self,
        cx: &Context,
        input: ScheduleKeyDeletion,
    ) -> Result<Value, ApiError> {
        let days = input.pending_window_in_days.unwrap_or(DEFAULT_WINDOW);
        if !(7..=30).contains(&days) {
            return Err(ApiError::validation("PendingWindowInDays must be between 7 and 30"));
        }
        let key = self.changeable_key(cx, &input.key_id)?;
        key.check_not_deleted(cx)?;
        let at = after(cx.now, SignedDuration::from_hours(24 * days));
        key.deletion = Some(at);
        let answer = json!({
            "KeyId": arn(&cx.region, &cx.account, &key.id),
            "DeletionDate": at.as_second(),
            "KeyState": key.state(),
            "PendingWindowInDays": days,
        });
        let event = Event::KeyDeleted { region: cx.region.clone(), account: cx.account.clone(), key: key.id.clone() };
        self.agenda.add(at, event);
        Ok(answer)
    }

    /// A key whose deletion is cancelled is disabled.
    pub(crate) fn cancel_key_deletion(&mut self, cx: &Context, input: KeyInput) -> Result<Value, ApiError> {
        let key = self.own_key(cx, &input.key_id)?;
        let arn = arn(&cx.region, &cx.account, &key.id);
        if key.deletion.take().is_none() {
            let message = format!("{arn} is not pending deletion.");
            return Err(ApiError::new("KMSInvalidStateException", message));
        }
        key.enabled = false;
        Ok(json!({"KeyId": arn}))
    }

    pub(crate) fn get_key_policy(&mut self, cx: &Context, input: KeyPolicy) -> Result<Value, ApiError> {
        input.check_name()?;
        let key = self.own_key(cx, &input.key_id)?;
        Ok(json!({"Policy": key.policy, "PolicyName": "default"}))
    }

    pub(crate) fn list_key_policies(&mut self, cx: &Context, input: ListPolicies) -> Result<Value, ApiError> {
        self.own_key(cx, &input.key_id)?;
        let list = ListInput { limit: input.limit, marker: input.marker };
        list.page("PolicyNames", vec![json!("default")])
    }

    pub(crate) fn put_key_policy(&mut self, cx: &Context, input: KeyPolicy) -> Result<Value, ApiError> {
        input.check_name()?;
        let policy = input.policy.ok_or_else(|| ApiError::validation("Policy is required"))?;
        check_policy(cx, &policy, input.bypass)?;
        self.changeable_key(cx, &input.key_id)?.policy = policy;
        Ok(json!({}))
    }

    /// A key that the caller may change, which it cannot do with what AWS manages.
    pub(crate) fn changeable_key(&mut self, cx: &Context, named: &str) -> Result<&mut Key, ApiError> {
        let key = self.own_key(cx, named)?;
        if key.managed_by_aws {
            return Err(ApiError::new(
                "AccessDeniedException",
                format!("{} is managed by AWS and cannot be changed", arn(&cx.region, &cx.account, &key.id)),
            ));
        }
        Ok(key)
    }

    /// A key that the caller owns, by its id or ARN: an alias names a key only where that is described or used.
    pub(crate) fn own_key(&mut self, cx: &Context, named: &str) -> Result<&mut Key, ApiError> {
        if is_alias(named) {
            return Err(ApiError::new("InvalidArnException", "Key Aliases are not supported for this operation."));
        }
        let region = self.region_mut(cx)?;
        let id = region
            .named_key(&cx.account, named)
            .filter(|(account, _)| *account == cx.account)
            .map(|(_, id)| id.to_owned());
        let id = id.ok_or_else(|| not_found(cx, named))?;
        let keys = &mut region.holdings(&cx.account).keys;
        keys.by_id.get_mut(&id).ok_or_else(|| not_found(cx, named))
    }
}

impl KeyPolicy {
    /// The one policy of a key is called `default`.
    fn check_name(&self) -> Result<(), ApiError> {
        match self.policy_name.as_deref() {
            None | Some("default") => Ok(()),
            Some(other) => Err(ApiError::new("NotFoundException", format!("No such policy exists: {other}"))),
        }
    }
}

impl Key {
    pub(crate) fn check_not_deleted(&self, cx: &Context) -> Result<(), ApiError> {
        if self.deletion.is_none() {
            return Ok(());
        }
        let arn = arn(&cx.region, &cx.account, &self.id);
        Err(ApiError::new("KMSInvalidStateException", format!("{arn} is pending deletion.")))
    }
}

impl ListInput {
    /// A page: the marker is how many were shown before.
    pub(crate) fn page(&self, name: &str, all: Vec<Value>) -> Result<Value, ApiError> {
        let invalid = |_| ApiError::new("InvalidMarkerException", "The marker is not one that a page has ended with");
        let from: usize = self.marker.as_deref().map_or(Ok(0), str::parse).map_err(invalid)?;
        let limit = self.limit.unwrap_or(100);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::validation(format!("Limit must be between 1 and {MAX_LIMIT}")));
        }
        let truncated = all.len() > from.saturating_add(limit);
        let page: Vec<Value> = all.into_iter().skip(from).take(limit).collect();
        let mut answer = json!({name: page, "Truncated": truncated});
        if truncated {
            answer["NextMarker"] = json!((from + limit).to_string());
        }
        Ok(answer)
    }
}

/// Refuses what is no policy, and one by which the caller could not replace it, unless that is meant:
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html>.
fn check_policy(cx: &Context, policy: &str, bypass: bool) -> Result<(), ApiError> {
    let parsed: Value = serde_json::from_str(policy).unwrap_or_default();
    let refused = |message| Err(ApiError::new("MalformedPolicyDocumentException", message));
    if !parsed["Statement"].is_array() && !parsed["Statement"].is_object() {
        return refused("The policy is not a policy document");
    }
    if !bypass && !can_be_replaced(policy, &cx.account) {
        return refused("The new key policy will not allow you to update the key policy in the future.");
    }
    Ok(())
}

/// Whether a key is named by an alias, or the ARN of one.
pub(crate) fn is_alias(named: &str) -> bool {
    named.starts_with("alias/") || named.contains(":alias/")
}

pub(crate) fn not_found(cx: &Context, named: &str) -> ApiError {
    let message = if named.contains("alias/") {
        format!("Alias arn:aws:kms:{}:{}:{named} is not found.", cx.region, cx.account)
    } else if named.starts_with("arn:") {
        format!("Key '{named}' does not exist")
    } else {
        format!("Key '{}' does not exist", arn(&cx.region, &cx.account, named))
    };
    ApiError::new("NotFoundException", message)
}

fn metadata(cx: &Context, account: &str, key: &Key) -> Value {
    let mut metadata = json!({
        "AWSAccountId": account,
        "KeyId": key.id,
        "Arn": arn(&cx.region, account, &key.id),
        "CreationDate": key.created.as_second(),
        "Enabled": key.is_enabled(),
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state(),
        "Origin": "AWS_KMS",
        "KeyManager": if key.managed_by_aws { "AWS" } else { "CUSTOMER" },
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    });
    if let Some(at) = key.deletion {
        metadata["DeletionDate"] = json!(at.as_second());
    }
    metadata
}
