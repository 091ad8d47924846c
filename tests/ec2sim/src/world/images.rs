//! DescribeImages.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::filters::{Apart, Filter, Matcher};
use crate::world::ids::IMAGE;
use crate::world::image::{Grant, Image, ImageState};
use crate::world::instance::{Instance, Phase};
use crate::world::paging::Paging;
use crate::world::permissions::check_users;
use crate::world::region::Region;

/// Who can be named as an owner, accounts apart.
const OWNERS: [&str; 5] = ["self", "amazon", "aws-backup-vault", "aws-marketplace", "microsoft"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeImages {
    #[serde(default, rename = "ExecutableBy")]
    executable_users: Vec<String>,
    #[serde(default, rename = "ImageId")]
    image_ids: Vec<String>,
    #[serde(default, rename = "Owner")]
    owners: Vec<String>,
    #[serde(default)]
    include_deprecated: bool,
    #[serde(default)]
    include_disabled: bool,
    max_results: Option<i64>,
    next_token: Option<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
}

impl World {
    pub(crate) fn describe_images(&mut self, cx: &Context, mut input: DescribeImages) -> Result<Xml, ApiError> {
        let paging = Paging::listing("imageIdSet", &input.image_ids, input.max_results, input.next_token.as_deref())?;
        // Only an answer that can go on in another page is cut off.
        let paging = if input.max_results.is_some() { paging.configured(&self.config) } else { paging };
        check_users(&input.owners, &OWNERS)?;
        check_users(&input.executable_users, &["self", "all"])?;
        let allowed = Apart::take(&mut input.filters, "image-allowed")?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let keep = |image: &Image| {
            input.wants(cx, image)
                && !region.hides_image(cx, image)
                && matcher.passes(image, &cx.account)
                && allowed.passes(|| region.image_allowed(cx, image).unwrap_or(true).to_string())
        };
        let (page, token) = if input.image_ids.is_empty() {
            paging.of_shelf(&region.images, keep)
        } else {
            let named = named_images(region, cx, &input.image_ids)?;
            (named.into_iter().filter(|image| keep(image)).collect(), None)
        };
        let mut x = Xml::new();
        x.list("imagesSet", page, |x, image| {
            image.write(x, cx);
            x.maybe("imageAllowed", region.image_allowed(cx, image));
        });
        x.maybe("nextToken", token);
        Ok(x)
    }
}

impl DescribeImages {
    /// Whether the image is among what is asked for, filters apart.
    fn wants(&self, cx: &Context, image: &Image) -> bool {
        let owned = image.owner == cx.account;
        image.is_listed(cx.now)
            && image.is_visible_to(cx)
            && (self.include_disabled || image.state != ImageState::Disabled)
            // Owners always see deprecated images, and so does who names the id.
            && (owned || self.include_deprecated || !self.image_ids.is_empty() || !image.is_deprecated(cx.now))
            && (self.owners.is_empty() || self.owners.iter().any(|owner| is_owner(owner, image, cx)))
            && (self.executable_users.is_empty()
                || self.executable_users.iter().any(|user| may_launch(user, image, cx)))
    }
}

fn is_owner(owner: &str, image: &Image, cx: &Context) -> bool {
    match owner {
        "self" => image.owner == cx.account,
        owner => image.owner == owner || image.owner_alias.as_deref() == Some(owner),
    }
}

/// Whether the image is shared explicitly with the user; `all` are public images. Of the caller also the organisation
/// counts, of other accounts only themselves:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>.
fn may_launch(user: &str, image: &Image, cx: &Context) -> bool {
    match user {
        "all" => image.is_public(),
        user if user == "self" || user == cx.account => {
            image.grants.iter().any(|grant| *grant != Grant::All && cx.principals.contains(grant))
        }
        account => image.grants.contains(&Grant::Account(account.to_owned())),
    }
}

/// The images of these ids, or the error for those that the caller does not see. One that is deregistered is not answered,
/// and is an error only when no instance refers to it any more:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>.
fn named_images<'r>(region: &'r Region, cx: &Context, ids: &[String]) -> Result<Vec<&'r Image>, ApiError> {
    ids.iter().try_for_each(|id| IMAGE.check(id))?;
    let find = |id: &String| {
        region
            .images
            .get(id)
            .filter(|image| image.is_visible_to(cx) && image.is_listed(cx.now))
            .filter(|image| !region.hides_image(cx, image))
    };
    let is_missing = |id: &&String| find(id).is_none() && !region.has_instances_of(cx, id);
    let missing: Vec<&str> = ids.iter().filter(is_missing).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(IMAGE.not_found(&missing.join(", ")));
    }
    // An id that is given twice is one image.
    let once = ids.iter().enumerate().filter(|(at, id)| !ids[..*at].contains(id));
    Ok(once.filter_map(|(_, id)| find(id)).collect())
}

impl Region {
    /// Whether a deregistered image lives on in instances of the caller.
    fn has_instances_of(&self, cx: &Context, id: &str) -> bool {
        let gone = self.images.get(id).is_some_and(|image| image.deregistered.is_some());
        let refers = |instance: &Instance| {
            instance.image == id && instance.owner == cx.account && instance.phase != Phase::Terminated
        };
        gone && self.instances.values().any(refers)
    }
}
