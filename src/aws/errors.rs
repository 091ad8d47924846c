//! The table of error codes: what an AWS error means, and what a person can do about it. EC2 models no errors, so
//! codes are the only ground; nothing else in the program looks at AWS's codes by text.

use std::error::Error;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::plan::ids::RegionName;
use crate::plan::{Class, Trouble};

/// Codes, longest-lived trouble last. A `*` at the end stands for any ending.
const TABLE: &[(&str, Class, &str)] = &[
    ("RequestLimitExceeded", Class::Throttled, CALMER),
    ("EC2ThrottledException", Class::Throttled, CALMER),
    ("Throttling*", Class::Throttled, CALMER),
    ("TooManyUpdates", Class::Throttled, CALMER),
    ("RequestTimeout*", Class::Transient, RETRIED),
    ("Timeout", Class::Transient, REACH),
    ("Unreachable", Class::Transient, REACH),
    ("InternalError", Class::Transient, RETRIED),
    ("InternalFailure", Class::Transient, RETRIED),
    ("InternalServerError", Class::Transient, RETRIED),
    ("ServiceUnavailable", Class::Transient, RETRIED),
    ("Unavailable", Class::Transient, RETRIED),
    ("InvalidAMIID.NotFound", Class::Transient, RETRIED),
    ("InvalidAMIID.Unavailable", Class::Transient, RETRIED),
    ("InvalidSnapshot.NotFound", Class::Transient, RETRIED),
    ("InvalidID", Class::Transient, RETRIED),
    ("ConcurrentTagAccess", Class::Transient, RETRIED),
    ("PendingSnapshotLimitExceeded", Class::Transient, "amiops goes on when copies under way are done"),
    (
        "ResourceLimitExceeded",
        Class::Transient,
        "amiops goes on when copies under way are done, or when the quota is raised",
    ),
    ("InvalidState", Class::Transient, RETRIED),
    ("RequestExpired", Class::Transient, "Check the clock of the machine that amiops runs on"),
    ("InvalidAMIName.Duplicate", Class::Transient, RETRIED),
    (
        "InvalidSnapshot.InUse",
        Class::NeedsPerson,
        "Another image has the snapshot: it is deleted once that image is deregistered",
    ),
    ("UnauthorizedOperation", Class::NeedsPerson, GRANT),
    ("AccessDenied*", Class::NeedsPerson, GRANT),
    ("AuthFailure", Class::NeedsPerson, "Enable the region for the account, or check the credentials of amiops"),
    (
        "UnrecognizedClientException",
        Class::NeedsPerson,
        "Enable the region for the account, or check the credentials of amiops",
    ),
    (
        "InvalidClientTokenId",
        Class::NeedsPerson,
        "Check the credentials of amiops, and that the region is enabled for the account",
    ),
    ("ExpiredToken*", Class::NeedsPerson, "Renew the credentials of amiops"),
    (
        "NoCredentials",
        Class::NeedsPerson,
        "Give amiops credentials: IRSA, EKS Pod Identity, or the environment (docs/install.md)",
    ),
    ("OptInRequired", Class::NeedsPerson, "Enable the region, or subscribe the account to the product"),
    ("PendingVerification", Class::NeedsPerson, "AWS is verifying the account: wait, or ask AWS support"),
    ("Blocked", Class::NeedsPerson, "AWS has blocked the account: ask AWS support"),
    ("CustomerKeyHasBeenRevoked", Class::NeedsPerson, "Restore access to the KMS key"),
    ("SnapshotLimitExceeded", Class::NeedsPerson, "Raise the quota of snapshots, or delete some"),
    ("AMIQuotaExceeded*", Class::NeedsPerson, "Raise the quota of images, or deregister some"),
    ("TagLimitExceeded", Class::NeedsPerson, "A resource carries 50 tags at most: remove some"),
    ("TagPolicyViolation", Class::NeedsPerson, "Make spec.tags agree with the tag policy of the organization"),
    ("OperationNotPermitted", Class::NeedsPerson, "See what protects the image"),
    (
        "ParameterMaxVersionLimitExceeded",
        Class::NeedsPerson,
        "The oldest version of the parameter has a label: remove that label",
    ),
    ("ParameterLimitExceeded", Class::NeedsPerson, "Raise the quota of parameters, or delete some"),
    ("InvalidParameter*", Class::Terminal, FIX),
    ("MissingParameter", Class::Terminal, FIX),
    ("UnsupportedOperation", Class::Terminal, FIX),
    ("InvalidRegion", Class::Terminal, "Name a region that exists in the partition of the account"),
    ("InvalidRequest", Class::Terminal, FIX),
    ("ValidationException", Class::Terminal, FIX),
    ("HierarchyLevelLimitExceededException", Class::Terminal, "Give the parameter a path of 15 levels at most"),
    ("UnsupportedParameterType", Class::Terminal, FIX),
];

