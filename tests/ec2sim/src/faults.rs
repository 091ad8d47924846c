//! Faults that a test or a person switches on.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::pattern;
use crate::request::{Params, Service};

/// What a fault does to the calls it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Refused as too frequent; not executed.
    Throttle,
    /// Executed, and answered that many milliseconds later.
    Delay(u32),
    /// Not executed; the connection is closed.
    DropRequest,
    /// Executed; the connection is closed without an answer.
    DropReply,
    /// Executed, and answered as if something had gone wrong inside.
    InternalError,
    /// Refused as not permitted; not executed.
    Deny,
    /// The copy started by this call fails at its end, for this reason.
    FailCopy {
        /// The message of the image's StateReason.
        reason: String,
    },
    /// Refused with this error; not executed.
    Error {
        /// The error code.
        code: String,
        /// The sentence.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// Nothing answers; not executed.
    RegionDown,
}

/// A fault. What is `None` in its conditions matches every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The operation, with `*` and `?`.
    #[serde(default)]
    pub operation: Option<String>,
    /// The region called.
    #[serde(default)]
    pub region: Option<String>,
    /// The account that calls.
    #[serde(default)]
    pub account: Option<String>,
    /// The service called.
    #[serde(default)]
    pub service: Option<Service>,
    /// What one of the parameters says, or is in a list that one says.
    #[serde(default)]
    pub naming: Option<String>,
    /// How many calls it meets before it is spent; `None` is until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching calls it first lets through.
    #[serde(default)]
    pub skip: u32,
    /// What it does.
    pub effect: Effect,
}

impl Fault {
    /// A fault that meets every call until it is cleared; narrow it by setting its fields.
    pub fn new(effect: Effect) -> Self {
        Self { operation: None, region: None, account: None, service: None, naming: None, times: None, skip: 0, effect }
    }

    /// Only calls of this operation, which may hold `*` and `?`.
    pub fn operation(self, operation: impl Into<String>) -> Self {
        Self { operation: Some(operation.into()), ..self }
    }

    /// Only calls to this region.
    pub fn region(self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Only calls of this account.
    pub fn account(self, account: impl Into<String>) -> Self {
        Self { account: Some(account.into()), ..self }
    }

    /// Only calls that name this: an id, a parameter.
    pub fn naming(self, name: impl Into<String>) -> Self {
        Self { naming: Some(name.into()), ..self }
    }

    /// Only that many calls.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Not the first so many calls.
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    fn meets(&self, call: &CallKey<'_>) -> bool {
        self.operation.as_deref().is_none_or(|pattern| pattern::matches(pattern, call.operation))
            && self.region.as_deref().is_none_or(|region| region == call.region)
            && self.account.as_deref().is_none_or(|account| account == call.account)
            && self.service.is_none_or(|service| service == call.service)
            && self.naming.as_deref().is_none_or(|name| call.params.name(name))
    }
}

/// What a fault may ask about a call.
pub(crate) struct CallKey<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) params: &'a Params,
}

/// What the faults together do to one call.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) delay: SignedDuration,
    pub(crate) effect: Option<Effect>,
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    last_id: u64,
    active: BTreeMap<u64, Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.active.insert(self.last_id, fault);
        self.last_id
    }

    pub(crate) fn list(&self) -> &BTreeMap<u64, Fault> {
        &self.active
    }

    pub(crate) fn clear(&mut self, id: u64) -> bool {
        self.active.remove(&id).is_some()
    }

    pub(crate) fn clear_all(&mut self) {
        self.active.clear();
    }

    /// Spends what the call meets, oldest fault first: delays add up, and the first other effect decides.
    pub(crate) fn meet(&mut self, call: &CallKey<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for fault in self.active.values_mut().filter(|fault| fault.meets(call)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
            if let Effect::Delay(millis) = fault.effect {
                verdict.delay += SignedDuration::from_millis(i64::from(millis));
            } else {
                verdict.effect = Some(fault.effect.clone());
                break;
            }
        }
        self.active.retain(|_, fault| fault.times != Some(0));
        verdict
    }
}

/// What a throttled call is answered.
pub(crate) fn throttled(service: Service) -> ApiError {
    match service {
        Service::Ec2 => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503),
        Service::Ssm | Service::Kms => ApiError::new("ThrottlingException", "Rate exceeded"),
        Service::Sts => ApiError::new("Throttling", "Rate exceeded"),
    }
}

/// What a call is answered that went wrong inside.
pub(crate) fn internal(service: Service) -> ApiError {
    let code = match service {
        Service::Ssm => "InternalServerError",
        Service::Kms => "KMSInternalException",
        Service::Ec2 | Service::Sts => "InternalError",
    };
    ApiError::new(code, "An internal error has occurred").with_status(500)
}

/// What a denied call is answered.
pub(crate) fn denied(service: Service, caller: &str, operation: &str) -> ApiError {
    let action = format!("{}:{operation}", service.name());
    let message = format!("User: {caller} is not authorized to perform: {action}");
    match service {
        Service::Ec2 => ApiError::new(
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {message}"),
        )
        .with_status(403),
        Service::Ssm | Service::Kms => ApiError::new("AccessDeniedException", message),
        Service::Sts => ApiError::new("AccessDenied", message).with_status(403),
    }
}
