//! Manifests, as the people of a history write and change them, some of them senseless.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

/// The regions of every history.
pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-2"];
/// The objects of every history.
pub(crate) const OBJECTS: [&str; 2] = ["web", "db"];
/// The namespace of the objects.
pub(crate) const NAMESPACE: &str = "images";
/// How many sources there are for each object; each is the source of the version of its number.
pub(crate) const SOURCES: usize = 6;
/// The number of the version that is copied from an image of amiops's.
const CHAINED: usize = SOURCES - 1;
/// The number of the source that another account owns and has shared.
pub(crate) const FOREIGN: usize = SOURCES - 2;
/// The number of the version that is asked for at the very end; before, nobody knows of it.
pub(crate) const LAST: usize = SOURCES;
/// The account of amiops, and another.
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const OTHER_ACCOUNT: &str = "222222222222";
/// The key of each region.
pub(crate) const KEY: &str = "alias/golden";

/// A date before all others, and one after them.
const DATES: [&str; 2] = ["2020-02-29T23:59:59Z", "2031-01-01T00:00:00Z"];

/// A manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) object: &'static str,
    pub(crate) versions: Vec<Version>,
    pub(crate) regions: BTreeMap<&'static str, bool>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Channel and the number of its version; each publishes a parameter of its own, but a silent one.
    pub(crate) channels: BTreeMap<&'static str, usize>,
    /// The channel that publishes no parameter, if there is one.
    pub(crate) silent: Option<&'static str>,
    pub(crate) keep_last: Option<u32>,
    pub(crate) delete: bool,
    pub(crate) suspend: bool,
    /// The dates of release that the manifest gives, by the number of the version.
    pub(crate) released: BTreeMap<usize, &'static str>,
    /// Fields of the spec that nothing here depends on, by JSON pointer; `Null` leaves a field out.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// A version: its number decides its name, and mostly its source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) number: usize,
    pub(crate) adopt: bool,
    pub(crate) origin: Origin,
}

/// Where the content of a version comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// The image that was baked for it.
    Baked,
    /// An image that does not exist.
    Nowhere,
    /// An image that amiops made, of this object; which one is known when it is first applied.
    Replica(&'static str),
    /// Such an image, once known: its region and id.
    Image(String, String),
}

impl Version {
    pub(crate) fn name(&self) -> String {
        format!("1.{}", self.number)
    }

    /// Region and id of the source that the manifest names.
    pub(crate) fn source(&self, object: &str) -> (String, String) {
        match &self.origin {
            Origin::Nowhere => (REGIONS[0].to_owned(), "ami-0dead0dead0dead00".to_owned()),
            Origin::Image(region, id) => (region.clone(), id.clone()),
            Origin::Baked | Origin::Replica(_) => (REGIONS[0].to_owned(), source_id(object, self.number)),
        }
    }
}

/// The id of the image that was baked for a version of an object.
pub(crate) fn source_id(object: &str, number: usize) -> String {
    let object = OBJECTS.iter().position(|o| *o == object).unwrap_or(0xf);
    format!("ami-{:017x}", 0x00ab_0000 + object * 0x100 + number)
}

/// The parameter of a channel.
pub(crate) fn parameter(object: &str, channel: &str) -> String {
    format!("/golden/{object}/{channel}")
}

/// The object that publishes a parameter.
pub(crate) fn object_of(parameter: &str) -> &str {
    parameter.split('/').nth(2).unwrap_or_default()
}

impl Manifest {
    /// A manifest as a team would begin with.
    pub(crate) fn first(object: &'static str, rng: &mut Rng) -> Self {
        let versions = (0..rng.usize(1..4)).map(|number| version(number, rng)).collect::<Vec<_>>();
        let mut manifest = Self {
            object,
            regions: REGIONS.into_iter().map(|r| (r, rng.u8(..4) == 0)).collect(),
            tags: BTreeMap::from([("team".into(), object.into())]),
            channels: BTreeMap::from([("prod", versions[0].number)]),
            silent: [None, None, Some("staging"), Some("prod")][rng.usize(..4)],
            versions,
            keep_last: [None, Some(0), Some(0), Some(1)][rng.usize(..4)],
            delete: rng.bool(),
            suspend: false,
            released: BTreeMap::new(),
            fields: Vec::new(),
        };
        manifest.draw_particulars(&mut Rng::with_seed(!rng.clone().u64(..)));
        if rng.u8(..3) == 0 {
            manifest.regions.remove(REGIONS[2]);
        }
        manifest.mend_adoption();
        manifest
    }

    /// What stays as it is for as long as the object lives: dates of release, and how images are named.
    fn draw_particulars(&mut self, rng: &mut Rng) {
        if rng.u8(..4) == 0 {
            for _ in 0..2 {
                self.released.insert(rng.usize(..SOURCES), DATES[rng.usize(..2)]);
            }
        }
        if rng.u8(..4) == 0 {
            self.set("/nameTemplate", json!("{namespace}.{name}.{version}"));
        }
    }