/// The codes that do not say that nothing was done.
const UNSURE: [&str; 10] = [
    "Timeout",
    "Unreachable",
    "Unknown",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "Unavailable",
];

const REACH: &str = "Check that the region exists and that amiops can reach its endpoint; amiops tries again by itself";
const RETRIED: &str = "amiops tries again by itself";
const CALMER: &str = "amiops calls less often until this passes";
const GRANT: &str = "Allow this call in the IAM policy of the role of amiops (docs/iam-policy.md)";
const FIX: &str = "AWS does not take what the manifest asks for: change it there";

/// An error of one call, with what a person needs to know of it.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) code: String,
    class: Class,
    operation: &'static str,
    region: RegionName,
    text: String,
    advice: &'static str,
    /// Whether an attempt of the call is not known to have failed.
    is_unsure: bool,
}

impl CallError {
    /// The error that the SDK gives back; `is_unsure` says whether one of its attempts may have done what was asked for.
    pub(super) fn from_sdk<E, R>(
        operation: &'static str,
        region: &RegionName,
        error: &SdkError<E, R>,
        is_unsure: bool,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let (code, text) = match error {
            SdkError::TimeoutError(_) => ("Timeout".into(), "no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                ("Timeout".into(), "no answer in time".into())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                ("Unreachable".into(), "the connection failed".into())
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => not_sent(error),
            SdkError::ResponseError(_) => ("Unreachable".into(), "the answer broke off".into()),
            _ => {
                (error.code().unwrap_or("Unknown").to_owned(), error.message().unwrap_or("no reason given").to_owned())
            }
        };
        Self { is_unsure, ..Self::new(operation, region, code, readable(&text)) }
    }

    /// An answer that lacks what it must have.
    pub(super) fn malformed(operation: &'static str, region: &RegionName, text: &str) -> Self {
        Self::new(operation, region, "InternalError".into(), text.into())
    }

    fn new(operation: &'static str, region: &RegionName, code: String, text: String) -> Self {
        let (class, advice) = classify(&code);
        Self { code, class, operation, region: region.clone(), text, advice, is_unsure: false }
    }

    /// Whether this is AWS's answer that the thing does not exist (any more), and so success when it was to be removed.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self.code.as_str(),
            "InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable" | "InvalidSnapshot.NotFound" | "ParameterNotFound"
        )
    }

    /// Whether EC2 may not read what the call names: an image is shared, and its snapshots or their key are not.
    pub(super) fn is_unreadable(&self) -> bool {
        self.code == "InvalidRequest"
    }

    /// Whether EC2 knows the ClientToken, from a call that asked for something else.
    pub(super) fn is_token_used(&self) -> bool {
        self.code == "IdempotentParameterMismatch"
    }

    /// Whether AWS does not know a snapshot that the call names.
    pub(super) fn lacks_snapshot(&self) -> bool {
        self.code == "InvalidSnapshot.NotFound"
    }

    /// Whether a parameter that was to be created is there.
    pub(super) fn is_there_already(&self) -> bool {
        self.code == "ParameterAlreadyExists"
    }

    /// Whether SSM has no parameter whose tags could be told. So it answers when it is asked for them.
    pub(super) fn has_no_tags(&self) -> bool {
        self.code == "InvalidResourceId"
    }

    /// Whether what was asked for may have been done all the same: AWS has not answered, or lost its way.
    pub(super) fn may_be_done(&self) -> bool {
        UNSURE.contains(&self.code.as_str())
    }

    /// The same of a call that the SDK repeats by itself: its last attempt may have been refused after an earlier one was done.
    pub(super) fn an_attempt_may_be_done(&self) -> bool {
        self.may_be_done() || self.is_unsure
    }

    /// Whether the next call would fare no better: AWS is out of reach, or wants fewer calls.
    pub(super) fn calls_for_a_pause(&self) -> bool {
        self.may_be_done() || self.class == Class::Throttled
    }

    /// Whether AWS has understood the call and does not do it: asked for in another way, a part of it may be done.
    pub(super) fn is_refusal(&self) -> bool {
        !self.class.passes()
    }

    /// Whether AWS's own words name a thing.
    pub(super) fn names(&self, id: &str) -> bool {
        self.text.contains(id)
    }

    /// Gives the error another class where it means something else than usual.
    pub(super) fn with_class(self, class: Class, advice: &'static str) -> Self {
        Self { class, advice, ..self }
    }

    /// The error as a sentence about `subject`.
    pub(super) fn about(&self, subject: &str) -> Trouble {
        let Self { operation, region, text, code, advice, .. } = self;
        let text = text.trim_end_matches('.');
        Trouble::new(
            self.class,
            code,
            format!("{operation} in {region} for {subject} failed: {text} ({code}). {advice}"),
        )
    }
}

