//! DescribeImages and RegisterImage.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::copies::check_description;
use crate::world::devices::DeviceInput;
use crate::world::filters::{Filter, Matcher};
use crate::world::ids::{IMAGE, SNAPSHOT};
use crate::world::image::{BlockDevice, Grant, Image, ImageState};
use crate::world::machine::Machine;
use crate::world::paging::Paging;
use crate::world::region::Region;
use crate::world::tags::{self, TagSpecification};

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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RegisterImage {
    name: String,
    description: Option<String>,
    architecture: Option<String>,
    root_device_name: Option<String>,
    virtualization_type: Option<String>,
    sriov_net_support: Option<String>,
    ena_support: Option<bool>,
    boot_mode: Option<String>,
    imds_support: Option<String>,
    tpm_support: Option<String>,
    #[serde(default, rename = "BlockDeviceMapping")]
    devices: Vec<DeviceInput>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

impl World {
    pub(crate) fn describe_images(&mut self, cx: &Context, input: DescribeImages) -> Result<Xml, ApiError> {
        let paging = Paging::listing("imageIdSet", &input.image_ids, input.max_results, input.next_token.as_deref())?;
        // Only an answer that can go on in another page is cut off.
        let paging = if input.max_results.is_some() { paging.at_most(self.config.page) } else { paging };
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let keep = |image: &Image| {
            input.wants(cx, image) && !region.hides_image(cx, image) && matcher.passes(image, &cx.account)
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

    pub(crate) fn register_image(&mut self, cx: &Context, input: RegisterImage) -> Result<Xml, ApiError> {
        let created = [&IMAGE, &SNAPSHOT];
        let tags = tags::specified(&input.tag_specifications, &created, &IMAGE)?;
        let id = self.ids.resource(&IMAGE);
        let listed_from = after(cx.now, self.config.late_listing);
        input.check()?;
        self.check_quota(cx)?;
        let region = self.region_mut(cx)?;
        region.check_name(cx, &input.name)?;
        let root = input.root_device_name.ok_or_else(|| ApiError::missing("rootDeviceName"))?;
        let devices: Vec<BlockDevice> = input
            .devices
            .iter()
            .map(|device| device.check(region, cx))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        if !devices.iter().any(|device| device.device_name == root && device.snapshot.is_some()) {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                "The root device must have a snapshot in the block device mapping",
            ));
        }
        let machine = Machine {
            architecture: input.architecture.unwrap_or_else(|| "i386".to_owned()),
            root_device_name: root,
            virtualization_type: input.virtualization_type.unwrap_or_else(|| "paravirtual".to_owned()),
            ena_support: input.ena_support.unwrap_or(false),
            sriov_net_support: input.sriov_net_support,
            boot_mode: input.boot_mode,
            imds_support: input.imds_support,
            tpm_support: input.tpm_support,
            ..Machine::default()
        };
        let machine = self.machines.shared(machine);
        let region = self.region_mut(cx)?;
        let image = Image {
            description: input.description,
            listed_from,
            devices,
            tags,
            ..Image::new(id.clone(), &cx.account, input.name, machine, cx.now)
        };
        region.add_image(image);
        Ok(Xml::new().with("imageId", id))
    }
}

impl RegisterImage {
    /// The values that the members of the call can have.
    fn check(&self) -> Result<(), ApiError> {
        check_description(self.description.as_deref())?;
        let architectures = ["i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"];
        let members: [(&str, &Option<String>, &[&str]); 5] = [
            ("architecture", &self.architecture, &architectures),
            ("virtualizationType", &self.virtualization_type, &["hvm", "paravirtual"]),
            ("bootMode", &self.boot_mode, &["legacy-bios", "uefi", "uefi-preferred"]),
            ("imdsSupport", &self.imds_support, &["v2.0"]),
            ("tpmSupport", &self.tpm_support, &["v2.0"]),
        ];
        for (name, value, known) in members {
            if let Some(value) = value.as_deref().filter(|value| !known.contains(value)) {
                return Err(ApiError::invalid_value(name, value));
            }
        }
        let uefi = self.boot_mode.as_deref().is_some_and(|mode| mode.starts_with("uefi"));
        if self.tpm_support.is_some() && !uefi {
            return Err(ApiError::combination("A TPM needs the boot mode uefi"));
        }
        Ok(())
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

/// The images of these ids, or the error for those that the caller does not see.
fn named_images<'r>(region: &'r Region, cx: &Context, ids: &[String]) -> Result<Vec<&'r Image>, ApiError> {
    ids.iter().try_for_each(|id| IMAGE.check(id))?;
    let find = |id: &String| {
        region
            .images
            .get(id)
            .filter(|image| image.is_visible_to(cx) && image.is_listed(cx.now))
            .filter(|image| !region.hides_image(cx, image))
    };
    let missing: Vec<&str> = ids.iter().filter(|id| find(id).is_none()).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(IMAGE.not_found(&missing.join(", ")));
    }
    Ok(ids.iter().filter_map(find).collect())
}
