//! Attributes of an image: launch permissions and the description can be changed, some others only read.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::written as date;
use crate::world::image::{Grant, Image};
use crate::world::region::Region;

const LAUNCH_PERMISSION: &str = "launchPermission";
const DESCRIPTION: &str = "description";

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
struct Changes {
    #[serde(default)]
    add: Vec<Permission>,
    #[serde(default)]
    remove: Vec<Permission>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Permission {
    user_id: Option<String>,
    group: Option<String>,
    organization_arn: Option<String>,
    organizational_unit_arn: Option<String>,
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
            "imdsSupport" => value(image.machine.imds_support.as_deref()),
            "tpmSupport" => value(image.machine.tpm_support.as_deref()),
            "sriovNetSupport" => value(image.machine.sriov_net_support.as_deref()),
            "lastLaunchedTime" => value(image.last_launched.map(date).as_deref()),
            "deregistrationProtection" => value(Some(image.protection_name(cx.now))),
            "blockDeviceMapping" => image.write_devices(&mut x),
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
        let region = self.region_mut(cx)?;
        match change {
            Change::Description(text) => region.owned_image(cx, &image)?.description = Some(text),
            Change::ImdsSupport(version) => region.owned_image(cx, &image)?.machine.imds_support = Some(version),
            Change::Permissions { add, remove } => {
                region.owned_image(cx, &image)?.check_available()?;
                check_shareable(region, &image, &add)?;
                let image = region.owned_image(cx, &image)?;
                image.grants.extend(add);
                image.grants.retain(|grant| !remove.contains(grant));
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
        if let Some(support) = self.imds_support {
            return Ok(Change::ImdsSupport(support.value));
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
            _ => Err(ApiError::new("InvalidRequest", "No attributes specified.")),
        }
    }

    fn listed_change(self) -> Result<Change, ApiError> {
        let permission = Permission::default;
        let all = (self.users.into_iter().map(|id| Permission { user_id: Some(id), ..permission() }))
            .chain(self.groups.into_iter().map(|group| Permission { group: Some(group), ..permission() }))
            .chain(self.organizations.into_iter().map(|arn| Permission { organization_arn: Some(arn), ..permission() }))
            .chain(
                self.organizational_units
                    .into_iter()
                    .map(|arn| Permission { organizational_unit_arn: Some(arn), ..permission() }),
            );
        let all = grants(all.collect())?;
        match self.operation_type.as_deref() {
            Some("add") => Ok(Change::Permissions { add: all, remove: BTreeSet::new() }),
            Some("remove") => Ok(Change::Permissions { add: BTreeSet::new(), remove: all }),
            Some(other) => Err(ApiError::invalid_value("operationType", other)),
            None => Err(ApiError::missing("OperationType")),
        }
    }
}

fn grants(permissions: Vec<Permission>) -> Result<BTreeSet<Grant>, ApiError> {
    permissions.into_iter().map(Permission::grant).collect()
}

impl Permission {
    fn grant(self) -> Result<Grant, ApiError> {
        match self {
            Permission { user_id: Some(id), group: None, organization_arn: None, organizational_unit_arn: None } => {
                if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) {
                    Ok(Grant::Account(id))
                } else {
                    Err(ApiError::new(
                        "InvalidAMIAttributeItemValue",
                        format!("Invalid attribute item value \"{id}\" for userId item type"),
                    ))
                }
            }
            Permission { user_id: None, group: Some(group), organization_arn: None, organizational_unit_arn: None } => {
                if group == "all" {
                    Ok(Grant::All)
                } else {
                    Err(ApiError::new(
                        "InvalidAMIAttributeItemValue",
                        format!("Invalid attribute item value \"{group}\" for group item type"),
                    ))
                }
            }
            Permission { user_id: None, group: None, organization_arn: Some(arn), organizational_unit_arn: None } => {
                check_arn(&arn, "organization/").map(|()| Grant::Organization(arn))
            }
            Permission { user_id: None, group: None, organization_arn: None, organizational_unit_arn: Some(arn) } => {
                check_arn(&arn, "ou/").map(|()| Grant::OrganizationalUnit(arn))
            }
            _ => Err(ApiError::combination("A launch permission names one account, group, organization or unit")),
        }
    }
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
fn check_shareable(region: &Region, image: &str, add: &BTreeSet<Grant>) -> Result<(), ApiError> {
    let Some(image) = region.images.get(image).filter(|_| !add.is_empty()) else {
        return Ok(());
    };
    let mut encrypted = image.snapshots().filter_map(|id| region.snapshots.get(id)).filter(|s| s.encrypted).peekable();
    if add.contains(&Grant::All) && encrypted.peek().is_some() {
        return Err(ApiError::new("InvalidParameter", "Images with encrypted snapshots cannot be made public"));
    }
    if encrypted.any(|s| s.key.as_ref().is_some_and(|key| region.is_default_key(&image.owner, key))) {
        return Err(ApiError::new(
            "InvalidParameter",
            "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
        ));
    }
    Ok(())
}

fn write_permissions(x: &mut Xml, image: &Image) {
    x.list(LAUNCH_PERMISSION, &image.grants, |x, grant| {
        match grant {
            Grant::All => x.text("group", "all"),
            Grant::Account(id) => x.text("userId", id),
            Grant::Organization(arn) => x.text("organizationArn", arn),
            Grant::OrganizationalUnit(arn) => x.text("organizationalUnitArn", arn),
        };
    });
}