/// Why a call was not sent, as a code and in words: AWS cannot be reached, or the SDK has no credentials. The chain of causes tells.
fn not_sent(error: &(dyn Error + 'static)) -> (String, String) {
    let causes = || successors(error.source(), |&cause| cause.source());
    let last = causes().last().unwrap_or(error);
    // The id of the request is left out: it changes each time.
    let answer = last.downcast_ref::<ErrorMetadata>();
    let told = answer.and_then(|answer| Some(format!("{}: {}", answer.code()?, answer.message().unwrap_or_default())));
    let text = told.unwrap_or_else(|| last.to_string());
    let Some(lacking) = causes().find_map(|cause| cause.downcast_ref::<CredentialsError>()) else {
        return ("Unreachable".into(), text);
    };
    let fails = |cause: &ConnectorError| cause.is_io() || cause.is_timeout();
    let is_out_of_reach = causes().filter_map(|cause| cause.downcast_ref()).any(fails)
        || matches!(lacking, CredentialsError::ProviderTimedOut(_))
        || answer.and_then(ErrorMetadata::code).and_then(row).is_some_and(|(_, class, _)| class.passes());
    let code = if is_out_of_reach { "Unreachable" } else { "NoCredentials" };
    (code.into(), format!("the SDK got no credentials: {text}"))
}

fn row(code: &str) -> Option<&'static (&'static str, Class, &'static str)> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => code.starts_with(start),
        None => code == pattern,
    };
    TABLE.iter().find(|(pattern, _, _)| matches(pattern))
}

fn classify(code: &str) -> (Class, &'static str) {
    match row(code) {
        Some((_, class, advice)) => (*class, advice),
        None if code.ends_with(".Malformed") => (Class::Terminal, FIX),
        None => (Class::Transient, RETRIED),
    }
}