    /// The manifest after somebody has edited it.
    pub(crate) fn edited(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        match rng.u8(..24) {
            0..=3 => manifest.add_version(rng),
            4..=7 => manifest.drop_version(rng),
            8..=12 => manifest.move_channel(rng),
            13 => manifest.keep_last = [None, Some(0), Some(1), Some(2)][rng.usize(..4)],
            14 | 22 => {
                let key = format!("key{}", rng.u8(..3));
                manifest.tags.insert(key, rng.u8(..3).to_string());
            }
            15 => manifest.toggle_region(rng),
            16 => manifest.suspend = !manifest.suspend,
            21 => manifest = self.with_other_source(rng),
            17..=20 => manifest = self.without_one([0, 0, 1][rng.usize(..3)], rng),
            _ if rng.bool() => manifest.hand_over_or_take_back(rng),
            _ => manifest.delete = !manifest.delete,
        }
        manifest.mend_adoption();
        manifest
    }

    fn add_version(&mut self, rng: &mut Rng) {
        let number = rng.usize(..SOURCES);
        if self.versions.iter().all(|v| v.number != number) {
            self.versions.push(version(number, rng));
        }
    }

    fn hand_over_or_take_back(&mut self, rng: &mut Rng) {
        if let Some(version) = rng.choice(&mut self.versions) {
            version.adopt = !version.adopt;
        }
    }

    /// Sometimes a version goes that a channel still points to: the API server refuses that.
    fn drop_version(&mut self, rng: &mut Rng) {
        if self.versions.is_empty() {
            return;
        }
        let index = rng.usize(..self.versions.len());
        let number = self.versions[index].number;
        let pointed_to = self.channels.values().any(|v| *v == number);
        if !pointed_to || rng.u8(..8) == 0 {
            self.versions.remove(index);
        }
    }

