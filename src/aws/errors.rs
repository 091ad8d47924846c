//! The table of error codes: what an AWS error means, and what a person can do about it. EC2 models no errors, so
//! codes are the only ground; nothing else in the program looks at AWS's codes by text.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

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
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let (code, text) = match error {
            SdkError::TimeoutError(_) => ("Timeout".into(), "no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                ("Timeout".into(), "no answer in time".into())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                ("Unreachable".into(), "the connection failed".into())
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => no_credentials(error),
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

    /// Whether AWS has understood the call and does not do it: asked for in another way, a part of it may be done.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.class, Class::NeedsPerson | Class::Terminal)
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

fn no_credentials<E: std::error::Error + 'static, R: std::fmt::Debug>(error: &SdkError<E, R>) -> (String, String) {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let code = if text.to_lowercase().contains("credential") { "NoCredentials" } else { "Unreachable" };
    (code.into(), text)
}

fn classify(code: &str) -> (Class, &'static str) {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => code.starts_with(start),
        None => code == pattern,
    };
    let row = TABLE.iter().find(|(pattern, _, _)| matches(pattern));
    match row {
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
    fn what_changes_from_call_to_call_is_left_out_of_a_message() {
        let text = "You are not authorized to perform this operation. Encoded authorization failure message: abc123";
        assert_eq!(readable(text), "You are not authorized to perform this operation.");
    }
}
