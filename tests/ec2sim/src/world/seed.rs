//! Puts things into the world that no call made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::ids::{IMAGE, INSTANCE, LAUNCH_TEMPLATE, SNAPSHOT};
use crate::world::image::{BlockDevice, Grant, Image, ImageState};
use crate::world::kms::key::{self, Key};
use crate::world::kms::{self, Encryption};
use crate::world::launch::Launch;
use crate::world::launch_template::{LaunchTemplate, TemplateData, Version};
use crate::world::machine::Machine;
use crate::world::performance::Performance;
use crate::world::region::{OptIn, Region};
use crate::world::snapshot::Snapshot;
use crate::world::tags::Tags;

/// An image to put into the world. What is left out gets a usual value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeedImage {
    /// The region.
    pub region: String,
    /// The owner; the default account if left out.
    pub account: Option<String>,
    /// What DescribeImages calls the owner, as `amazon`.
    pub owner_alias: Option<String>,
    /// The id.
    pub id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// Its state.
    pub state: ImageState,
    /// How many volumes, and so snapshots, it has.
    pub volumes: u32,
    /// The size of each in GiB.
    pub volume_size: u32,
    /// Whether the snapshots are encrypted.
    pub encrypted: bool,
    /// The key they are encrypted with: an id, alias or ARN.
    pub kms_key_id: Option<String>,
    /// Tags of image and snapshots.
    pub tags: BTreeMap<String, String>,
    /// When it was made; now if left out.
    pub creation_date: Option<Timestamp>,
    /// Whether everyone may launch it and copy its snapshots.
    pub public: bool,
    /// The accounts that may launch it and copy its snapshots.
    pub shared_with: Vec<String>,
    /// Whether its snapshots are shared as the image is.
    pub share_snapshots: bool,
    /// What it is made for.
    pub machine: Machine,
}

impl Default for SeedImage {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: None,
            owner_alias: None,
            id: None,
            name: None,
            description: None,
            state: ImageState::Available,
            volumes: 1,
            volume_size: 8,
            encrypted: false,
            kms_key_id: None,
            tags: BTreeMap::new(),
            creation_date: None,
            public: false,
            shared_with: Vec::new(),
            share_snapshots: true,
            machine: Machine::default(),
        }
    }
}

/// A KMS key to put into the world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeedKey {
    /// The region.
    pub region: String,
    /// The owner; the default account if left out.
    pub account: Option<String>,
    /// The key id.
    pub id: Option<String>,
    /// An alias, as `alias/golden`.
    pub alias: Option<String>,
    /// Whether it cannot be used.
    pub disabled: bool,
    /// The other accounts that may use it.
    pub shared_with: Vec<String>,
}

/// An instance to put into the world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeedInstance {
    /// The region.
    pub region: String,
    /// The owner; the default account if left out.
    pub account: Option<String>,
    /// The image it runs from.
    pub image: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A launch template to put into the world.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeedLaunchTemplate {
    /// The region.
    pub region: String,
    /// The owner; the default account if left out.
    pub account: Option<String>,
    /// Its name; its id if left out.
    pub name: Option<String>,
    /// The image that its first version names, which may be `resolve:ssm:/path`.
    pub image: String,
}

impl World {
    pub(crate) fn seed_context(&self, region: &str, account: Option<&String>) -> Result<Context, ApiError> {
        self.seed_region(region)?;
        let caller = self.identity(account.unwrap_or(&self.config.account));
        Ok(Context {
            now: self.now,
            region: region.to_owned(),
            account: caller.account.clone(),
            principals: self.principals(&caller.account),
            caller,
            fail_copy: None,
        })
    }

    fn seed_region(&self, region: &str) -> Result<&Region, ApiError> {
        self.regions
            .get(region)
            .ok_or_else(|| ApiError::new("InvalidRegion", format!("The region '{region}' does not exist")))
    }

    pub(crate) fn seed_region_mut(&mut self, region: &str) -> Result<&mut Region, ApiError> {
        self.regions
            .get_mut(region)
            .ok_or_else(|| ApiError::new("InvalidRegion", format!("The region '{region}' does not exist")))
    }

