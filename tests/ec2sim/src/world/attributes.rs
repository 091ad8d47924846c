//! Attributes of an image: launch permissions and the description can be changed, some others only read.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{after, written_in_seconds as date};
use crate::world::copies::check_description;
use crate::world::image::Grant;
use crate::world::lifecycle::TWO_YEARS;
use crate::world::permissions::{Changes, Permission, check_shareable, grants, listed_grants, write_permissions};

const LAUNCH_PERMISSION: &str = "launchPermission";
const DESCRIPTION: &str = "description";
const IMDS_SUPPORT: &str = "imdsSupport";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AttributeInput {
    image_id: String,
    attribute: String,
}

/// ModifyImageAttribute has three ways to say the same: a structure, an operation type with lists, or a plain value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifyImageAttribute {
    image_id: String,
    attribute: Option<String>,
    description: Option<Value>,
    value: Option<String>,
    imds_support: Option<Value>,
    launch_permission: Option<Changes>,
    operation_type: Option<String>,
    #[serde(default, rename = "ProductCode")]
    product_codes: Vec<String>,
    #[serde(default, rename = "UserId")]
    users: Vec<String>,
    #[serde(default, rename = "UserGroup")]
    groups: Vec<String>,
    #[serde(default, rename = "OrganizationArn")]
    organizations: Vec<String>,
    #[serde(default, rename = "OrganizationalUnitArn")]
    organizational_units: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Value {
    value: String,
}

impl World {
    pub(crate) fn describe_image_attribute(&mut self, cx: &Context, input: AttributeInput) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        let image = region.visible_image(cx, &input.image_id)?;
        if image.owner != cx.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for image:{}", image.id)).with_status(403));
        }
        let mut x = Xml::new();
        x.text("imageId", &image.id);
        let mut value = |value: Option<&str>| {
            x.nest(&input.attribute, |x| {
                x.maybe("value", value);
            });
        };
        match input.attribute.as_str() {
            DESCRIPTION => value(image.description.as_deref()),
            "bootMode" => value(image.machine.boot_mode.as_deref()),
            IMDS_SUPPORT => value(image.machine.imds_support.as_deref()),
            "tpmSupport" => value(image.machine.tpm_support.as_deref()),
            "sriovNetSupport" => value(image.machine.sriov_net_support.as_deref()),
            "lastLaunchedTime" => value(image.last_launched.map(date).as_deref()),
            "deregistrationProtection" => value(Some(&image.protection_name(cx.now))),
            "kernel" => value(image.machine.kernel_id.as_deref()),
            "ramdisk" => value(image.machine.ramdisk_id.as_deref()),
            "uefiData" => value(image.machine.uefi_data.as_deref()),
            // No longer answered; AWS says so by this error.
            "blockDeviceMapping" => {
                return Err(
                    ApiError::new("AuthFailure", "Unauthorized attempt to access restricted resource").with_status(403)
                );
            }
            "productCodes" => image.write_product_codes(&mut x),
            LAUNCH_PERMISSION => write_permissions(&mut x, image),
            other => return Err(ApiError::invalid_value("attribute", other)),
        }
        Ok(x)
    }

    pub(crate) fn modify_image_attribute(
        &mut self,
        cx: &Context,
        input: ModifyImageAttribute,
    ) -> Result<Xml, ApiError> {
        let image = input.image_id.clone();
        let change = input.change()?;
        let (sharees, public_images) = (self.config.sharees, self.config.public_images);
        let region = self.region_mut(cx)?;
        match change {
            Change::Description(text) => {
                check_description(Some(&text))?;
                region.owned_image(cx, &image)?.description = Some(text);
            }
            Change::ImdsSupport(version) => region.owned_image(cx, &image)?.machine.own().imds_support = Some(version),
            Change::Permissions { add, remove } => {
                region.owned_image(cx, &image)?.check_available()?;
                check_shareable(region, &image, &add)?;
                let mut shared = region.owned_image(cx, &image)?.grants.clone();
                let was_public = shared.contains(&Grant::All);
                shared.extend(add);
                shared.retain(|grant| !remove.contains(grant));
                let made_public = !was_public && shared.contains(&Grant::All);
                if shared.iter().filter(|grant| **grant != Grant::All).count() > sharees {
                    return Err(ApiError::new(
                        "ResourceLimitExceeded",
                        format!("An image can be shared with at most {sharees}"),
                    ));
                }
                if made_public {
                    region.check_public(cx, &image, public_images)?;
                }
                let image = region.owned_image(cx, &image)?;
                image.grants = shared;
                if made_public {
                    // Public images are deprecated after two years unless that comes sooner anyway.
                    let last = after(image.created, TWO_YEARS);
                    let sooner = image.deprecated_from.filter(|at| *at < last);
                    image.deprecated_from = Some(sooner.unwrap_or(last));
                }
            }
        }
        Ok(Xml::done())
    }

    pub(crate) fn reset_image_attribute(&mut self, cx: &Context, input: AttributeInput) -> Result<Xml, ApiError> {
        if input.attribute != LAUNCH_PERMISSION {
            return Err(ApiError::invalid_value("attribute", &input.attribute));
        }
        self.region_mut(cx)?.owned_image(cx, &input.image_id)?.grants.clear();
        Ok(Xml::done())
    }
}

