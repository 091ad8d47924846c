//! Image usage reports: how much the other accounts use an image.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{after, written as date};
use crate::world::filters::{Filter, Filtered, Matcher, Values, one, written};
use crate::world::ids::USAGE_REPORT;
use crate::world::paging::Paging;
use crate::world::references::{INSTANCES, LAUNCH_TEMPLATES, ResourceType, TYPES, VERSION_DEPTH};
use crate::world::region::Region;
use crate::world::tags::{self, TagSpecification, Tags};

const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24 * 30);
const MAX_ACCOUNTS: usize = 200;
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageUsageResourceTypeOptionRequest.html>.
const USUAL_DEPTH: usize = 20;
const OPERATION: &str = "CreateImageUsageReport";

/// A report. Its content is as old as it is itself.
#[derive(Debug)]
pub(crate) struct UsageReport {
    id: String,
    owner: String,
    image: String,
    types: Vec<ResourceType>,
    accounts: Vec<String>,
    created: Timestamp,
    ready: Timestamp,
    error: Option<String>,
    entries: BTreeMap<String, Entry>,
    tags: Tags,
}

/// How often the resources of one type in one account use the image.
#[derive(Debug)]
struct Entry {
    report: String,
    image: String,
    account: String,
    resource_type: &'static str,
    count: usize,
    created: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateReport {
    image_id: String,
    #[serde(default, rename = "ResourceType")]
    types: Vec<ResourceType>,
    #[serde(default, rename = "AccountId")]
    accounts: Vec<String>,
    client_token: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeReports {
    #[serde(default, rename = "ImageId")]
    images: Vec<String>,
    #[serde(default, rename = "ReportId")]
    reports: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ReportInput {
    report_id: String,
}

/// A report at one moment, as filters see it.
struct Seen {
    state: &'static str,
    created: Timestamp,
    tags: Tags,
}

impl Filtered for Seen {
    const FIELDS: &'static [(&'static str, Values<Self>)] =
        &[("creation-time", |report| written(date(report.created))), ("state", |report| one(report.state))];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

static NO_TAGS: Tags = Tags::new();

impl Filtered for Entry {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("account-id", |entry| one(&entry.account)),
        ("creation-time", |entry| written(date(entry.created))),
        ("resource-type", |entry| one(entry.resource_type)),
    ];

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl UsageReport {
    fn state(&self, now: Timestamp) -> &'static str {
        match self.error {
            _ if now < self.ready => "pending",
            Some(_) => "error",
            None => "available",
        }
    }

    fn is_shown(&self, cx: &Context) -> bool {
        self.owner == cx.account && cx.now < after(self.created, KEPT_FOR)
    }
}

impl World {
    pub(crate) fn create_usage_report(&mut self, cx: &Context, input: CreateReport) -> Result<Xml, ApiError> {
        let asked = format!("{input:?}");
        let token = input.client_token.as_deref();
        if let Some(made) = self.remembered(cx, OPERATION, token, &asked)? {
            return Ok(Xml::new().with("reportId", made.concat()));
        }
        let created = [&USAGE_REPORT];
        let tags = tags::specified(&input.tag_specifications, &created, &USAGE_REPORT)?;
        self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        input.check()?;
        self.region(cx)?.check_reports(cx, &input.image_id)?;
        let id = self.ids.resource(&USAGE_REPORT);
        let entries = self.region(cx)?.usage(&input, cx, &id, self.config.report_lag);
        let report = UsageReport {
            id: id.clone(),
            owner: cx.account.clone(),
            image: input.image_id.clone(),
            types: input.types.clone(),
            accounts: input.accounts.clone(),
            created: cx.now,
            ready: after(cx.now, self.config.report_time),
            error: cx.fail_copy.clone(),
            entries,
            tags,
        };
        self.remember(cx, OPERATION, token, asked, vec![id.clone()])?;
        self.region_mut(cx)?.reports.insert(id.clone(), report);
        Ok(Xml::new().with("reportId", id))
    }

