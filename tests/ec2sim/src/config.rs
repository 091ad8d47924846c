//! What can be chosen about the simulated AWS.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What a `CopyImage` with a known ClientToken answers once the image it made has failed or been deregistered. AWS
/// documents no answer, so a client must be right under each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplayDead {
    /// The id of the dead image.
    SameId,
    /// A new copy, as if the token had never been seen.
    NewCopy,
    /// `IdempotentParameterMismatch`.
    Mismatch,
}

/// Settings of the world. Spans of time are written like `3s`, `2m` or `1h 30m`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// The account of every access key that is not 12 digits and was not issued by AssumeRole.
    pub account: String,
    /// Makes ids differ between worlds; the same seed and the same calls give the same ids.
    pub seed: u64,
    /// How long a copy of an image or snapshot is pending.
    pub copy_time: SignedDuration,
    /// How long a new image or snapshot is missing from lists and answers NotFound.
    pub late_listing: SignedDuration,
    /// How long a deregistered image is still listed.
    pub stale_listing: SignedDuration,
    /// How long the name of a deregistered image still counts as taken.
    pub name_linger: SignedDuration,
    /// How long the asynchronous validation of an `aws:ec2:image` parameter takes.
    pub parameter_delay: SignedDuration,
    /// How long before its image a snapshot of a copied image is complete.
    pub early_snapshots: SignedDuration,
    /// Whether the copy of an image shows its snapshots only when it is available.
    pub bare_pending: bool,
    /// What a replayed ClientToken answers when its image is dead.
    pub replay_dead: ReplayDead,
    /// How long an instance takes to start, stop or terminate. At zero only the answer of the call shows that.
    pub instance_time: SignedDuration,
    /// How long a ClientToken is kept; forever if left out.
    pub token_life: Option<SignedDuration>,
    /// How long after a launch the image shows it as its LastLaunchedTime.
    pub last_launched_lag: SignedDuration,
    /// How long tags of CreateTags take to be seen.
    pub late_tags: SignedDuration,
    /// How long a usage report is pending.
    pub report_time: SignedDuration,
    /// How old an instance must be for a usage report to know it.
    pub report_lag: SignedDuration,
    /// How long blocking public access to images takes to have an effect.
    pub block_access_time: SignedDuration,
    /// How many results a page of images, snapshots or references holds at most, whatever size is asked for.
    pub page: usize,
    /// Whether a list of images, snapshots or references that can go on in another page begins with an empty one. EC2 says
    /// that a page may be empty: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination>
    pub begins_empty: bool,
    /// Whether calls beyond the documented rates are refused.
    pub request_limits: bool,
    /// How many accounts, organisations and units an image may be shared with.
    pub sharees: usize,
    /// How many public images an account may have in a region.
    pub public_images: usize,
    /// How many images an account may have in a region.
    pub images: usize,
    /// How many image copies an account may have in flight to one region.
    pub copies_in_flight: usize,
    /// How many CopySnapshot an account may have in flight to one region.
    pub snapshot_copies_in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account: "111111111111".to_owned(),
            seed: 0,
            copy_time: SignedDuration::from_secs(300),
            late_listing: SignedDuration::ZERO,
            stale_listing: SignedDuration::ZERO,
            name_linger: SignedDuration::ZERO,
            parameter_delay: SignedDuration::ZERO,
            replay_dead: ReplayDead::SameId,
            instance_time: SignedDuration::ZERO,
            token_life: None,
            last_launched_lag: SignedDuration::from_hours(24),
            late_tags: SignedDuration::ZERO,
            report_time: SignedDuration::from_secs(60),
            report_lag: SignedDuration::ZERO,
            block_access_time: SignedDuration::ZERO,
            page: 1_000,
            begins_empty: false,
            early_snapshots: SignedDuration::ZERO,
            bare_pending: false,
            request_limits: false,
            sharees: 1_000,
            public_images: 5,
            images: 50_000,
            copies_in_flight: 300,
            snapshot_copies_in_flight: 20,
        }
    }
}
