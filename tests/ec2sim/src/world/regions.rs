//! The regions there are, and DescribeRegions.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one, written};
use crate::world::region::{OptIn, Region};
use crate::world::tags::Tags;

const ENABLED_FOR_ALL: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

const TO_OPT_IN: [&str; 17] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// The commercial regions, as an account finds them that has opted in to none.
pub(crate) fn all() -> BTreeMap<String, Region> {
    let of = |names: [&'static str; 17], opt_in| names.map(|name| (name.to_owned(), Region::new(name, opt_in)));
    of(ENABLED_FOR_ALL, OptIn::OptInNotRequired).into_iter().chain(of(TO_OPT_IN, OptIn::NotOptedIn)).collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeRegions {
    #[serde(default, rename = "RegionName")]
    region_names: Vec<String>,
    #[serde(default)]
    all_regions: bool,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
}

/// A region as the filters of DescribeRegions see it.
struct Listed {
    name: String,
    endpoint: String,
    opt_in: OptIn,
}

/// Regions have no tags.
static NO_TAGS: Tags = Tags::new();

impl Filtered for Listed {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("endpoint", |region| one(&region.endpoint)),
        ("opt-in-status", |region| written(region.opt_in.name())),
        ("region-name", |region| one(&region.name)),
    ];

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl World {
    pub(crate) fn describe_regions(&mut self, cx: &Context, input: DescribeRegions) -> Result<Xml, ApiError> {
        self.region(cx)?;
        let matcher = Matcher::new(&input.filters)?;
        if let Some(unknown) = input.region_names.iter().find(|name| !self.regions.contains_key(*name)) {
            return Err(ApiError::invalid(format!("Invalid region provided: {unknown}")));
        }
        let named = |region: &&Region| input.region_names.is_empty() || input.region_names.contains(&region.name);
        // A region that is named is shown whether it is enabled or not:
        // <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>.
        let all = input.all_regions || !input.region_names.is_empty();
        let shown = |region: &&Region| all || region.opt_in_of(&cx.account) != OptIn::NotOptedIn;
        let regions = self.regions.values().filter(named).filter(shown).map(|region| Listed {
            name: region.name.clone(),
            endpoint: format!("ec2.{}.amazonaws.com", region.name),
            opt_in: region.opt_in_of(&cx.account),
        });
        let mut x = Xml::new();
        x.list("regionInfo", regions.filter(|region| matcher.passes(region, &cx.account)), |x, region| {
            x.text("regionName", &region.name)
                .text("regionEndpoint", &region.endpoint)
                .text("optInStatus", region.opt_in.name());
        });
        Ok(x)
    }
}