/// The message without what changes from call to call or does not help: encoded details, request ids, excess length.
fn readable(text: &str) -> String {
    let text = text.split(" Encoded authorization failure message").next().unwrap_or(text);
    let text = text.split(" (Service:").next().unwrap_or(text);
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use aws_config::provider_config::ProviderConfig;
    use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};

    use super::*;

    #[test]
    fn every_class_of_the_table_is_reached_by_its_codes() {
        let class = |code| classify(code).0;
        assert_eq!(class("RequestLimitExceeded"), Class::Throttled);
        assert_eq!(class("ThrottlingException"), Class::Throttled);
        assert_eq!(class("InvalidAMIID.NotFound"), Class::Transient);
        assert_eq!(class("UnauthorizedOperation"), Class::NeedsPerson);
        assert_eq!(class("AccessDeniedException"), Class::NeedsPerson);
        assert_eq!(class("InvalidParameterValue"), Class::Terminal);
        assert_eq!(class("InvalidAMIID.Malformed"), Class::Terminal);
    }

    #[test]
    fn a_code_that_nobody_knows_is_tried_again() {
        assert_eq!(classify("SomethingNew").0, Class::Transient);
    }

    #[test]
    fn a_refusal_is_no_reason_to_pause_but_throttling_and_silence_are() {
        let pauses = |code: &str| {
            CallError::new("DescribeImageReferences", &RegionName::new("us-east-1"), code.into(), "".into())
                .calls_for_a_pause()
        };
        assert!(pauses("RequestLimitExceeded"));
        assert!(pauses("ThrottlingException"));
        assert!(pauses("Timeout"));
        assert!(!pauses("UnauthorizedOperation"));
    }

    /// An STS that answers so, or cannot be reached.
    #[derive(Clone, Debug)]
    struct Sts(Option<(u16, &'static str)>);

    impl HttpConnector for Sts {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(match self.0 {
                Some((status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), body.into())),
                None => Err(ConnectorError::io("connection refused".into())),
            })
        }
    }

    /// What is told of a call when a web identity (IRSA) is to be had from an STS.
    async fn with_web_identity_of(sts: Sts) -> CallError {
        let token = tempfile::NamedTempFile::new().unwrap();
        let http = http_client_fn(move |_, _| SharedHttpConnector::new(sts.clone()));
        let place = ProviderConfig::without_region()
            .with_region(Some(aws_config::Region::new("us-east-1")))
            .with_http_client(http.clone());
        let identity = StaticConfiguration {
            web_identity_token_file: token.path().to_owned(),
            role_arn: "arn:aws:iam::111111111111:role/amiops".into(),
            session_name: "amiops".into(),
        };
        let provider = WebIdentityTokenCredentialsProvider::builder();
        let provider = provider.configure(&place).static_configuration(identity).build();
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version_latest()
            .region(aws_config::Region::new("us-east-1"))
            .credentials_provider(provider)
            .http_client(http)
            .build();
        let error = aws_sdk_ec2::Client::from_conf(config).describe_images().send().await.unwrap_err();
        CallError::from_sdk("DescribeImages", &RegionName::new("us-east-1"), &error, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_may_not_be_assumed_is_told_as_a_lack_of_credentials_in_the_same_words_each_time() {
        let denied = |id: &str| {
            let text = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            )
        };
        let told = async |id| with_web_identity_of(Sts(Some((403, denied(id).leak())))).await;
        let (first, second) = (told("1").await, told("2").await);
        assert_eq!(first.code, "NoCredentials");
        assert_eq!(
            first.text,
            "the SDK got no credentials: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
        );
        assert_eq!(first.text, second.text);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_cannot_be_had_because_sts_is_out_of_reach_need_nobody() {
        let told = with_web_identity_of(Sts(None)).await;
        assert_eq!((told.code.as_str(), told.class), ("Unreachable", Class::Transient));
        assert_eq!(told.text, "the SDK got no credentials: connection refused");
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_cannot_be_had_because_sts_has_lost_its_way_need_nobody() {
        let body = "<ErrorResponse><Error><Code>InternalFailure</Code><Message>sorry</Message></Error></ErrorResponse>";
        let told = with_web_identity_of(Sts(Some((500, body)))).await;
        assert_eq!((told.code.as_str(), told.class), ("Unreachable", Class::Transient));
    }

    #[test]
    fn what_changes_from_call_to_call_is_left_out_of_a_message() {
        let text = "You are not authorized to perform this operation. Encoded authorization failure message: abc123";
        assert_eq!(readable(text), "You are not authorized to perform this operation.");
    }
}
