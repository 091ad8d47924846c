//! Attributes of an image: launch permissions and the description can be changed, some others only read.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{after, written as date};
use crate::world::copies::check_description;
use crate::world::image::{Grant, Image};
use crate::world::lifecycle::TWO_YEARS;
use crate::world::region::Region;

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
    user_id: Option<String>,
    group: Option<String>,
    organization_arn: Option<String>,
    organizational_unit_arn: Option<String>,
}

impl World {
    pub(crate) fn describe_image_attribute(
        &mut self,
        cx: &Context,
        input: AttributeInput,
    ) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        let image = region.visible_image(cx, &input.image_id)?;
        if image.owner != cx.account {
            return Err(ApiError::new(
                "AuthFailure",
                format!("Not authorized for image:{}", image.id),
            )
            .with_status(403));
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
            "deregistrationProtection" => value(Some(image.protection_name(cx.now))),
            // Not there on images of this kind.
            "kernel" | "ramdisk" | "uefiData" => value(None),
            // No longer answered; AWS says so by this error.
            "blockDeviceMapping" => {
                return Err(ApiError::new(
                    "AuthFailure",
                    "Unauthorized attempt to access restricted resource",
                )
                .with_status(403));
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
            Change::ImdsSupport(version) => {
                region.owned_image(cx, &image)?.machine.imds_support = Some(version)
            }
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

    pub(crate) fn reset_image_attribute(
        &mut self,
        cx: &Context,
        input: AttributeInput,
    ) -> Result<Xml, ApiError> {
        if input.attribute != LAUNCH_PERMISSION {
            return Err(ApiError::invalid_value("attribute", &input.attribute));
        }
        self.region_mut(cx)?
            .owned_image(cx, &input.image_id)?
            .grants
            .clear();
        Ok(Xml::done())
    }
}

/// The one change of a call.
enum Change {
    Description(String),
    ImdsSupport(String),
    Permissions {
        add: BTreeSet<Grant>,
        remove: BTreeSet<Grant>,
    },
}

impl ModifyImageAttribute {
    fn change(self) -> Result<Change, ApiError> {
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
            return Err(ApiError::combination(
                "Only one attribute can be changed in a call",
            ));
        }
        let imds = self
            .imds_support
            .as_ref()
            .map(|support| support.value.clone());
        let named = self.attribute.as_deref() == Some(IMDS_SUPPORT);
        if let Some(version) = imds.or_else(|| self.value.clone().filter(|_| named)) {
            // It cannot be taken back.
            return match version.as_str() {
                "v2.0" => Ok(Change::ImdsSupport(version)),
                other => Err(ApiError::invalid_value("ImdsSupport", other)),
            };
        }
        if let Some(permissions) = self.launch_permission {
            return Ok(Change::Permissions {
                add: grants(permissions.add)?,
                remove: grants(permissions.remove)?,
            });
        }
        if listed {
            return self.listed_change();
        }
        match (
            self.description
                .map(|description| description.value)
                .or(self.value),
            self.attribute.as_deref(),
        ) {
            (Some(text), None | Some(DESCRIPTION)) => Ok(Change::Description(text)),
            (_, Some(other)) if other != DESCRIPTION => {
                Err(ApiError::invalid_value("attribute", other))
            }
            _ => Err(ApiError::new("InvalidRequest", "No attributes specified.")),
        }
    }

    fn listed_change(self) -> Result<Change, ApiError> {
        let organizations = self.organizations.into_iter().map(|arn| Permission {
            organization_arn: Some(arn),
            ..Permission::default()
        });
        let units = self.organizational_units.into_iter().map(|arn| Permission {
            organizational_unit_arn: Some(arn),
            ..Permission::default()
        });
        let mut all = listed_grants(self.users, self.groups)?;
        all.extend(grants(organizations.chain(units).collect())?);
        match self.operation_type.as_deref() {
            Some("add") => Ok(Change::Permissions {
                add: all,
                remove: BTreeSet::new(),
            }),
            Some("remove") => Ok(Change::Permissions {
                add: BTreeSet::new(),
                remove: all,
            }),
            Some(other) => Err(ApiError::invalid_value("operationType", other)),
            None => Err(ApiError::missing("OperationType")),
        }
    }
}

/// The grants to listed accounts and groups.
pub(crate) fn listed_grants(
    users: Vec<String>,
    groups: Vec<String>,
) -> Result<BTreeSet<Grant>, ApiError> {
    let users = users.into_iter().map(|id| Permission {
        user_id: Some(id),
        ..Permission::default()
    });
    let groups = groups.into_iter().map(|group| Permission {
        group: Some(group),
        ..Permission::default()
    });
    grants(users.chain(groups).collect())
}

pub(crate) fn grants(permissions: Vec<Permission>) -> Result<BTreeSet<Grant>, ApiError> {
    permissions.into_iter().map(Permission::grant).collect()
}

impl Permission {
    fn grant(self) -> Result<Grant, ApiError> {
        match self {
            Permission {
                user_id: Some(id),
                group: None,
                organization_arn: None,
                organizational_unit_arn: None,
            } => {
                if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) {
                    Ok(Grant::Account(id))
                } else {
                    Err(ApiError::new(
                        "InvalidAMIAttributeItemValue",
                        format!("Invalid attribute item value \"{id}\" for userId item type"),
                    ))
                }
            }
            Permission {
                user_id: None,
                group: Some(group),
                organization_arn: None,
                organizational_unit_arn: None,
            } => {
                if group == "all" {
                    Ok(Grant::All)
                } else {
                    Err(ApiError::new(
                        "InvalidAMIAttributeItemValue",
                        format!("Invalid attribute item value \"{group}\" for group item type"),
                    ))
                }
            }
            Permission {
                user_id: None,
                group: None,
                organization_arn: Some(arn),
                organizational_unit_arn: None,
            } => check_arn(&arn, "organization/").map(|()| Grant::Organization(arn)),
            Permission {
                user_id: None,
                group: None,
                organization_arn: None,
                organizational_unit_arn: Some(arn),
            } => check_arn(&arn, "ou/").map(|()| Grant::OrganizationalUnit(arn)),
            _ => Err(ApiError::combination(
                "A launch permission names one account, group, organization or unit",
            )),
        }
    }
}

