//! Permissions as calls give them, and what can be shared with whom.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::image::{Grant, Image};
use crate::world::region::Region;

/// The code of a permission for an image that cannot be read.
pub(crate) const INVALID_ITEM: &str = "InvalidAMIAttributeItemValue";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Changes {
    #[serde(default)]
    pub(crate) add: Vec<Permission>,
    #[serde(default)]
    pub(crate) remove: Vec<Permission>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Permission {
    pub(crate) user_id: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) organization_arn: Option<String>,
    pub(crate) organizational_unit_arn: Option<String>,
}

/// The grants to listed accounts and groups.
pub(crate) fn listed_grants(users: Vec<String>, groups: Vec<String>) -> Result<BTreeSet<Grant>, ApiError> {
    let users = users.into_iter().map(|id| Permission { user_id: Some(id), ..Permission::default() });
    let groups = groups.into_iter().map(|group| Permission { group: Some(group), ..Permission::default() });
    grants(users.chain(groups).collect())
}

pub(crate) fn grants(permissions: Vec<Permission>) -> Result<BTreeSet<Grant>, ApiError> {
    permissions.into_iter().map(Permission::grant).collect()
}

impl Permission {
    /// One of its members says whom it means.
    fn grant(self) -> Result<Grant, ApiError> {
        let members = (self.user_id, self.group, self.organization_arn, self.organizational_unit_arn);
        match members {
            (Some(id), None, None, None) if is_account(&id) => Ok(Grant::Account(id)),
            (Some(id), None, None, None) => Err(invalid_item(&id, "userId")),
            (None, Some(group), None, None) if group == "all" => Ok(Grant::All),
            (None, Some(group), None, None) => Err(invalid_item(&group, "group")),
            (None, None, Some(arn), None) => check_arn(&arn, "organization/").map(|()| Grant::Organization(arn)),
            (None, None, None, Some(arn)) => check_arn(&arn, "ou/").map(|()| Grant::OrganizationalUnit(arn)),
            _ => Err(ApiError::combination("A permission names one account, group, organization or unit")),
        }
    }
}

/// Refuses who is neither an account nor one of the words that stand for one.
pub(crate) fn check_users(users: &[String], words: &[&str]) -> Result<(), ApiError> {
    match users.iter().find(|user| !is_account(user) && !words.contains(&user.as_str())) {
        Some(user) => Err(ApiError::new("InvalidUserID.Malformed", format!("Invalid user id: \"{user}\""))),
        None => Ok(()),
    }
}

pub(crate) fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn invalid_item(value: &str, kind: &str) -> ApiError {
    ApiError::new(INVALID_ITEM, format!("Invalid attribute item value \"{value}\" for {kind} item type"))
}

fn check_arn(arn: &str, kind: &str) -> Result<(), ApiError> {
    let resource = arn.strip_prefix("arn:aws:organizations::").and_then(|rest| rest.split_once(':'));
    if resource.is_some_and(|(_, resource)| resource.starts_with(kind)) {
        Ok(())
    } else {
        Err(ApiError::invalid(format!("Value ( {arn} ) is not the ARN of an {}", kind.trim_end_matches('/'))))
    }
}

/// An encrypted image cannot be public, and what the default key of EBS encrypts cannot be shared at all.
pub(crate) fn check_shareable(region: &Region, image: &str, add: &BTreeSet<Grant>) -> Result<(), ApiError> {
    let Some(image) = region.images.get(image).filter(|_| !add.is_empty()) else {
        return Ok(());
    };
    let mut encrypted = image.snapshots().filter_map(|id| region.snapshots.get(id)).filter(|s| s.encrypted).peekable();
    if add.contains(&Grant::All) && encrypted.peek().is_some() {
        return Err(ApiError::new(
            "UnsupportedOperation",
            "Encrypted snapshots can't be shared publicly. Specify another snapshot.",
        ));
    }
    if encrypted.any(|s| s.key.as_ref().is_some_and(|key| region.is_default_key(&image.owner, key))) {
        return Err(ApiError::new(
            "InvalidParameter",
            "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
        ));
    }
    Ok(())
}

impl Region {
    /// Refuses to make an image public: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-intro.html>.
    pub(crate) fn check_public(&self, cx: &Context, image: &str, limit: usize) -> Result<(), ApiError> {
        if self.blocks_public_images(cx) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                "You can't publicly share this image because block public access for AMIs is enabled in this region",
            ));
        }
        let image = self.images.get(image);
        if image.is_some_and(|image| !image.machine.product_codes.is_empty()) {
            return Err(ApiError::new("InvalidParameter", "Images with product codes cannot be made public"));
        }
        let public = self
            .images
            .values()
            .filter(|image| image.owner == cx.account && image.deregistered.is_none() && image.is_public());
        if public.count() >= limit {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("You have reached your quota of {limit} public images in this region"),
            ));
        }
        Ok(())
    }
}

pub(crate) fn write_permissions(x: &mut Xml, image: &Image) {
    x.list("launchPermission", &image.grants, |x, grant| grant.write(x));
}
