//! What one region holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::allowed_images::AllowedImages;
use crate::world::ebs_defaults::EbsDefaults;
use crate::world::ids::IMAGE;
use crate::world::image::Image;
use crate::world::instance::Instance;
use crate::world::key_pairs::KeyPair;
use crate::world::kms::Keys;
use crate::world::launch_template::LaunchTemplate;
use crate::world::public_access::PublicAccess;
use crate::world::recycle_bin::{Bin, Retention};
use crate::world::security_groups::SecurityGroup;
use crate::world::shelf::Shelf;
use crate::world::snapshot::Snapshot;
use crate::world::ssm::Parameters;
use crate::world::tokens::Token;
use crate::world::usage_reports::UsageReport;
use crate::world::volume::Volume;

/// Whether a region can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptIn {
    /// Enabled for everyone.
    OptInNotRequired,
    /// Enabled by choice.
    OptedIn,
    /// Not enabled: every call to it is refused.
    NotOptedIn,
}

impl OptIn {
    /// The word that DescribeRegions answers.
    pub fn name(self) -> &'static str {
        match self {
            OptIn::OptInNotRequired => "opt-in-not-required",
            OptIn::OptedIn => "opted-in",
            OptIn::NotOptedIn => "not-opted-in",
        }
    }
}

/// One region, with what all accounts have in it.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) opt_in: OptIn,
    /// The accounts that have chosen otherwise.
    pub(crate) opt_ins: BTreeMap<String, OptIn>,
    pub(crate) images: Shelf<Image>,
    pub(crate) snapshots: Shelf<Snapshot>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) launch_templates: BTreeMap<String, LaunchTemplate>,
    pub(crate) reports: BTreeMap<String, UsageReport>,
    /// The snapshots in the Recycle Bin.
    pub(crate) bin: Bin,
    /// By account.
    pub(crate) accounts: BTreeMap<String, Holdings>,
}

/// What is kept for each account in a region.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// The image that has a name, and until when it holds the name once it is gone.
    pub(crate) names: BTreeMap<String, NameHolder>,
    /// The ClientTokens that were seen, by operation and token.
    pub(crate) tokens: BTreeMap<String, Token>,
    /// How many image copies are in flight.
    pub(crate) copies: usize,
    pub(crate) keys: Keys,
    pub(crate) ebs: EbsDefaults,
    pub(crate) public_access: PublicAccess,
    pub(crate) retention: Retention,
    pub(crate) allowed_images: AllowedImages,
    pub(crate) parameters: Parameters,
    /// By id.
    pub(crate) security_groups: BTreeMap<String, SecurityGroup>,
    /// By name.
    pub(crate) key_pairs: BTreeMap<String, KeyPair>,
}

/// Who has a name.
#[derive(Debug)]
pub(crate) struct NameHolder {
    pub(crate) image: String,
    pub(crate) free_at: Option<Timestamp>,
}

impl Region {
    pub(crate) fn new(name: &str, opt_in: OptIn) -> Self {
        Self {
            name: name.to_owned(),
            opt_in,
            opt_ins: BTreeMap::new(),
            images: Shelf::new(),
            snapshots: Shelf::new(),
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            launch_templates: BTreeMap::new(),
            reports: BTreeMap::new(),
            bin: Bin::new(),
            accounts: BTreeMap::new(),
        }
    }

    pub(crate) fn opt_in_of(&self, account: &str) -> OptIn {
        self.opt_ins.get(account).copied().unwrap_or(self.opt_in)
    }

    pub(crate) fn holdings(&mut self, account: &str) -> &mut Holdings {
        self.accounts.entry(account.to_owned()).or_default()
    }

    /// Takes a name for a new image, or refuses.
    pub(crate) fn check_name(&self, cx: &Context, name: &str) -> Result<(), ApiError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
        if !(3..=128).contains(&name.chars().count()) || !name.chars().all(allowed) {
            return Err(ApiError::new(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and only the \
                 following characters: ( ) [ ] . / - ' @ _ and spaces",
            ));
        }
        let holder = self.accounts.get(&cx.account).and_then(|holdings| holdings.names.get(name));
        match holder {
            Some(NameHolder { image, free_at }) if free_at.is_none_or(|at| cx.now < at) => Err(ApiError::new(
                "InvalidAMIName.Duplicate",
                format!("AMI name {name} is already in use by AMI {image}"),
            )),
            _ => Ok(()),
        }
    }

    /// Adds an image, which takes its name.
    pub(crate) fn add_image(&mut self, image: Image) {
        let holder = NameHolder { image: image.id.clone(), free_at: None };
        self.holdings(&image.owner).names.insert(image.name.clone(), holder);
        self.images.insert(image.id.clone(), image);
    }

    /// The image, if the caller may see it.
    pub(crate) fn visible_image(&self, cx: &Context, id: &str) -> Result<&Image, ApiError> {
        IMAGE.check(id)?;
        let image = self.images.get(id).filter(|image| image.is_visible_to(cx) && !self.hides_image(cx, image));
        let image = image.ok_or_else(|| IMAGE.not_found(id))?;
        image.check_registered()?;
        Ok(image)
    }

    /// The image, if the caller may change it.
    pub(crate) fn owned_image(&mut self, cx: &Context, id: &str) -> Result<&mut Image, ApiError> {
        self.visible_image(cx, id)?;
        let image = self.images.get_mut(id).ok_or_else(|| IMAGE.not_found(id))?;
        if image.owner != cx.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")).with_status(403));
        }
        Ok(image)
    }

    /// The images that use a snapshot.
    pub(crate) fn users_of_snapshot<'r>(&'r self, snapshot: &'r str) -> impl Iterator<Item = &'r Image> {
        self.images
            .values()
            .filter(move |image| image.deregistered.is_none() && image.snapshots().any(|id| id == snapshot))
    }
}

impl World {
    /// Refuses another image where the account has as many as it may:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-quotas.html>.
    pub(crate) fn check_quota(&self, cx: &Context) -> Result<(), ApiError> {
        let limit = self.config.images;
        let images = self.region(cx)?.images.values();
        let held = images.filter(|image| image.owner == cx.account && image.counts());
        if held.count() >= limit {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("You have reached your quota of {limit} images in this region"),
            ));
        }
        Ok(())
    }

    /// The region that is called, if it can be used.
    pub(crate) fn region(&self, cx: &Context) -> Result<&Region, ApiError> {
        self.regions
            .get(&cx.region)
            .filter(|region| region.opt_in_of(&cx.account) != OptIn::NotOptedIn)
            .ok_or_else(region_refused)
    }

    /// [`World::region`], to change it.
    pub(crate) fn region_mut(&mut self, cx: &Context) -> Result<&mut Region, ApiError> {
        self.regions
            .get_mut(&cx.region)
            .filter(|region| region.opt_in_of(&cx.account) != OptIn::NotOptedIn)
            .ok_or_else(region_refused)
    }
}

fn region_refused() -> ApiError {
    ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials").with_status(401)
}
