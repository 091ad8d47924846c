//! Tags: their rules, and CreateTags, DeleteTags, DescribeTags.

use std::collections::BTreeMap;

pub(crate) use super::tag_set::{Tags, TagsOfOthers};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::filters::{Filter, Filtered, Matcher, Values, maybe, one};
use crate::world::ids::{IMAGE, INSTANCE, KEY_PAIR, Kind, LAUNCH_TEMPLATE, SECURITY_GROUP, SNAPSHOT, VOLUME};
use crate::world::paging::Paging;
use crate::world::region::Region;

const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 127;
const MAX_VALUE: usize = 256;
const MAX_RESOURCES: usize = 1000;

/// A tag as the caller writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"), deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// Tags that a call gives to what it creates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase", serialize = "camelCase"), deny_unknown_fields)]
pub(crate) struct TagSpecification {
    resource_type: String,
    #[serde(default, rename(deserialize = "Tag"))]
    tags: Vec<Tag>,
}

impl TagSpecification {
    pub(crate) fn write(&self, x: &mut Xml) {
        x.text("resourceType", &self.resource_type).list("tagSet", &self.tags, |x, tag| {
            x.text("key", &tag.key).text("value", tag.value.as_deref().unwrap_or_default());
        });
    }
}

/// The tags for one type of resource; refuses specifications of types that the call does not create.
pub(crate) fn specified(
    specifications: &[TagSpecification],
    created: &[&Kind],
    wanted: &Kind,
) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for (at, specification) in specifications.iter().enumerate() {
        let same = |s: &TagSpecification| s.resource_type == specification.resource_type;
        if specifications[..at].iter().any(same) {
            return Err(ApiError::invalid(format!(
                "Tag specification for '{}' is given twice",
                specification.resource_type
            )));
        }
        if !created.iter().any(|kind| kind.resource_type == specification.resource_type) {
            return Err(ApiError::invalid(format!(
                "'{}' is not a valid taggable resource type for this operation.",
                specification.resource_type
            )));
        }
        if specification.tags.is_empty() {
            return Err(ApiError::invalid("Tag specification must have at least one tag"));
        }
        if specification.resource_type == wanted.resource_type {
            add(&mut tags, &specification.tags)?;
        }
    }
    Ok(tags)
}

/// Adds tags under the rules of
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>; all or none.
pub(crate) fn add(tags: &mut Tags, new: &[Tag]) -> Result<(), ApiError> {
    for (at, Tag { key, value }) in new.iter().enumerate() {
        if new[..at].iter().any(|earlier| earlier.key == *key) {
            return Err(ApiError::invalid(format!("Duplicate tag key '{key}' specified.")));
        }
        let value = value.as_deref().unwrap_or_default();
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(ApiError::invalid(format!(
                "Tag key exceeds the maximum length of {MAX_KEY} characters or is empty"
            )));
        }
        if value.chars().count() > MAX_VALUE {
            return Err(ApiError::invalid(format!("Tag value exceeds the maximum length of {MAX_VALUE} characters")));
        }
        if is_reserved(key) {
            return Err(ApiError::invalid(format!(
                "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
            )));
        }
    }
    let mut changed = tags.clone();
    changed.extend(new.iter().map(|tag| (&tag.key, tag.value.as_deref().unwrap_or_default())));
    if changed.iter().filter(|(key, _)| !is_reserved(key)).count() > MAX_TAGS {
        return Err(ApiError::new("TagLimitExceeded", format!("More than {MAX_TAGS} tags specified")));
    }
    *tags = changed;
    Ok(())
}

