//! Who calls: GetCallerIdentity, AssumeRole, and the keys that lead to an account.

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;

/// Who an access key belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<i64>,
    #[serde(rename = "ExternalId")]
    _external_id: Option<String>,
    #[serde(rename = "Policy")]
    _policy: Option<String>,
    #[serde(rename = "PolicyArns")]
    _policies: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
    #[serde(rename = "TransitiveTagKeys")]
    _transitive: Option<IgnoredAny>,
    #[serde(rename = "SourceIdentity")]
    _source: Option<String>,
    #[serde(rename = "SerialNumber")]
    _serial: Option<String>,
    #[serde(rename = "TokenCode")]
    _code: Option<String>,
}

const DEFAULT_DURATION: i64 = 3600;

impl World {
    /// Who an access key belongs to: the account it was issued for, the account that it is, or the default one.
    pub(crate) fn identity(&self, access_key: &str) -> Identity {
        if let Some(issued) = self.issued.get(access_key) {
            return issued.clone();
        }
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { access_key } else { &self.config.account };
        Identity {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:user/simulated"),
            user_id: "AIDASIMULATEDUSER0000".to_owned(),
        }
    }

    pub(crate) fn get_caller_identity(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let Identity { account, arn, user_id } = &cx.caller;
        Ok(Xml::new().with("Arn", arn).with("UserId", user_id).with("Account", account))
    }

    pub(crate) fn assume_role(&mut self, cx: &Context, input: AssumeRole) -> Result<Xml, ApiError> {
        let malformed = || ApiError::new("ValidationError", format!("{} is invalid", input.role_arn));
        let (account, role) = input
            .role_arn
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.split_once(":role/"))
            .filter(|(account, _)| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(malformed)?;
        let duration = input.duration_seconds.unwrap_or(DEFAULT_DURATION);
        if !(900..=43200).contains(&duration) {
            return Err(ApiError::new("ValidationError", "DurationSeconds must be between 900 and 43200"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let named = &input.role_session_name;
        if !(2..=64).contains(&named.len()) || !named.chars().all(allowed) {
            return Err(ApiError::new(
                "ValidationError",
                format!(
                    "1 validation error detected: Value '{named}' at 'roleSessionName' failed to satisfy constraint: \
                     Member must satisfy regular expression pattern: [\\w+=,.@-]*"
                ),
            ));
        }
        let key = self.ids.access_key();
        let session = &input.role_session_name;
        let role = role.rsplit('/').next().unwrap_or(role);
        let identity = Identity {
            account: account.to_owned(),
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            user_id: format!("AROASIMULATEDROLE0000:{session}"),
        };
        let mut x = Xml::new();
        x.nest("Credentials", |x| {
            x.text("AccessKeyId", &key)
                .text("SecretAccessKey", format_args!("secret-of-{key}"))
                .text("SessionToken", format_args!("session-of-{key}"))
                .text("Expiration", after(cx.now, SignedDuration::from_secs(duration)));
        })
        .nest("AssumedRoleUser", |x| {
            x.text("AssumedRoleId", &identity.user_id).text("Arn", &identity.arn);
        });
        self.issued.insert(key, identity);
        Ok(x)
    }
}
