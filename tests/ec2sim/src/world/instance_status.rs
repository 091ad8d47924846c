//! DescribeInstanceStatus. Every check is passed as soon as an instance runs.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Filtered, Matcher, Values, maybe, one, written};
use crate::world::instance_filters::Seen;
use crate::world::paging::Paging;
use crate::world::tags::Tags;
use crate::world::zones::zone_id;

const CHECKS: [&str; 3] = ["systemStatus", "instanceStatus", "attachedEbsStatus"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeStatus {
    #[serde(rename = "IncludeManagedResources")]
    _include_managed: Option<bool>,
    #[serde(default, rename = "InstanceId")]
    instance_ids: Vec<String>,
    #[serde(default)]
    include_all_instances: bool,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// The status of an instance, as filters see it.
struct Status(Seen);

impl Status {
    fn is_running(&self) -> bool {
        self.0.state.name == "running"
    }

    fn check(&self) -> &'static str {
        if self.is_running() { "ok" } else { "not-applicable" }
    }

    /// How its one check went, if it was made.
    fn reachability(&self) -> Option<&'static str> {
        self.is_running().then_some("passed")
    }
}

impl Filtered for Status {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("availability-zone", |status| one(&status.0.instance.zone)),
        ("attached-ebs-status.status", |status| one(status.check())),
        ("availability-zone-id", |status| written(zone_id(&status.0.instance.zone))),
        ("instance-state-code", |status| written(status.0.state.code)),
        ("instance-state-name", |status| one(status.0.state.name)),
        ("instance-status.reachability", |status| maybe(status.reachability())),
        ("instance-status.status", |status| one(status.check())),
        ("system-status.reachability", |status| maybe(status.reachability())),
        ("system-status.status", |status| one(status.check())),
    ];

    fn is_absent(name: &str) -> bool {
        ["application-status.", "event.", "operator."].iter().any(|of| name.starts_with(of))
    }

    fn tags(&self) -> &Tags {
        &self.0.instance.tags
    }
}

impl World {
    pub(crate) fn describe_instance_status(&mut self, cx: &Context, input: DescribeStatus) -> Result<Xml, ApiError> {
        let ids = &input.instance_ids;
        let paging = Paging::listing("instancesSet", ids, input.max_results, input.next_token.as_deref())?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        for id in ids {
            region.owned_instance(cx, id)?;
        }
        let (page, token) = paging.page(&region.instances, |instance| {
            let status = Status(Seen::new(region, instance, cx.now));
            instance.owner == cx.account
                && instance.is_shown(cx.now)
                && (ids.is_empty() || ids.contains(&instance.id))
                && (input.include_all_instances || status.is_running())
                && matcher.passes(&status, &cx.account)
        });
        let mut x = Xml::new();
        x.list("instanceStatusSet", page, |x, instance| {
            let status = Status(Seen::new(region, instance, cx.now));
            x.text("instanceId", &instance.id)
                .text("availabilityZone", &instance.zone)
                .text("availabilityZoneId", zone_id(&instance.zone))
                .nest("instanceState", |x| status.0.state.write(x));
            for check in CHECKS {
                x.nest(check, |x| {
                    x.text("status", status.check());
                    if let Some(passed) = status.reachability() {
                        x.list("details", [passed], |x, passed| {
                            x.text("name", "reachability").text("status", passed);
                        });
                    }
                });
            }
        });
        x.maybe("nextToken", token);
        Ok(x)
    }
}
