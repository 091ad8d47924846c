//! What a call is refused with.

use std::borrow::Cow;

/// An error as AWS answers it: a code, a sentence and an HTTP status.
///
/// Codes are those of <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The code by which clients classify the error.
    pub code: Cow<'static, str>,
    /// The sentence a person reads.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl ApiError {
    /// An error with status 400, which nearly all refusals have.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: 400 }
    }

    /// The same error with another status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    pub(crate) fn invalid_value(parameter: &str, value: &str) -> Self {
        Self::invalid(format!("Invalid value '{value}' for {parameter}"))
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }
}
