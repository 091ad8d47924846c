//! Request buckets: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>. Each account has for each
//! operation in each region a bucket of tokens that fills again by so many a second.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::request::{Context, Params, Request, Service};

/// How many tokens a bucket holds, and how many come back in a second.
struct Size {
    most: i64,
    refill: i64,
}

/// The buckets that have been used.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(String, String, String), Level>);

/// How full a bucket was at a moment, in thousandths of a token.
#[derive(Debug, Clone, Copy)]
struct Level {
    thousandths: i64,
    at: Timestamp,
}

impl Buckets {
    /// Takes a token for a call; whether there was one.
    pub(crate) fn take(&mut self, cx: &Context, request: &Request) -> bool {
        let (name, Size { most, refill }) = bucket(request);
        let key = (cx.account.clone(), cx.region.clone(), name.to_owned());
        let full = most * 1000;
        let level = self.0.entry(key).or_insert(Level { thousandths: full, at: cx.now });
        let passed = i64::try_from(cx.now.duration_since(level.at).as_millis()).unwrap_or(i64::MAX);
        let filled = level.thousandths.saturating_add(passed.saturating_mul(refill));
        level.thousandths = filled.min(full);
        level.at = cx.now;
        if level.thousandths < 1000 {
            return false;
        }
        level.thousandths -= 1000;
        true
    }
}

/// The bucket that a call takes from, by the name of its operation, and its size.
fn bucket(request: &Request) -> (&str, Size) {
    let size = |most, refill| Size { most, refill };
    let operation = request.operation.as_str();
    match request.service {
        Service::Ec2 => (operation, ec2_size(operation, &request.params)),
        Service::Ssm if operation.starts_with("Get") => ("Get*", size(40, 40)),
        Service::Ssm => (operation, size(3, 3)),
        Service::Sts | Service::Kms => (operation, size(100, 100)),
    }
}

fn ec2_size(operation: &str, params: &Params) -> Size {
    let (most, refill) = match operation {
        "CopyImage" => (100, 1),
        "DeregisterImage" | "ModifyImageAttribute" | "ModifySnapshotAttribute" | "DeleteSnapshot" => (100, 5),
        "CreateTags" | "DeleteTags" => (100, 10),
        "DescribeSnapshots" if is_unfiltered(params) => (50, 10),
        read if ["Describe", "Get", "List"].iter().any(|verb| read.starts_with(verb)) => (100, 20),
        _ => (50, 5),
    };
    Size { most, refill }
}

fn is_unfiltered(params: &Params) -> bool {
    match params {
        Params::Query(params) => {
            !params.keys().any(|name| name.starts_with("Filter.") || name.starts_with("SnapshotId."))
        }
        Params::Json(_) => false,
    }
}
