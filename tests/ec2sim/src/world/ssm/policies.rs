//! Policies of parameters: <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html>.
//! They are checked and kept; they do nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::ApiError;

const MAX_POLICIES: usize = 10;
const EXPIRATION: &str = "Expiration";

/// Reads what PutParameter was given: an array, in which an empty policy stands for none.
pub(crate) fn read(text: &str) -> Result<Vec<Value>, ApiError> {
    let mut policies: Vec<Value> = serde_json::from_str(text)
        .map_err(|_| ApiError::validation(format!("Invalid policies input: {text}. It must be a JSON array.")))?;
    policies.retain(|policy| *policy != json!({}));
    if policies.len() > MAX_POLICIES {
        return Err(ApiError::new(
            "PoliciesLimitExceededException",
            format!("A parameter can have at most {MAX_POLICIES} policies."),
        ));
    }
    policies.iter().try_for_each(check)?;
    if policies.iter().filter(|policy| policy["Type"] == EXPIRATION).count() > 1 {
        return Err(ApiError::new(
            "IncompatiblePolicyException",
            format!("A parameter can have one policy of the type {EXPIRATION}."),
        ));
    }
    Ok(policies)
}

fn check(policy: &Value) -> Result<(), ApiError> {
    let attributes = &policy["Attributes"];
    let span = |name: &str| {
        let number = attributes[name].as_str().is_some_and(|text| text.parse::<u32>().is_ok());
        number && matches!(attributes["Unit"].as_str(), Some("Days" | "Hours"))
    };
    let good = match policy["Type"].as_str() {
        Some(EXPIRATION) => attributes["Timestamp"].as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()),
        Some("ExpirationNotification") => span("Before"),
        Some("NoChangeNotification") => span("After"),
        _ => {
            return Err(ApiError::new(
                "InvalidPolicyTypeException",
                "The policy type isn't supported. Parameter Store supports the following policy types: Expiration, \
                 ExpirationNotification, and NoChangeNotification.",
            ));
        }
    };
    if good {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidPolicyAttributeException",
        format!("A policy attribute or its value is invalid: {policy}"),
    ))
}

/// Writes policies as DescribeParameters answers them.
pub(crate) fn written(policies: &[Value]) -> Value {
    let one = |policy: &Value| json!({"PolicyText": policy.to_string(), "PolicyType": policy["Type"], "PolicyStatus": "Pending"});
    policies.iter().map(one).collect()
}
