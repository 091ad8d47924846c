//! One call, and what becomes of it, free of any transport.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world::image::Grant;
use crate::world::sts::Identity;

/// The services that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Elastic Compute Cloud.
    Ec2,
    /// Systems Manager, of which only the Parameter Store exists.
    Ssm,
    /// Security Token Service.
    Sts,
    /// Key Management Service.
    Kms,
}

impl Service {
    /// The name in the scope of a signature and in a resource name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Ec2 => "ec2",
            Service::Ssm => "ssm",
            Service::Sts => "sts",
            Service::Kms => "kms",
        }
    }
}

/// The parameters of a call, as the protocol of its service carries them.
#[derive(Debug, Clone)]
pub enum Params {
    /// EC2 and STS: names with dots.
    Query(BTreeMap<String, String>),
    /// SSM and KMS: a JSON object.
    Json(Value),
}

impl Params {
    /// Whether one of the parameters says this, or has it in its list.
    pub(crate) fn name(&self, name: &str) -> bool {
        match self {
            Self::Query(params) => params.values().any(|value| value == name),
            Self::Json(value) => value.as_object().into_iter().flat_map(|members| members.values()).any(|value| {
                value == name || value.as_array().is_some_and(|list| list.iter().any(|item| item == name))
            }),
        }
    }
}

/// One call.
#[derive(Debug, Clone)]
pub struct Request {
    /// The service called.
    pub service: Service,
    /// The region called, from the scope of the signature.
    pub region: String,
    /// Who calls.
    pub access_key: String,
    /// The name of the operation.
    pub operation: String,
    /// What it is asked to do.
    pub params: Params,
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How long the answer is held back.
    pub delay: SignedDuration,
    /// The answer; `None` is a connection that is closed without one.
    pub answer: Option<Answer>,
}

/// The header in which every answer names its call; of SSM and KMS it is the only place.
pub(crate) const REQUEST_ID: &str = "x-amzn-requestid";

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// What the header `x-amzn-requestid` says.
    pub request_id: String,
}

/// Who calls, where and when: what an operation knows besides its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) now: Timestamp,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) caller: Identity,
    /// All the ways in which something can be shared with the account.
    pub(crate) principals: BTreeSet<Grant>,
    /// The fault that makes the copy started by this call fail at its end.
    pub(crate) fail_copy: Option<String>,
}