    /// The manifest in which a version names the source of another one, or of one of the other object: that is senseless, since a
    /// version does not change its content.
    pub(crate) fn with_other_source(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let another = rng.choice(&self.versions).map(|v| v.source(self.object));
        let another = another.map(|(region, id)| Origin::Image(region, id)).filter(|_| rng.bool());
        let other = another.unwrap_or_else(|| anything_baked(rng));
        if let Some(version) = rng.choice(&mut manifest.versions) {
            version.origin = other;
            version.adopt = rng.bool();
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest without a version that no channel points to, and with another retention.
    pub(crate) fn without_one(&self, keep_last: u32, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        manifest.keep_last = Some(keep_last);
        let pointed_to: Vec<_> = manifest.channels.values().copied().collect();
        let start = rng.usize(..manifest.versions.len().max(1));
        let free = |index: &usize| !pointed_to.contains(&manifest.versions[*index].number);
        let order = (start..manifest.versions.len()).chain(0..start);
        if let Some(index) = order.into_iter().find(free) {
            manifest.versions.remove(index);
        }
        manifest
    }

    /// The manifest as it is left before the object is deleted: mostly with its images to go, often without what was handed over
    /// or a channel.
    pub(crate) fn let_go(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        manifest.delete = rng.u8(..4) != 0;
        if rng.bool() {
            manifest.versions.iter_mut().for_each(|v| v.adopt = false);
        }
        if rng.u8(..3) == 0 {
            manifest.channels.pop_last();
        }
        manifest.suspend |= rng.u8(..12) == 0;
        manifest
    }

    /// The manifest without one of its regions, if it has more.
    pub(crate) fn without_region(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let gone = rng.choice(manifest.regions.keys().copied()).filter(|_| manifest.regions.len() > 1);
        manifest.regions.retain(|region, _| Some(*region) != gone);
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with a tag and a version more, one that was never asked for, and a channel that points to it.
    pub(crate) fn with_more(&self) -> Self {
        let mut manifest = self.clone();
        manifest.tags.insert("last".into(), "edit".into());
        manifest.versions.push(Version { number: LAST, adopt: false, origin: Origin::Baked });
        manifest.channels.insert("prod", LAST);
        manifest
    }

    /// A channel comes to point to another version, or goes.
    pub(crate) fn move_channel(&mut self, rng: &mut Rng) {
        let channel = ["prod", "staging"][rng.usize(..2)];
        match rng.usize(..=self.versions.len()) {
            0 => {
                self.channels.remove(channel);
            }
            index => {
                self.channels.insert(channel, self.versions[index - 1].number);
            }
        }
    }

    fn toggle_region(&mut self, rng: &mut Rng) {
        let region = REGIONS[rng.usize(..REGIONS.len())];
        if self.regions.remove(region).is_none() {
            self.regions.insert(region, rng.bool());
        }
        if self.regions.is_empty() {
            self.regions.insert(REGIONS[0], false);
        }
    }

    fn mend_adoption(&mut self) {
        let home = self.regions.contains_key(REGIONS[0]);
        self.versions.iter_mut().for_each(|v| v.adopt &= home);
    }

    /// Sets a field of the spec.
    pub(crate) fn set(&mut self, pointer: &'static str, value: Value) {
        self.fields.push((pointer, value));
    }

    /// The text that a field of the spec was set to last.
    fn field(&self, pointer: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(set, _)| *set == pointer).and_then(|(_, value)| value.as_str())
    }

    /// When a version was released, if the manifest says so.
    pub(crate) fn dates(&self, version: &str) -> Option<jiff::Timestamp> {
        let index = self.versions.iter().position(|v| v.name() == version)?;
        let field = self.field(&format!("/versions/{index}/releasedAt"));
        let date = field.or_else(|| self.released.get(&self.versions[index].number).copied())?;
        date.parse().ok()
    }

    /// The name that the copies of a version are given.
    pub(crate) fn image_name(&self, version: &str) -> String {
        let template = self.field("/nameTemplate").unwrap_or("{name}-{version}");
        template.replace("{name}", self.object).replace("{namespace}", NAMESPACE).replace("{version}", version)
    }

    /// Leaves a field of the spec out.
    pub(crate) fn drop_field(&mut self, pointer: &'static str) {
        self.fields.push((pointer, Value::Null));
    }

    /// The parameter that a channel publishes, if it does.
    pub(crate) fn published(&self, channel: &str) -> Option<String> {
        let spec = &self.to_json()["spec"];
        let found = spec["channels"].as_array()?.iter().find(|c| c["name"] == channel)?;
        found["publish"]["ssmParameter"].as_str().map(str::to_owned)
    }

    /// Whether it names a key that does not exist, so that copies fail as often as they are tried.
    pub(crate) fn lacks_its_key(&self) -> bool {
        self.fields.iter().any(|(pointer, _)| pointer.ends_with("/kmsKeyId"))
    }

    /// Whether the copies of a region are to be encrypted.
    pub(crate) fn encrypted(&self, region: &str) -> bool {
        self.regions.get(region).copied().unwrap_or_default()
    }

    /// Whether the manifest names an image as a source.
    pub(crate) fn has_source(&self, id: &str) -> bool {
        self.versions.iter().any(|v| v.source(self.object).1 == id)
    }

    /// Whether the manifest hands an image over.
    pub(crate) fn hands_over(&self, id: &str) -> bool {
        self.versions.iter().any(|v| v.adopt && v.source(self.object).1 == id)
    }

    /// Whether the manifest lists a version.
    pub(crate) fn lists(&self, version: &str) -> bool {
        self.versions.iter().any(|v| v.name() == version)
    }

    /// The manifest as an object.
    pub(crate) fn to_json(&self) -> Value {
        let versions: Vec<_> = self.versions.iter().map(|v| self.version_json(v)).collect();
        let region = |(region, encrypted): (&&str, &bool)| match encrypted {
            true => json!({"region": region, "kmsKeyId": KEY}),
            false => json!({"region": region}),
        };
        let channel = |(name, number): (&&str, &usize)| {
            let version = format!("1.{number}");
            match self.silent == Some(*name) {
                true => json!({"name": name, "version": version}),
                false => {
                    json!({"name": name, "version": version, "publish": {"ssmParameter": parameter(self.object, name)}})
                }
            }
        };
        let mut spec = json!({
            "versions": versions,
            "regions": self.regions.iter().map(region).collect::<Vec<_>>(),
            "tags": self.tags,
            "channels": self.channels.iter().map(channel).collect::<Vec<_>>(),
            "deletionPolicy": if self.delete { "Delete" } else { "Retain" },
            "suspend": self.suspend,
        });
        if let Some(keep_last) = self.keep_last {
            spec["retention"] = json!({"keepLast": keep_last});
        }
        for (pointer, value) in &self.fields {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
            let Some(parent) = spec.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
            match value {
                Value::Null => parent.remove(name),
                value => parent.insert(name.to_owned(), value.clone()),
            };
        }
        json!({
            "apiVersion": "amiops.dev/v1alpha1",
            "kind": "MachineImage",
            "metadata": {"name": self.object, "namespace": NAMESPACE},
            "spec": spec,
        })
    }

    fn version_json(&self, version: &Version) -> Value {
        let (region, id) = version.source(self.object);
        let image = json!({"region": region, "id": id, "adopt": version.adopt});
        let mut json = json!({"version": version.name(), "source": {"image": image}});
        if let Some(date) = self.released.get(&version.number) {
            json["releasedAt"] = json!(date);
        }
        json
    }
}

/// What was baked for any version of any object.
fn anything_baked(rng: &mut Rng) -> Origin {
    let object = OBJECTS[rng.usize(..OBJECTS.len())];
    Origin::Image(REGIONS[0].to_owned(), source_id(object, rng.usize(..SOURCES)))
}

/// The last number of each object is copied from what amiops itself made: of the other object, or of the same. Now and then two
/// versions name one source.
fn version(number: usize, rng: &mut Rng) -> Version {
    let adopt = rng.u8(..5) == 0;
    let exists = rng.u8(..60) != 0;
    match number {
        CHAINED => Version { number, adopt: false, origin: Origin::Replica(OBJECTS[rng.usize(..2)]) },
        _ if rng.u8(..12) == 0 => Version { number, adopt: rng.bool(), origin: anything_baked(rng) },
        _ => Version { number, adopt, origin: if exists { Origin::Baked } else { Origin::Nowhere } },
    }
}
