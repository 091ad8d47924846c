//! What amiops reports: the status of a `MachineImage`. A report; the little in it that AWS cannot tell is read back: the
//! regions, versions and generation it tells of, the request that was handled last, and the history of channels.
//!
//! Every list is sorted and bounded, and nothing changes without meaning, so that an unchanged world
//! means an unchanged status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What exists in AWS, and what stands in the way of the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineImageStatus {
    /// The generation of the spec that this status describes.
    #[serde(default)]
    pub observed_generation: i64,

    /// The value of the annotation amiops.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// Available replicas of all that must exist, like 6/6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<String>,

    /// The version that each channel publishes, like prod=1.4.1,staging=1.4.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<String>,

    /// Ready sums up; Reconciling and Stalled are present only while true; Replicated, Promoted and
    /// Pruned tell of one concern each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// What stands in the way, one entry for each cause and place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,

    /// The regions in which something was begun for this object. One that the spec does not name any more is looked at, and told here,
    /// until no image or snapshot is left there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub regions: Vec<String>,

    /// The versions that exist or must exist, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["version"]))]
    pub versions: Vec<VersionStatus>,

    /// The channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub channels: Vec<ChannelStatus>,

    /// The prune plan: images of versions that have left the list, and what becomes of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruning: Vec<PruneStatus>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
}

/// One condition, with the meaning that kstatus gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the spec that it was set for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Time,
    /// One word for programs.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// A sentence for people.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// One word for the cause, for programs.
    pub reason: String,
    /// The region it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The version it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// One version and where it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// The version.
    pub version: String,
    /// Whether the spec lists it.
    pub listed: bool,
    /// When it was released, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Time>,
    /// Its replica in each region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"]))]
    pub regions: Vec<ReplicaStatus>,
}

/// One replica: a version in a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// The region.
    pub region: String,
    /// The id of the image, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// What state it is in.
    pub state: ReplicaState,
    /// Why it is not available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReplicaState {
    /// No image yet.
    Missing,
    /// The copy is on its way.
    Pending,
    /// Ready to launch.
    Available,
    /// The copy failed.
    Failed,
    /// Somebody disabled the image.
    Disabled,
    /// It holds other content than the manifest now says, or is still to be handed back.
    Conflict,
    /// It cannot be told at present: the region cannot be seen, or the last look did not show the image.
    Unknown,
}

/// A channel and what it publishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// The name of the channel.
    pub name: String,
    /// The version that has last landed in every region, until a region publishes another or the object is being deleted. A region
    /// that is new has it later: see `regions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What each region publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["region"]))]
    pub regions: Vec<ChannelRegion>,
    /// What it published before, newest first, ten at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ChannelHistory>,
}

/// What a channel publishes in one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRegion {
    /// The region.
    pub region: String,
    /// The image that the parameter names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The version of that image, if it is one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it is not yet the version of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A version that a channel published before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelHistory {
    /// The version.
    pub version: String,
    /// Since when it was published in every region.
    pub since: Time,
}

/// What becomes of an image whose version has left the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneStatus {
    /// The version.
    pub version: String,
    /// The region.
    pub region: String,
    /// The image, or the snapshot that an image left behind.
    pub id: String,
    /// Why it goes.
    pub reason: String,
    /// What keeps it for now; absent if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
}
