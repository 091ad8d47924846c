//! What is really there: the simulators' state, read without going through the program under test.

use std::collections::BTreeMap;

use ec2sim::Sim;
use serde_json::Value;

use crate::manifest::NAMESPACE;

/// The owner id of the installation under test.
pub(crate) const INSTALLATION: &str = "sim";

/// An image that exists.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) protected: bool,
    pub(crate) shared: bool,
    pub(crate) made_from: Option<String>,
    pub(crate) snapshots: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A snapshot that exists.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A parameter that exists.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) value: String,
    /// Whether its data type is that of images. EC2 knows only those when it is asked what uses an image.
    pub(crate) is_typed: bool,
    pub(crate) modified: jiff::Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A use of an image.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) region: String,
    pub(crate) image: String,
    pub(crate) by: String,
    pub(crate) since: jiff::Timestamp,
}

/// Everything that exists in AWS.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) images: Vec<Image>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) uses: Vec<Use>,
}

impl State {
    /// What exists now.
    pub(crate) fn of(sim: &Sim) -> Self {
        let dump = sim.dump();
        let mut state = Self::default();
        for (region, content) in dump.as_object().into_iter().flatten() {
            let list = |key: &str| content[key].as_array().into_iter().flatten();
            let images = list("images").filter(|i| i["deregistered"].is_null());
            state.images.extend(images.map(|i| image(region, i)));
            state.snapshots.extend(list("snapshots").map(|s| snapshot(region, s)));
            let instances = list("instances").filter(|i| i["terminated"].is_null());
            state.uses.extend(instances.map(|i| instance(region, i)));
            state.uses.extend(list("launchTemplates").flat_map(|t| template(region, t)));
            let accounts = content["parameters"].as_object().into_iter().flatten();
            let parameters = accounts.flat_map(|(_, names)| names.as_object().into_iter().flatten());
            state.parameters.extend(parameters.map(|(name, p)| parameter(region, name, p)));
        }
        state
    }

    pub(crate) fn image(&self, region: &str, id: &str) -> Option<&Image> {
        self.images.iter().find(|i| i.region == region && i.id == id)
    }

    /// The image that has a snapshot.
    pub(crate) fn holder(&self, snapshot: &Snapshot) -> Option<&Image> {
        self.images.iter().find(|i| i.region == snapshot.region && i.snapshots.contains(&snapshot.id))
    }

    /// The images that amiops holds of a version of an object in a region, but failed ones.
    pub(crate) fn live(&self, region: &str, object: &str, version: &str) -> Vec<&Image> {
        let ours = |i: &&Image| i.region == region && i.belongs_to(object, version) && i.state != "failed";
        self.images.iter().filter(ours).collect()
    }
}

impl Image {
    /// Whether amiops made it, or was handed it, for a version of an object. A copy that somebody made together with its
    /// tags is not among these: EC2's record of its source differs from the tag.
    pub(crate) fn belongs_to(&self, object: &str, version: &str) -> bool {
        self.is_of(object) && self.tags.get("amiops.dev/version").is_some_and(|v| v == version)
    }

    pub(crate) fn is_of(&self, object: &str) -> bool {
        let source = self.tags.get("amiops.dev/source");
        let adopted = source == Some(&format!("{}/{}", self.region, self.id));
        let copied = !self.tags.contains_key("amiops.dev/adopted") && source == self.made_from.as_ref();
        owner_of(&self.tags).is_some_and(|o| o == object) && (adopted || copied)
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.tags.get("amiops.dev/version").map(String::as_str)
    }
}

/// The object that tags name as the owner, if it is one of this installation, and what they are on was not handed back.
pub(crate) fn owner_of(tags: &BTreeMap<String, String>) -> Option<&str> {
    if tags.get("amiops.dev/adopted").is_some_and(|adopted| adopted == "false") {
        return None;
    }
    let object = tags.get("amiops.dev/owner")?.strip_prefix(&format!("{INSTALLATION}/{NAMESPACE}/"));
    object.filter(|object| !object.contains('/'))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().and_then(|t| t.parse().ok()).unwrap_or_default()
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    let tags = value["tags"].as_object().into_iter().flatten();
    tags.map(|(key, value)| (key.clone(), text(value))).collect()
}

fn image(region: &str, value: &Value) -> Image {
    let origin = &value["origin"];
    let devices = value["devices"].as_array().into_iter().flatten();
    Image {
        region: region.into(),
        id: text(&value["id"]),
        account: text(&value["owner"]),
        name: text(&value["name"]),
        state: text(&value["state"]),
        protected: value["protection"] != "off",
        shared: value["grants"].as_array().is_some_and(|grants| !grants.is_empty()),
        made_from: origin["image"].as_str().map(|id| format!("{}/{id}", text(&origin["region"]))),
        snapshots: devices.filter_map(|d| d["snapshot"].as_str()).map(str::to_owned).collect(),
        tags: tags(value),
    }
}

fn snapshot(region: &str, value: &Value) -> Snapshot {
    Snapshot { region: region.into(), id: text(&value["id"]), tags: tags(value) }
}

fn instance(region: &str, value: &Value) -> Use {
    let by = text(&value["id"]);
    Use { region: region.into(), image: text(&value["image"]), by, since: time(&value["launched"]) }
}

fn template(region: &str, value: &Value) -> Vec<Use> {
    let versions = value["versions"].as_object().into_iter().flatten();
    let uses = versions.map(|(_, version)| Use {
        region: region.into(),
        image: text(&version["data"]["imageId"]),
        by: text(&value["id"]),
        since: time(&version["created"]),
    });
    uses.collect()
}

fn parameter(region: &str, name: &str, value: &Value) -> Parameter {
    let versions = value["versions"].as_object();
    let newest =
        versions.and_then(|v| v.values().max_by_key(|version| version["number"].as_u64())).unwrap_or(&Value::Null);
    Parameter {
        region: region.into(),
        name: name.into(),
        value: text(&newest["value"]),
        is_typed: newest["dataType"] == "aws:ec2:image",
        modified: time(&newest["modified"]),
        tags: tags(value),
    }
}
