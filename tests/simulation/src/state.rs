//! What is really there: the simulators' state, read without going through the program under test.

use std::collections::BTreeMap;

use ec2sim::{ImageView, ParameterView, Sim, SnapshotView, UseView};

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
        let mut state = Self::default();
        sim.view(|view| {
            let region = view.name();
            state.images.extend(view.images().map(|i| image(region, i)));
            state.snapshots.extend(view.snapshots().map(|s| snapshot(region, s)));
            state.parameters.extend(view.parameters().map(|p| parameter(region, p)));
            state.uses.extend(view.uses().map(|u| use_of(region, &u)));
        });
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

fn image(region: &str, view: ImageView<'_>) -> Image {
    Image {
        region: region.into(),
        id: view.id.into(),
        account: view.owner.into(),
        name: view.name.into(),
        state: view.state.name().into(),
        protected: view.protected,
        shared: view.shared,
        made_from: view.copied_from.map(|(region, id)| format!("{region}/{id}")),
        snapshots: view.snapshots.into_iter().map(str::to_owned).collect(),
        tags: view.tags,
    }
}

fn snapshot(region: &str, view: SnapshotView<'_>) -> Snapshot {
    Snapshot { region: region.into(), id: view.id.into(), tags: view.tags }
}

fn use_of(region: &str, view: &UseView<'_>) -> Use {
    Use { region: region.into(), image: view.image.into(), by: view.by.into(), since: view.since }
}

fn parameter(region: &str, view: ParameterView<'_>) -> Parameter {
    Parameter {
        region: region.into(),
        name: view.name.into(),
        value: view.value.into(),
        is_typed: view.data_type == "aws:ec2:image",
        modified: view.modified,
        tags: view.tags,
    }
}
