//! What a person writes: the spec of a `MachineImage`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::status::MachineImageStatus;

/// A machine image: the versions of it that must exist, in which regions, and which version each
/// release channel points to. amiops copies, tags, publishes and prunes AMIs until AWS matches.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "amiops.dev",
    version = "v1alpha1",
    kind = "MachineImage",
    namespaced,
    shortname = "mi",
    category = "amiops",
    status = "MachineImageStatus",
    derive = "PartialEq",
    doc = "A machine image: the versions of it that must exist, in which regions, and which version each release channel points to. amiops copies, tags, publishes and prunes AMIs until AWS matches.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(
        name = "Replicas",
        type_ = "string",
        json_path = ".status.replicas",
        description = "Available replicas of all that must exist"
    ),
    printcolumn(
        name = "Channels",
        type_ = "string",
        json_path = ".status.promoted",
        description = "The version that each channel publishes"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
#[expect(clippy::duplicated_attributes, reason = "each printcolumn is a list of its own, which the lint does not see")]
pub struct MachineImageSpec {
    /// The versions that must exist. What is listed is kept; what leaves the list is retired as
    /// `retention` says.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["version"]))]
    pub versions: Vec<Version>,

    /// The regions in which each version must exist.
    #[schemars(length(max = 40), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"]))]
    pub regions: Vec<Region>,

    /// The name of each image that amiops makes. {name}, {namespace} and {version} are replaced.
    /// Image names are unique in an account and region.
    #[serde(default = "default_name_template")]
    #[schemars(length(max = 128), extend("x-kubernetes-validations" = rules::name_template()))]
    pub name_template: String,

    /// Tags that every image and snapshot of this object carries, beside amiops's own. Tags that others
    /// add are left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    pub tags: BTreeMap<String, String>,

    /// Release channels: named pointers to a version. A channel moves when its version is available in
    /// every region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub channels: Vec<Channel>,

    /// What becomes of versions that have left the list. Left out, every one of them is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// What becomes of the images when this object is deleted: Retain leaves AWS as it is, Delete
    /// retires every image that is not in use and waits for those that are.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// While true, amiops changes nothing for this object, neither in AWS nor at its deletion.
    #[serde(default)]
    pub suspend: bool,

    /// How often the object is looked at when nothing happens, between 1m and 24h.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 20), extend("x-kubernetes-validations" = rules::interval()))]
    pub interval: String,
}

fn default_name_template() -> String {
    "{name}-{version}".into()
}

fn default_interval() -> String {
    "10m".into()
}

/// EC2 allows 50 tags; ten are left for amiops and for other people.
fn tags_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 40,
        "additionalProperties": {"type": "string", "maxLength": 255},
        "x-kubernetes-validations": rules::tags(),
    })
}

/// One version of the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The version, like 1.4.2. It never changes its content: new content is a new version.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = rules::version()))]
    pub version: String,

    /// Where the content comes from.
    pub source: Source,

    /// When the version was released; it orders the versions. Left out, the creation date of the source counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,

    /// What changed in this version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub notes: Option<String>,
}

/// Where the content of a version comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// An existing AMI.
    pub image: ImageSource,
}

/// An existing AMI, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// The region that the AMI is in.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = rules::region()))]
    pub region: String,

    /// The id of the AMI. Your account must own it, or have permission to launch and copy it.
    #[schemars(length(max = 21), extend("x-kubernetes-validations" = rules::image_id()))]
    pub id: String,

    /// Hands the AMI itself over to amiops: it is tagged, becomes the replica of its region, and is
    /// pruned like any other. Without this, amiops never changes the source, and makes a copy in its region too.
    #[serde(default)]
    pub adopt: bool,
}

/// One region in which every version must exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::region_settings()))]
pub struct Region {
    /// The name of the region.
    #[schemars(length(max = 32), extend("x-kubernetes-validations" = rules::region()))]
    pub region: String,

    /// The KMS key of this region that encrypts the copies made in it: a key id, a key ARN, an alias
    /// ARN, or alias/NAME. Left out, a copy is encrypted exactly when its source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub kms_key_id: Option<String>,
}

/// A named pointer to a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// The name of the channel, like prod.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = rules::channel_name()))]
    pub name: String,

    /// The listed version that the channel points to. Setting an earlier one is the way back.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,

    /// Where launches find the image of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

/// Where launches find the image of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    /// An SSM parameter (data type aws:ec2:image) that holds, in every region, the id of that region's
    /// image. A parameter that already exists is taken over only if it carries the tag amiops.dev/owner
    /// of this object.
    #[schemars(length(min = 2, max = 900), extend("x-kubernetes-validations" = rules::parameter()))]
    pub ssm_parameter: String,
}

/// What becomes of versions that have left the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How many of the versions that have left the list are kept, the newest ones. 0 keeps none. What a
    /// channel or parameter names, what is in use, and the last available image of a region stay in any case.
    #[schemars(range(min = 0, max = 1000))]
    pub keep_last: u32,
}

/// What becomes of the images when the object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// AWS is left as it is.
    #[default]
    Retain,
    /// Every image and parameter of the object is removed, except images in use.
    Delete,
}