    /// Puts in an image with its snapshots and answers its id.
    pub(crate) fn seed_image(&mut self, seed: SeedImage) -> Result<String, ApiError> {
        let cx = self.seed_context(&seed.region, seed.account.as_ref())?;
        let id = seed.id.clone().unwrap_or_else(|| self.ids.resource(&IMAGE));
        IMAGE.check(&id)?;
        let name = seed.name.clone().unwrap_or_else(|| id.clone());
        self.seed_region(&seed.region)?.check_name(&cx, &name)?;
        let created = seed.creation_date.unwrap_or(cx.now);
        let mut grants: std::collections::BTreeSet<Grant> =
            seed.shared_with.iter().cloned().map(Grant::Account).collect();
        if seed.public {
            grants.insert(Grant::All);
        }
        let tags: Tags = seed.tags.iter().collect();
        let machine = self.machines.shared(seed.machine);
        let mut devices = Vec::with_capacity(seed.volumes as usize);
        for number in 0..seed.volumes {
            let template = Snapshot::new(self.ids.resource(&SNAPSHOT), &cx.account, seed.volume_size, created);
            let how = Encryption { asked: Some(seed.encrypted), key: seed.kms_key_id.as_deref() };
            let (encrypted, key) = self.encrypt(&cx, false, None, &how)?;
            let snapshot = Snapshot {
                description: format!("Created for {id}"),
                encrypted,
                key,
                grants: if seed.share_snapshots { grants.clone() } else { Default::default() },
                tags: tags.clone(),
                ..template
            };
            devices.push(BlockDevice {
                device_name: device_name(&machine, number),
                snapshot: Some(snapshot.id.clone()),
                size: seed.volume_size,
                volume_type: "gp3",
                performance: Performance::default(),
                encrypted,
                delete_on_termination: true,
            });
            self.seed_region_mut(&seed.region)?.snapshots.insert(snapshot.id.clone(), snapshot);
        }
        let image = Image {
            owner_alias: seed.owner_alias,
            description: seed.description,
            state: seed.state,
            devices,
            grants,
            tags,
            ..Image::new(id.clone(), &cx.account, name, machine, created)
        };
        self.seed_region_mut(&seed.region)?.add_image(image);
        Ok(id)
    }

    /// Puts in a key, or changes whether it can be used, and answers its ARN.
    pub(crate) fn seed_key(&mut self, seed: SeedKey) -> Result<String, ApiError> {
        let cx = self.seed_context(&seed.region, seed.account.as_ref())?;
        let fresh = self.ids.uuid();
        let sharers: Vec<&str> =
            std::iter::once(cx.account.as_str()).chain(seed.shared_with.iter().map(String::as_str)).collect();
        let policy = key::policy_for(&sharers);
        let keys = &mut self.seed_region_mut(&seed.region)?.holdings(&cx.account).keys;
        let known = seed.alias.as_ref().and_then(|alias| keys.aliases.get(alias)).cloned();
        let id = seed.id.or(known).unwrap_or(fresh);
        let key = keys.by_id.entry(id.clone()).or_insert_with(|| Key::new(id.clone(), &cx.account, cx.now));
        key.enabled = !seed.disabled;
        if !seed.shared_with.is_empty() {
            key.policy = policy;
        }
        if let Some(alias) = seed.alias {
            keys.aliases.insert(alias, id.clone());
        }
        Ok(kms::arn(&seed.region, &cx.account, &id))
    }

    /// Puts in a running instance and answers its id.
    pub(crate) fn seed_instance(&mut self, seed: SeedInstance) -> Result<String, ApiError> {
        let cx = self.seed_context(&seed.region, seed.account.as_ref())?;
        IMAGE.check(&seed.image)?;
        let launch = Launch {
            image: seed.image,
            instance_type: "t3.micro".to_owned(),
            reservation: self.ids.resource(&INSTANCE).replacen("i-", "r-", 1),
            tags: seed.tags.iter().collect(),
            ..Launch::default()
        };
        let id = self.launch(&cx, launch)?;
        // What is put in runs already.
        let instances = &mut self.seed_region_mut(&seed.region)?.instances;
        if let Some(instance) = instances.get_mut(&id) {
            instance.settles = cx.now;
        }
        Ok(id)
    }

    /// Puts in a launch template and answers its id.
    pub(crate) fn seed_launch_template(&mut self, seed: SeedLaunchTemplate) -> Result<String, ApiError> {
        let cx = self.seed_context(&seed.region, seed.account.as_ref())?;
        let id = self.ids.resource(&LAUNCH_TEMPLATE);
        let data = TemplateData { image_id: Some(seed.image), ..TemplateData::default() };
        let first = Version { number: 1, description: None, created: cx.now, data };
        let template = LaunchTemplate {
            id: id.clone(),
            owner: cx.account,
            name: seed.name.unwrap_or_else(|| id.clone()),
            created: cx.now,
            default_version: 1,
            last: 1,
            versions: BTreeMap::from([(1, first)]),
            tags: Tags::new(),
        };
        self.seed_region_mut(&seed.region)?.launch_templates.insert(id.clone(), template);
        Ok(id)
    }

    /// Enables a region or switches it off.
    pub(crate) fn set_opt_in(&mut self, region: &str, opt_in: OptIn) -> Result<(), ApiError> {
        let region = self.seed_region_mut(region)?;
        region.opt_in = opt_in;
        region.opt_ins.clear();
        Ok(())
    }

    /// Enables a region for one account, or switches it off.
    pub(crate) fn set_account_opt_in(&mut self, region: &str, account: &str, opt_in: OptIn) -> Result<(), ApiError> {
        let region = self.seed_region_mut(region)?;
        region.opt_ins.insert(account.to_owned(), opt_in);
        Ok(())
    }
}

/// `/dev/xvda` for the root, then `/dev/xvdb` and so on.
fn device_name(machine: &Machine, number: u32) -> String {
    match number {
        0 => machine.root_device_name.clone(),
        number => {
            let letter = u8::try_from(number).ok().and_then(|n| b'a'.checked_add(n)).unwrap_or(b'z');
            format!("/dev/xvd{}", char::from(letter))
        }
    }
}
