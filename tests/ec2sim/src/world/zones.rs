//! DescribeAvailabilityZones: three to a region.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one};
use crate::world::tags::Tags;

/// The letters of the zones of every region.
pub(crate) const LETTERS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeZones {
    #[serde(default, rename = "ZoneName")]
    names: Vec<String>,
    #[serde(default, rename = "ZoneId")]
    ids: Vec<String>,
    #[serde(rename = "AllAvailabilityZones")]
    _all: Option<bool>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
}

struct Zone {
    name: String,
    id: String,
    region: String,
}

/// Zones have no tags.
static NO_TAGS: Tags = Tags::new();

impl Filtered for Zone {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("group-name", |zone| one(&zone.region)),
        ("opt-in-status", |_| one("opt-in-not-required")),
        ("region-name", |zone| one(&zone.region)),
        ("state", |_| one("available")),
        ("zone-id", |zone| one(&zone.id)),
        ("zone-name", |zone| one(&zone.name)),
        ("zone-type", |_| one("availability-zone")),
    ];

    fn is_absent(name: &str) -> bool {
        matches!(name, "group-long-name" | "message" | "parent-zone-id" | "parent-zone-name")
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl World {
    pub(crate) fn describe_availability_zones(&mut self, cx: &Context, input: DescribeZones) -> Result<Xml, ApiError> {
        let matcher = Matcher::new(&input.filters)?;
        let zones = LETTERS.map(|letter| {
            let name = format!("{}{letter}", cx.region);
            Zone { id: zone_id(&name), name, region: cx.region.clone() }
        });
        if let Some(name) = input.names.iter().find(|name| !zones.iter().any(|zone| zone.name == **name)) {
            return Err(invalid_zone(name));
        }
        if let Some(id) = input.ids.iter().find(|id| !zones.iter().any(|zone| zone.id == **id)) {
            return Err(ApiError::invalid(format!("Invalid availability zone-id: [{id}]")));
        }
        let wanted = |zone: &Zone| {
            (input.names.is_empty() || input.names.contains(&zone.name))
                && (input.ids.is_empty() || input.ids.contains(&zone.id))
                && matcher.passes(zone, &cx.account)
        };
        let mut x = Xml::new();
        x.list("availabilityZoneInfo", zones.into_iter().filter(wanted), |x, zone| {
            x.text("zoneName", &zone.name)
                .text("zoneId", &zone.id)
                .text("groupName", &zone.region)
                .text("networkBorderGroup", &zone.region)
                .text("zoneState", "available")
                .text("regionName", &zone.region)
                .text("zoneType", "availability-zone")
                .text("optInStatus", "opt-in-not-required");
        });
        Ok(x)
    }
}

/// The id of a zone: `use1-az1` for `us-east-1a`.
pub(crate) fn zone_id(zone: &str) -> String {
    let letter = zone.bytes().next_back().unwrap_or(b'a');
    let short =
        zone.trim_end_matches(|c: char| c.is_ascii_lowercase()).split('-').enumerate().map(|(at, part)| match part {
            part if at == 0 => part,
            "northeast" => "ne",
            "southeast" => "se",
            part => part.get(..1).unwrap_or_default(),
        });
    format!("{}-az{}", short.collect::<String>(), letter.saturating_sub(b'a') + 1)
}

/// The refusal of a zone, of all operations but CreateVolume, which has a code of its own for it.
pub(crate) fn invalid_zone(zone: &str) -> ApiError {
    ApiError::invalid(format!("Invalid availability zone: [{zone}]"))
}

/// A zone is the region and a letter.
pub(crate) fn check_zone(cx: &Context, zone: &str) -> Result<(), ApiError> {
    match zone.strip_prefix(cx.region.as_str()) {
        Some(letter) if LETTERS.contains(&letter) => Ok(()),
        _ => Err(no_zone(zone)),
    }
}

/// The zone of the region that has an id.
pub(crate) fn zone_with_id(cx: &Context, id: &str) -> Result<String, ApiError> {
    let mut zones = LETTERS.iter().map(|letter| format!("{}{letter}", cx.region));
    zones.find(|zone| zone_id(zone) == id).ok_or_else(|| no_zone(id))
}

fn no_zone(named: &str) -> ApiError {
    ApiError::new("InvalidZone.NotFound", format!("The zone '{named}' does not exist."))
}