/// The one change of a call.
enum Change {
    Description(String),
    ImdsSupport(String),
    Permissions { add: BTreeSet<Grant>, remove: BTreeSet<Grant> },
}

impl ModifyImageAttribute {
    fn change(self) -> Result<Change, ApiError> {
        if !self.product_codes.is_empty() || self.attribute.as_deref() == Some("productCodes") {
            return Err(ApiError::new("OperationNotPermitted", "The account is not authorized to set product codes"));
        }
        let listed = !(self.users.is_empty()
            && self.groups.is_empty()
            && self.organizations.is_empty()
            && self.organizational_units.is_empty());
        let asked = [
            self.description.is_some() || self.value.is_some(),
            self.imds_support.is_some(),
            self.launch_permission.is_some() || listed,
        ];
        if asked.iter().filter(|asked| **asked).count() > 1 {
            return Err(ApiError::combination("Only one attribute can be changed in a call"));
        }
        let imds = self.imds_support.as_ref().map(|support| support.value.clone());
        let named = self.attribute.as_deref() == Some(IMDS_SUPPORT);
        if let Some(version) = imds.or_else(|| self.value.clone().filter(|_| named)) {
            // It cannot be taken back.
            return match version.as_str() {
                "v2.0" => Ok(Change::ImdsSupport(version)),
                other => Err(ApiError::invalid_value("ImdsSupport", other)),
            };
        }
        if let Some(permissions) = self.launch_permission {
            return Ok(Change::Permissions { add: grants(permissions.add)?, remove: grants(permissions.remove)? });
        }
        if listed {
            return self.listed_change();
        }
        match (self.description.map(|description| description.value).or(self.value), self.attribute.as_deref()) {
            (Some(text), None | Some(DESCRIPTION)) => Ok(Change::Description(text)),
            (_, Some(other)) if other != DESCRIPTION => Err(ApiError::invalid_value("attribute", other)),
            _ => Err(ApiError::combination("No attributes specified.")),
        }
    }

    fn listed_change(self) -> Result<Change, ApiError> {
        let organizations = self
            .organizations
            .into_iter()
            .map(|arn| Permission { organization_arn: Some(arn), ..Permission::default() });
        let units = self
            .organizational_units
            .into_iter()
            .map(|arn| Permission { organizational_unit_arn: Some(arn), ..Permission::default() });
        let mut all = listed_grants(self.users, self.groups)?;
        all.extend(grants(organizations.chain(units).collect())?);
        match self.operation_type.as_deref() {
            Some("add") => Ok(Change::Permissions { add: all, remove: BTreeSet::new() }),
            Some("remove") => Ok(Change::Permissions { add: BTreeSet::new(), remove: all }),
            Some(other) => Err(ApiError::invalid_value("operationType", other)),
            None => Err(ApiError::missing("OperationType")),
        }
    }
}