/// Whether only AWS itself can give the tag.
fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Writes `tagSet`.
pub(crate) fn write(x: &mut Xml, tags: &Tags) {
    if !tags.is_empty() {
        x.list("tagSet", tags.iter(), |x, (key, value)| {
            x.text("key", key).text("value", value);
        });
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TagsInput {
    #[serde(rename = "ResourceId")]
    resources: Vec<String>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

/// Tags that are not seen yet.
#[derive(Debug)]
pub(crate) struct LandingTags {
    cx: Context,
    input: TagsInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeTags {
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// A tag as DescribeTags sees it.
struct Tagged {
    key: String,
    value: String,
    resource: String,
    resource_type: &'static str,
    itself: Tags,
}

impl Filtered for Tagged {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("key", |tag| one(&tag.key)),
        ("value", |tag| one(&tag.value)),
        ("resource-id", |tag| one(&tag.resource)),
        ("resource-type", |tag| maybe(Some(tag.resource_type))),
    ];

    fn tags(&self) -> &Tags {
        &self.itself
    }
}

impl World {
    pub(crate) fn create_tags(&mut self, cx: &Context, input: TagsInput) -> Result<Xml, ApiError> {
        if input.tags.is_empty() {
            return Err(ApiError::missing("Tag"));
        }
        let delay = self.config.late_tags;
        if delay.is_zero() {
            return self.change_tags(cx, &input.resources, |tags| add(tags, &input.tags));
        }
        // Refused at once, seen later.
        let region = self.region_mut(cx)?;
        for resource in &input.resources {
            add(&mut tags_of(region, cx, resource)?.clone(), &input.tags)?;
        }
        let landing = LandingTags { cx: cx.clone(), input };
        let at = after(cx.now, delay);
        self.agenda.add(at, Event::TagsLanded(Box::new(landing)));
        Ok(Xml::done())
    }

    /// Gives tags to those of the resources that are still there.
    pub(crate) fn land_tags(&mut self, LandingTags { cx, input }: LandingTags) {
        for resource in &input.resources {
            let one = std::slice::from_ref(resource);
            let _ = self.change_tags(&cx, one, |tags| add(tags, &input.tags));
        }
    }

    pub(crate) fn delete_tags(&mut self, cx: &Context, input: TagsInput) -> Result<Xml, ApiError> {
        self.change_tags(cx, &input.resources, |tags| {
            // Without tags, all go but those of AWS. A tag with a value goes only if it has that value.
            tags.retain(|key, value| {
                let named = |tag: &Tag| tag.key == key && tag.value.as_ref().is_none_or(|v| v == value);
                if input.tags.is_empty() { is_reserved(key) } else { !input.tags.iter().any(named) }
            });
            Ok(())
        })
    }

    fn change_tags(
        &mut self,
        cx: &Context,
        resources: &[String],
        change: impl Fn(&mut Tags) -> Result<(), ApiError>,
    ) -> Result<Xml, ApiError> {
        if resources.len() > MAX_RESOURCES {
            return Err(ApiError::invalid(format!("At most {MAX_RESOURCES} resources can be tagged at once")));
        }
        let region = self.region_mut(cx)?;
        // All or nothing: every resource is looked at before one is changed.
        for resource in resources {
            change(&mut tags_of(region, cx, resource)?.clone())?;
        }
        for resource in resources {
            change(tags_of(region, cx, resource)?)?;
        }
        Ok(Xml::done())
    }

    pub(crate) fn describe_tags(&mut self, cx: &Context, input: DescribeTags) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 5..=1000)?;
        let matcher = Matcher::new(&input.filters)?;
        let all = all_tags(self.region(cx)?, cx);
        let (page, token) = paging.page(&all, |tag| matcher.passes(tag, &cx.account));
        let mut x = Xml::new();
        x.list("tagSet", page, |x, tag| {
            x.text("resourceId", &tag.resource)
                .text("resourceType", tag.resource_type)
                .text("key", &tag.key)
                .text("value", &tag.value);
        });
        x.maybe("nextToken", token);
        Ok(x)
    }
}

fn tags_of<'r>(region: &'r mut Region, cx: &Context, id: &str) -> Result<&'r mut Tags, ApiError> {
    let kind = [&IMAGE, &SNAPSHOT, &INSTANCE, &VOLUME, &LAUNCH_TEMPLATE, &SECURITY_GROUP, &KEY_PAIR]
        .into_iter()
        .find(|kind| id.starts_with(kind.prefix));
    let Some(kind) = kind else {
        return Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid")));
    };
    kind.check(id)?;
    // What is shared can be tagged too; those tags only the account sees that gave them. The owner can tag what is in the
    // Recycle Bin.
    if kind.prefix == IMAGE.prefix && !region.is_in_bin(cx, id) {
        region.visible_image(cx, id)?;
    }
    if kind.prefix == SNAPSHOT.prefix && !region.is_in_bin(cx, id) {
        region.visible_snapshot(cx, id)?;
    }
    let owned = |owner: &String| *owner == cx.account;
    let tags = match kind.prefix {
        "ami-" => region.images.get_mut(id).map(|image| image.tags_by_mut(&cx.account)),
        "snap-" => {
            let deleted = region.bin.get_mut(id).map(|deleted| &mut deleted.snapshot);
            region.snapshots.get_mut(id).or(deleted).map(|snapshot| snapshot.tags_by_mut(&cx.account))
        }
        "vol-" => region.volumes.get_mut(id).filter(|v| owned(&v.owner)).map(|v| &mut v.tags),
        "sg-" => region.holdings(&cx.account).security_groups.get_mut(id).map(|g| &mut g.tags),
        "key-" => {
            let mut pairs = region.holdings(&cx.account).key_pairs.values_mut();
            pairs.find(|pair| pair.id == id).map(|pair| &mut pair.tags)
        }
        "i-" => region.instances.get_mut(id).filter(|i| owned(&i.owner)).map(|i| &mut i.tags),
        _ => region.launch_templates.get_mut(id).filter(|t| owned(&t.owner)).map(|t| &mut t.tags),
    };
    tags.ok_or_else(|| kind.not_found(id))
}

/// Every tag that the account gave in the region, in an order that pages can follow.
fn all_tags(region: &Region, cx: &Context) -> BTreeMap<String, Tagged> {
    let account = cx.account.as_str();
    let mut all = BTreeMap::new();
    let mut take = |kind: &Kind, id: &str, tags: &Tags| {
        for (key, value) in tags.iter() {
            let tag = Tagged {
                key: key.to_owned(),
                value: value.to_owned(),
                resource: id.to_owned(),
                resource_type: kind.resource_type,
                itself: Tags::from_iter([(key, value)]),
            };
            all.insert(format!("{id} {key}"), tag);
        }
    };
    for image in region.images.values().filter(|image| image.counts()) {
        let seen = image.owner == account || region.visible_image(cx, &image.id).is_ok();
        if let Some(tags) = image.tags_by(account).filter(|_| seen) {
            take(&IMAGE, &image.id, tags);
        }
    }
    for snapshot in region.snapshots.values() {
        if let Some(tags) = snapshot.tags_by(account).filter(|_| region.may_read(cx, snapshot)) {
            take(&SNAPSHOT, &snapshot.id, tags);
        }
    }
    let owned = |owner: &str| owner == account;
    let deleted = region.bin.values().map(|deleted| &deleted.snapshot);
    deleted.filter(|s| owned(&s.owner)).for_each(|s| take(&SNAPSHOT, &s.id, &s.tags));
    region.instances.values().filter(|i| owned(&i.owner)).for_each(|i| take(&INSTANCE, &i.id, &i.tags));
    region.volumes.values().filter(|v| owned(&v.owner)).for_each(|v| take(&VOLUME, &v.id, &v.tags));
    region.launch_templates.values().filter(|t| owned(&t.owner)).for_each(|t| take(&LAUNCH_TEMPLATE, &t.id, &t.tags));
    all
}
