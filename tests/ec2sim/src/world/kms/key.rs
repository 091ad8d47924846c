//! A key: whether it can be used, and by whom.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::pattern;

/// A key.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) managed_by_aws: bool,
    pub(crate) enabled: bool,
    /// When it is going to be deleted.
    pub(crate) deletion: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) policy: String,
    /// By id.
    pub(crate) grants: BTreeMap<String, KeyGrant>,
}

/// A grant: one principal may do some operations.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyGrant {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) grantee: String,
    pub(crate) retiring: Option<String>,
    pub(crate) operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) constraints: Option<Value>,
    pub(crate) created: Timestamp,
}

impl Key {
    /// An enabled key whose policy is the usual one: the account may use it.
    pub(crate) fn new(id: String, account: &str, created: Timestamp) -> Self {
        Self {
            id,
            description: String::new(),
            managed_by_aws: false,
            enabled: true,
            deletion: None,
            created,
            policy: policy_for(&[account]),
            grants: BTreeMap::new(),
        }
    }

    /// The key that EBS uses unless another is named.
    pub(crate) fn managed_by_aws(id: String, account: &str, created: Timestamp) -> Self {
        Self {
            description: "Default key that protects my EBS volumes when no other key is defined".to_owned(),
            managed_by_aws: true,
            ..Self::new(id, account, created)
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled && self.deletion.is_none()
    }

    pub(crate) fn state(&self) -> &'static str {
        match (self.deletion, self.enabled) {
            (Some(_), _) => "PendingDeletion",
            (None, true) => "Enabled",
            (None, false) => "Disabled",
        }
    }

    /// Whether the policy or a grant lets the account use the key. Actions and conditions are not looked at: a
    /// statement that names the account stands for all of them.
    pub(crate) fn allows(&self, account: &str) -> bool {
        let granted = self.grants.values().any(|grant| names_account(&grant.grantee, account));
        is_allowed(&self.policy, granted, |statement| principal_covers(statement, account))
    }
}

/// Whether a policy lets the account put another in its place. Conditions are not looked at, nor NotAction.
pub(crate) fn can_be_replaced(policy: &str, account: &str) -> bool {
    is_allowed(policy, false, |statement| {
        principal_covers(statement, account) && action_covers(&statement["Action"], "kms:PutKeyPolicy")
    })
}

/// Whether a grant or a statement that applies allows something, and none that applies denies it.
fn is_allowed(policy: &str, granted: bool, applies: impl Fn(&Value) -> bool) -> bool {
    let statements = statements(policy);
    let says = |effect: &str| statements.iter().any(|statement| statement["Effect"] == effect && applies(statement));
    (granted || says("Allow")) && !says("Deny")
}

/// The policy by which these accounts may use a key.
pub(crate) fn policy_for(accounts: &[&str]) -> String {
    let principals: Vec<String> = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let statement = json!({
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": principals},
        "Action": "kms:*",
        "Resource": "*",
    });
    json!({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}).to_string()
}

/// The statements of a policy: one, or a list.
fn statements(policy: &str) -> Vec<Value> {
    let parsed: Value = serde_json::from_str(policy).unwrap_or_default();
    match &parsed["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn principal_covers(statement: &Value, account: &str) -> bool {
    let principal = &statement["Principal"];
    let named = match principal {
        Value::Object(kinds) => kinds.get("AWS").unwrap_or(&Value::Null),
        other => other,
    };
    has_text(named, |one| names_account(one, account))
}

/// Whether one of the actions of a statement is this one: they have wildcards, and case does not count.
fn action_covers(action: &Value, asked: &str) -> bool {
    has_text(action, |one| pattern::matches(&one.to_ascii_lowercase(), &asked.to_ascii_lowercase()))
}

/// Whether a member that is one text, or a list of them, has such a one.
fn has_text(member: &Value, is_such: impl Fn(&str) -> bool) -> bool {
    match member {
        Value::String(one) => is_such(one),
        Value::Array(many) => many.iter().filter_map(Value::as_str).any(is_such),
        _ => false,
    }
}

/// Whether a principal is the account or someone in it.
fn names_account(principal: &str, account: &str) -> bool {
    principal == "*" || principal == account || principal.split(':').nth(4) == Some(account)
}
