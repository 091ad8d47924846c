//! What a manifest says, read from its JSON without the program's own types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The owner id of the installation.
pub(crate) const INSTALLATION: &str = "default";

/// A manifest as the rules need to know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The value of the ownership tag.
    pub(crate) owner: String,
    /// By name.
    pub(crate) versions: BTreeMap<String, Listed>,
    pub(crate) regions: BTreeSet<String>,
    /// Name, version, parameter.
    pub(crate) channels: Vec<(String, String, Option<String>)>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) has_retention: bool,
    pub(crate) deletes: bool,
    pub(crate) deleting: bool,
    pub(crate) suspended: bool,
}

/// A listed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) adopt: bool,
}

impl Facts {
    pub(crate) fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (metadata, spec) = (&object["metadata"], &object["spec"]);
        let listed = |version: &Value| {
            let image = &version["source"]["image"];
            let source =
                Listed { region: text(&image["region"]), id: text(&image["id"]), adopt: image["adopt"] == true };
            (text(&version["version"]), source)
        };
        let channel = |channel: &Value| {
            let parameter = channel["publish"]["ssmParameter"].as_str().map(str::to_owned);
            (text(&channel["name"]), text(&channel["version"]), parameter)
        };
        Self {
            owner: format!("{INSTALLATION}/{}/{}", text(&metadata["namespace"]), text(&metadata["name"])),
            versions: list(&spec["versions"]).iter().map(listed).collect(),
            regions: list(&spec["regions"]).iter().map(|region| text(&region["region"])).collect(),
            channels: list(&spec["channels"]).iter().map(channel).collect(),
            tags: spec["tags"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect(),
            has_retention: !spec["retention"].is_null(),
            deletes: spec["deletionPolicy"] == "Delete",
            deleting: !metadata["deletionTimestamp"].is_null(),
            suspended: spec["suspend"] == true,
        }
    }

    /// Whether everything of the object is to go.
    pub(crate) fn goes(&self) -> bool {
        self.deleting && self.deletes
    }

    /// Whether nothing may be changed.
    pub(crate) fn stands_still(&self) -> bool {
        self.suspended || (self.deleting && !self.deletes)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().filter_map(|(_, _, parameter)| parameter.as_deref())
    }

    /// Whether the manifest names an image as the source of a version.
    pub(crate) fn has_source(&self, id: &str) -> bool {
        self.versions.values().any(|version| version.id == id)
    }
}
