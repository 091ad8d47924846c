//! What the API server answers when it refuses: a Status with a code, a reason, a sentence and causes.

use serde_json::{Value, json};

use crate::kinds::Kind;

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// One word for programs.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The details of the Status.
    pub details: Value,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: Value::Null }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// The answer of a fault: what the real server says with this code.
    pub(crate) fn of_code(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden by a fault of the simulation"),
            409 => (
                "Conflict",
                "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again",
            ),
            410 => ("Expired", "The resourceVersion for the provided watch is too old."),
            429 => ("TooManyRequests", "Too many requests, please try again later."),
            500 => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
            503 => ("ServiceUnavailable", "apiserver is shutting down"),
            504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
            _ => ("Unknown", "a fault of the simulation"),
        };
        let mut error = Self::new(code, reason, message);
        if code == 429 {
            error.details = json!({"retryAfterSeconds": 1});
        }
        error
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        let mut sentences = Vec::<String>::new();
        for error in errors {
            let sentence = error.to_string();
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let all = match &sentences[..] {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let mut error = Self::new(422, "Invalid", format!("{} \"{name}\" is invalid: {all}", kind.kind_and_group()));
        let causes: Vec<_> = errors.iter().map(FieldError::cause).collect();
        error.details = json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": causes});
        error
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        self
    }

    /// The body of the answer.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Duplicate,
    Forbidden,
    Invalid,
    Required,
    TooLong,
    TooMany,
    Type,
    Unsupported,
}

/// One field and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) wrong: Wrong,
    /// The value as the sentence shows it.
    value: Option<String>,
    detail: String,
}

impl FieldError {
    pub(crate) fn new(field: &str, wrong: Wrong, value: Option<&Value>, detail: impl Into<String>) -> Self {
        let value = value.map(Value::to_string);
        Self { field: field.into(), wrong, value, detail: detail.into() }
    }

    pub(crate) fn invalid(field: &str, value: &Value, detail: impl Into<String>) -> Self {
        Self::new(field, Wrong::Invalid, Some(value), detail)
    }

    pub(crate) fn required(field: &str, detail: &str) -> Self {
        Self::new(field, Wrong::Required, None, detail)
    }

    pub(crate) fn immutable(field: &str, value: &Value) -> Self {
        Self::invalid(field, value, "field is immutable")
    }

    /// Takes the beginning of the path out of the sentence.
    pub(crate) fn count_from(&mut self, prefix: &str) {
        if let Some(rest) = self.detail.strip_prefix(prefix) {
            self.detail = rest.to_owned();
        }
    }

    fn body(&self) -> String {
        let what = match self.wrong {
            Wrong::Duplicate => "Duplicate value",
            Wrong::Forbidden => "Forbidden",
            Wrong::Invalid | Wrong::Type => "Invalid value",
            Wrong::Required => "Required value",
            Wrong::TooLong => "Too long",
            Wrong::TooMany => "Too many",
            Wrong::Unsupported => "Unsupported value",
        };
        let value = self.value.as_ref().map(|value| format!(": {value}")).unwrap_or_default();
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        format!("{what}{value}{detail}")
    }

    fn cause(&self) -> Value {
        let reason = match self.wrong {
            Wrong::Duplicate => "FieldValueDuplicate",
            Wrong::Forbidden => "FieldValueForbidden",
            Wrong::Invalid => "FieldValueInvalid",
            Wrong::Required => "FieldValueRequired",
            Wrong::TooLong => "FieldValueTooLong",
            Wrong::TooMany => "FieldValueTooMany",
            Wrong::Type => "FieldValueTypeInvalid",
            Wrong::Unsupported => "FieldValueNotSupported",
        };
        json!({"reason": reason, "message": self.body(), "field": self.field})
    }

    /// Whether the rules of the CRD are not looked at because of it.
    pub(crate) fn blocks_rules(&self) -> bool {
        matches!(self.wrong, Wrong::Unsupported | Wrong::Required | Wrong::TooLong | Wrong::TooMany | Wrong::Type)
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}