    pub(crate) fn describe_usage_reports(&mut self, cx: &Context, input: DescribeReports) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 1..=1000)?;
        let matcher: Matcher<'_, Seen> = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        input.check(region, cx)?;
        let (page, token) = paging.page(&region.reports, |report| {
            let seen = Seen { state: report.state(cx.now), created: report.created, tags: report.tags.clone() };
            input.wants(report, cx) && matcher.passes(&seen, &cx.account)
        });
        let mut x = Xml::new();
        x.list("imageUsageReportSet", page, |x, report| {
            let state = report.state(cx.now);
            x.text("reportId", &report.id)
                .text("imageId", &report.image)
                .list("resourceTypeSet", &report.types, |x, t| t.write(x))
                .list("accountIdSet", &report.accounts, |x, id| {
                    x.raw(id);
                })
                .text("state", state)
                .maybe("stateReason", report.error.as_ref().filter(|_| state == "error"))
                .text("creationTime", date(report.created))
                .text("expirationTime", date(after(report.created, KEPT_FOR)));
            tags::write(x, &report.tags);
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn describe_usage_report_entries(
        &mut self,
        cx: &Context,
        input: DescribeReports,
    ) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 1..=1000)?;
        let matcher: Matcher<'_, Entry> = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        input.check(region, cx)?;
        let ready = |report: &&UsageReport| input.wants(report, cx) && report.state(cx.now) == "available";
        let all: BTreeMap<String, &Entry> = region
            .reports
            .values()
            .filter(ready)
            .flat_map(|report| report.entries.iter().map(|(key, entry)| (key.clone(), entry)))
            .collect();
        let (page, token) = paging.page(&all, |entry: &&Entry| matcher.passes(*entry, &cx.account));
        let mut x = Xml::new();
        x.list("imageUsageReportEntrySet", page, |x, entry| {
            x.text("resourceType", entry.resource_type)
                .text("reportId", &entry.report)
                .text("usageCount", entry.count)
                .text("accountId", &entry.account)
                .text("imageId", &entry.image)
                .text("reportCreationTime", date(entry.created));
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn delete_usage_report(&mut self, cx: &Context, input: ReportInput) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        region.report(cx, &input.report_id)?;
        region.reports.remove(&input.report_id);
        Ok(Xml::done())
    }
}

impl CreateReport {
    fn check(&self) -> Result<(), ApiError> {
        if self.types.is_empty() {
            return Err(ApiError::missing("ResourceType"));
        }
        if self.accounts.len() > MAX_ACCOUNTS {
            return Err(ApiError::invalid(format!("At most {MAX_ACCOUNTS} accounts can be named")));
        }
        // Parameters are private to an account: no report tells of them.
        let known = |t: &&ResourceType| TYPES.contains(&t.name()) && !t.name().starts_with("ssm:");
        if let Some(unknown) = self.types.iter().find(|t| !known(t)) {
            return Err(ApiError::invalid_value("ResourceType", unknown.name()));
        }
        // Reports have no other option.
        if let Some(unknown) = self.types.iter().flat_map(ResourceType::options).find(|name| *name != VERSION_DEPTH) {
            return Err(ApiError::invalid_value("OptionName", unknown));
        }
        self.types.iter().try_for_each(ResourceType::check_options)
    }
}

impl DescribeReports {
    fn check(&self, region: &Region, cx: &Context) -> Result<(), ApiError> {
        self.reports.iter().try_for_each(|id| region.report(cx, id).map(|_| ()))
    }

    fn wants(&self, report: &UsageReport, cx: &Context) -> bool {
        report.is_shown(cx)
            && (self.reports.is_empty() || self.reports.contains(&report.id))
            && (self.images.is_empty() || self.images.contains(&report.image))
    }
}

impl Region {
    fn report(&self, cx: &Context, id: &str) -> Result<&UsageReport, ApiError> {
        USAGE_REPORT.check(id)?;
        self.reports.get(id).filter(|report| report.is_shown(cx)).ok_or_else(|| USAGE_REPORT.not_found(id))
    }

    /// Of an image one report can be pending:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>.
    fn check_reports(&self, cx: &Context, image: &str) -> Result<(), ApiError> {
        let mut reports = self.reports.values().filter(|report| report.owner == cx.account && report.image == image);
        if reports.any(|report| report.state(cx.now) == "pending") {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("A usage report of the image {image} is pending. Wait until it is complete."),
            ));
        }
        Ok(())
    }

    /// Counts the uses of an image by other accounts. What is younger than `lag` is not known yet.
    fn usage(&self, input: &CreateReport, cx: &Context, report: &str, lag: SignedDuration) -> BTreeMap<String, Entry> {
        let image = &input.image_id;
        let asked = |account: &String| {
            *account != cx.account && (input.accounts.is_empty() || input.accounts.contains(account))
        };
        let wanted = |name: &str| input.types.iter().any(|t| t.name() == name);
        let instances = self
            .instances
            .values()
            .filter(|i| i.image == *image && i.terminated.is_none() && after(i.launched, lag) <= cx.now);
        let asked_of_templates = input.types.iter().find(|t| t.name() == LAUNCH_TEMPLATES);
        let depth = asked_of_templates.map_or(USUAL_DEPTH, |asked| asked.version_depth(USUAL_DEPTH));
        let templates = self.launch_templates.values().filter(|template| {
            let mut newest = template.versions.values().rev().take(depth);
            newest.any(|version| version.data.image_id.as_ref() == Some(image))
        });
        let uses = instances
            .map(|instance| (&instance.owner, INSTANCES))
            .chain(templates.map(|template| (&template.owner, LAUNCH_TEMPLATES)))
            .filter(|(account, resource_type)| asked(account) && wanted(resource_type));
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (account, resource_type) in uses {
            entries
                .entry(format!("{report} {account} {resource_type}"))
                .or_insert_with(|| Entry {
                    report: report.to_owned(),
                    image: image.clone(),
                    account: account.clone(),
                    resource_type,
                    count: 0,
                    created: cx.now,
                })
                .count += 1;
        }
        entries
    }
}
