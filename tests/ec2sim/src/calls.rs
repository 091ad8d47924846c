//! The log of calls: what was asked, by whom, where, and how it went.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::request::{Params, Service};

/// One call of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When it arrived.
    pub time: Timestamp,
    /// The service called.
    pub service: Service,
    /// The operation called.
    pub operation: String,
    /// The region called.
    pub region: String,
    /// The account that called.
    pub account: String,
    /// The access key with which it was signed: tells callers of one account apart.
    pub access_key: String,
    /// `OK`, an error code, `DroppedRequest`, `DroppedReply` or `RegionDown`.
    pub code: String,
    /// Its parameters, long values cut.
    pub params: BTreeMap<String, String>,
}

/// How often one operation was called in one region by one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCount {
    /// The service called.
    pub service: Service,
    /// The operation called.
    pub operation: String,
    /// The region called.
    pub region: String,
    /// The account that called.
    pub account: String,
    /// How often.
    pub count: u64,
}

/// How many characters of a parameter the log keeps.
const VALUE_LENGTH: usize = 128;

/// The calls since the log was last reset.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: Vec<Call>,
}

impl CallLog {
    pub(crate) fn add(&mut self, call: Call) {
        self.calls.push(call);
    }

    pub(crate) fn list(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn counts(&self) -> Vec<CallCount> {
        let mut counts = BTreeMap::new();
        for Call { service, operation, region, account, .. } in &self.calls {
            *counts.entry((*service, operation, region, account)).or_insert(0) += 1;
        }
        let owned = |((service, operation, region, account), count): ((_, &String, &String, &String), _)| CallCount {
            service,
            operation: operation.clone(),
            region: region.clone(),
            account: account.clone(),
            count,
        };
        counts.into_iter().map(owned).collect()
    }

    pub(crate) fn reset(&mut self) {
        self.calls.clear();
    }
}

/// The parameters as the log keeps them.
pub(crate) fn summary(params: &Params) -> BTreeMap<String, String> {
    let short = |value: &str| value.chars().take(VALUE_LENGTH).collect();
    match params {
        Params::Query(params) => params.iter().map(|(name, value)| (name.clone(), short(value))).collect(),
        Params::Json(Value::Object(members)) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => (name.clone(), short(text)),
                other => (name.clone(), short(&other.to_string())),
            })
            .collect(),
        Params::Json(_) => BTreeMap::new(),
    }
}
