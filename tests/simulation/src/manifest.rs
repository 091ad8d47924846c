//! Manifests, as the people of a history write and change them, some of them senseless.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The regions of every history.
pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-2"];
/// The objects of every history.
pub(crate) const OBJECTS: [&str; 2] = ["web", "db"];
/// The namespace of the objects.
pub(crate) const NAMESPACE: &str = "images";
/// Another namespace.
pub(crate) const NEIGHBOURS: &str = "neighbours";
/// How many sources there are for each object; each is the source of the version of its number.
pub(crate) const SOURCES: usize = 6;
/// The number of the source that another account owns and has shared.
pub(crate) const FOREIGN: usize = SOURCES - 2;
/// The number of the version that is asked for at the very end; before, nobody knows of it.
pub(crate) const LAST: usize = SOURCES;
/// The account of amiops, and another.
pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const OTHER_ACCOUNT: &str = "222222222222";
/// The key of each region.
pub(crate) const KEY: &str = "alias/golden";

/// The finalizer of somebody else, and that of amiops.
pub(crate) const GUARD: &str = "backup.example.com/copied";
pub(crate) const FINALIZER: &str = "amiops.dev/retire";

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
    /// Whether somebody else's finalizer holds the object too.
    pub(crate) guarded: bool,
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

    /// Has new images named in another way.
    pub(crate) fn rename_images(&mut self) {
        let templates = ["{name}-{version}", "{namespace}.{name}.{version}"];
        let other =
            templates.into_iter().find(|template| self.field("/nameTemplate").unwrap_or(templates[0]) != *template);
        other.into_iter().for_each(|template| self.set("/nameTemplate", json!(template)));
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
        let mut metadata = json!({"name": self.object, "namespace": NAMESPACE});
        if self.guarded {
            metadata["finalizers"] = json!([GUARD]);
        }
        json!({"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "metadata": metadata, "spec": spec})
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

/// Whether an object has a finalizer.
pub(crate) fn is_held(object: &Value, finalizer: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|held| held.iter().any(|f| f == finalizer))
}