fn check_arn(arn: &str, kind: &str) -> Result<(), ApiError> {
    let resource = arn
        .strip_prefix("arn:aws:organizations::")
        .and_then(|rest| rest.split_once(':'));
    if resource.is_some_and(|(_, resource)| resource.starts_with(kind)) {
        Ok(())
    } else {
        Err(ApiError::invalid(format!(
            "Value ( {arn} ) is not the ARN of an {}",
            kind.trim_end_matches('/')
        )))
    }
}

/// An encrypted image cannot be public, and what the default key of EBS encrypts cannot be shared at all.
fn check_shareable(region: &Region, image: &str, add: &BTreeSet<Grant>) -> Result<(), ApiError> {
    let Some(image) = region.images.get(image).filter(|_| !add.is_empty()) else {
        return Ok(());
    };
    let mut encrypted = image
        .snapshots()
        .filter_map(|id| region.snapshots.get(id))
        .filter(|s| s.encrypted)
        .peekable();
    if add.contains(&Grant::All) && encrypted.peek().is_some() {
        return Err(ApiError::new(
            "InvalidParameter",
            "Images with encrypted snapshots cannot be made public",
        ));
    }
    if encrypted.any(|s| {
        s.key
            .as_ref()
            .is_some_and(|key| region.is_default_key(&image.owner, key))
    }) {
        return Err(ApiError::new(
            "InvalidParameter",
            "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
        ));
    }
    Ok(())
}

impl Region {
    /// Refuses to make an image public: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-intro.html>.
    fn check_public(&self, cx: &Context, image: &str, limit: usize) -> Result<(), ApiError> {
        if self.blocks_public_images(cx) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                "You can't publicly share this image because block public access for AMIs is enabled in this region",
            ));
        }
        let image = self.images.get(image);
        if image.is_some_and(|image| !image.machine.product_codes.is_empty()) {
            return Err(ApiError::new(
                "InvalidParameter",
                "Images with product codes cannot be made public",
            ));
        }
        let public = self.images.values().filter(|image| {
            image.owner == cx.account && image.deregistered.is_none() && image.is_public()
        });
        if public.count() >= limit {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("You have reached your quota of {limit} public images in this region"),
            ));
        }
        Ok(())
    }
}

fn write_permissions(x: &mut Xml, image: &Image) {
    x.list(LAUNCH_PERMISSION, &image.grants, |x, grant| grant.write(x));
}
