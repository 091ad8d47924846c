//! Who calls: GetCallerIdentity, AssumeRole, and the keys that lead to an account.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::ApiError;
use crate::request::{Context, Request, Service};
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::permissions::is_account;

/// Who an access key belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// What AssumeRole has given out: whose credentials they are, and until when.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Identity,
    expires: Timestamp,
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
    external_id: Option<String>,
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
const DURATIONS: RangeInclusive<i64> = 900..=43200;
/// How long a session can last that a session has begun.
const MAX_CHAINED: i64 = 3600;

impl World {
    /// Who an access key belongs to: the account it was issued for, the account that it is, or the default one.
    pub(crate) fn identity(&self, access_key: &str) -> Identity {
        if let Some(session) = self.issued.get(access_key) {
            return session.identity.clone();
        }
        let account = if is_account(access_key) { access_key } else { &self.config.account };
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

    /// Refuses credentials that have expired. Each service says so in its own words:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
    pub(crate) fn check_session(&self, cx: &Context, request: &Request) -> Result<(), ApiError> {
        let session = self.issued.get(&request.access_key);
        if session.is_none_or(|session| cx.now < session.expires) {
            return Ok(());
        }
        let message = "The security token included in the request is expired";
        Err(match request.service {
            Service::Ec2 => ApiError::new("RequestExpired", "Request has expired."),
            Service::Ssm | Service::Kms => ApiError::new("ExpiredTokenException", message),
            Service::Sts => ApiError::new("ExpiredToken", message).with_status(403),
        })
    }

    pub(crate) fn assume_role(&mut self, cx: &Context, input: AssumeRole) -> Result<Xml, ApiError> {
        let (account, role) = input.role()?;
        input.check(cx)?;
        let duration = input.duration_seconds.unwrap_or(DEFAULT_DURATION);
        let expires = after(cx.now, SignedDuration::from_secs(duration));
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
                .text("Expiration", expires);
        })
        .nest("AssumedRoleUser", |x| {
            x.text("AssumedRoleId", &identity.user_id).text("Arn", &identity.arn);
        });
        self.issued.insert(key, Session { identity, expires });
        Ok(x)
    }
}

impl Identity {
    /// Whether it is that of a role which somebody has assumed.
    fn is_role(&self) -> bool {
        self.arn.starts_with("arn:aws:sts::")
    }
}

impl AssumeRole {
    /// The account and the name of the role, with its path.
    fn role(&self) -> Result<(&str, &str), ApiError> {
        self.role_arn
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.split_once(":role/"))
            .filter(|(account, _)| is_account(account))
            .ok_or_else(|| invalid(format!("{} is invalid", self.role_arn)))
    }

    /// The limits of <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
    fn check(&self, cx: &Context) -> Result<(), ApiError> {
        let duration = self.duration_seconds.unwrap_or(DEFAULT_DURATION);
        if !DURATIONS.contains(&duration) {
            return Err(invalid(format!(
                "DurationSeconds must be between {} and {}",
                DURATIONS.start(),
                DURATIONS.end()
            )));
        }
        if duration > MAX_CHAINED && cx.caller.is_role() {
            return Err(invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let named = &self.role_session_name;
        if !(2..=64).contains(&named.len()) || !named.chars().all(allowed) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{named}' at 'roleSessionName' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: [\\w+=,.@-]*"
            )));
        }
        match &self.external_id {
            Some(id) if !(2..=1224).contains(&id.len()) => Err(invalid(format!(
                "1 validation error detected: Value '{id}' at 'externalId' failed to satisfy constraint: Member must \
                 have length between 2 and 1224"
            ))),
            _ => Ok(()),
        }
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// STS has a code of its own for what a call leaves out.
pub(crate) fn as_sts_says(error: ApiError) -> ApiError {
    if error.code == "MissingParameter" { invalid(error.message) } else { error }
}
