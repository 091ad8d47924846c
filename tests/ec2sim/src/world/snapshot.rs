//! A snapshot: its state, who may read it, and how it is written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::written as date;
use crate::world::filters::{Filtered, Values, one, written};
use crate::world::ids::SNAPSHOT;
use crate::world::image::Grant;
use crate::world::region::Region;
use crate::world::tags::{self, Tags, TagsOfOthers};

/// The volume id that AWS gives to snapshots which were copied.
const COPIED_VOLUME: &str = "vol-ffffffff";

/// Where a snapshot is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SnapshotState {
    Pending,
    Completed,
    Error,
}

impl SnapshotState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            SnapshotState::Pending => "pending",
            SnapshotState::Completed => "completed",
            SnapshotState::Error => "error",
        }
    }
}

/// A snapshot.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) owner: String,
    /// The volume it was taken of; a copy has none.
    pub(crate) volume: Option<String>,
    /// Whether CopySnapshot made it.
    pub(crate) is_copy: bool,
    /// How long a time-based copy may take; without it a copy is a standard one.
    pub(crate) completion_duration_minutes: Option<u32>,
    pub(crate) description: String,
    pub(crate) state: SnapshotState,
    pub(crate) state_message: Option<String>,
    pub(crate) started: Timestamp,
    /// When it is complete, or was.
    pub(crate) ends: Timestamp,
    pub(crate) listed_from: Timestamp,
    pub(crate) size: u32,
    pub(crate) encrypted: bool,
    /// The ARN of its key.
    pub(crate) key: Option<String>,
    /// Who may make volumes and copies of it.
    pub(crate) grants: BTreeSet<Grant>,
    /// Those of the owner.
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags_of_others: TagsOfOthers,
}

impl Snapshot {
    /// A complete snapshot of a volume of that size.
    pub(crate) fn new(id: String, owner: &str, size: u32, now: Timestamp) -> Self {
        Self {
            id,
            owner: owner.to_owned(),
            volume: None,
            is_copy: false,
            completion_duration_minutes: None,
            description: String::new(),
            state: SnapshotState::Completed,
            state_message: None,
            started: now,
            ends: now,
            listed_from: now,
            size,
            encrypted: false,
            key: None,
            grants: BTreeSet::new(),
            tags: Tags::new(),
            tags_of_others: TagsOfOthers::new(),
        }
    }

    /// Whether it is shared explicitly with an account, or is its own; `all` are public snapshots.
    pub(crate) fn is_restorable_by(&self, account: &str) -> bool {
        match account {
            "all" => self.grants.contains(&Grant::All),
            account => self.owner == account || self.grants.contains(&Grant::Account(account.to_owned())),
        }
    }

    /// Refuses what needs a complete snapshot.
    pub(crate) fn check_completed(&self) -> Result<(), ApiError> {
        if self.state == SnapshotState::Completed {
            return Ok(());
        }
        Err(ApiError::new("IncorrectState", format!("Snapshot is in invalid state - {}", self.state.name())))
    }

    /// What AWS calls the volume; copies have a made-up one.
    pub(crate) fn volume_id(&self) -> &str {
        self.volume.as_deref().unwrap_or(COPIED_VOLUME)
    }

    /// <https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html>.
    fn transfer_type(&self) -> &'static str {
        match self.completion_duration_minutes {
            Some(_) => "time-based",
            None => "standard",
        }
    }

    pub(crate) fn progress(&self, now: Timestamp) -> String {
        let percent = match self.state {
            SnapshotState::Completed => 100,
            SnapshotState::Pending | SnapshotState::Error => {
                let whole = self.ends.duration_since(self.started).as_millis().max(1);
                (now.duration_since(self.started).as_millis() * 100 / whole).clamp(0, 99)
            }
        };
        format!("{percent}%")
    }

    pub(crate) fn write(&self, x: &mut Xml, cx: &Context) {
        x.text("snapshotId", &self.id)
            .text("volumeId", self.volume_id())
            .text("status", self.state.name())
            .maybe("statusMessage", self.state_message.as_ref())
            .text("startTime", date(self.started))
            .text("progress", self.progress(cx.now))
            .text("ownerId", &self.owner)
            .text("volumeSize", self.size)
            .text("description", &self.description)
            .text("encrypted", self.encrypted)
            .maybe("kmsKeyId", self.key.as_ref())
            .text("storageTier", "standard")
            .text("transferType", self.transfer_type())
            .maybe("completionDurationMinutes", self.completion_duration_minutes);
        if self.state == SnapshotState::Completed {
            x.text("completionTime", date(self.ends));
        }
        if let Some(tags) = self.tags_by(&cx.account) {
            tags::write(x, tags);
        }
    }

    /// The tags that an account gave, be it the owner or one that may read it: no other account sees them.
    pub(crate) fn tags_by(&self, account: &str) -> Option<&Tags> {
        if self.owner == account { Some(&self.tags) } else { self.tags_of_others.get(account) }
    }

    /// The same, to be changed.
    pub(crate) fn tags_by_mut(&mut self, account: &str) -> &mut Tags {
        if self.owner == account { &mut self.tags } else { self.tags_of_others.entry(account.to_owned()).or_default() }
    }
}

impl Filtered for Snapshot {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("description", |snapshot| one(&snapshot.description)),
        ("encrypted", |snapshot| written(snapshot.encrypted)),
        ("owner-alias", |_| Vec::new()),
        ("owner-id", |snapshot| one(&snapshot.owner)),
        ("snapshot-id", |snapshot| one(&snapshot.id)),
        ("start-time", |snapshot| written(date(snapshot.started))),
        ("status", |snapshot| one(snapshot.state.name())),
        ("storage-tier", |_| one("standard")),
        ("transfer-type", |snapshot| one(snapshot.transfer_type())),
        ("volume-id", |snapshot| one(snapshot.volume_id())),
        ("volume-size", |snapshot| written(snapshot.size)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn tags_for(&self, viewer: &str) -> Tags {
        self.tags_by(viewer).cloned().unwrap_or_default()
    }
}

impl Region {
    /// The snapshot, if the caller may use it.
    pub(crate) fn visible_snapshot(&self, cx: &Context, id: &str) -> Result<&Snapshot, ApiError> {
        SNAPSHOT.check(id)?;
        self.snapshots.get(id).filter(|snapshot| self.may_read(cx, snapshot)).ok_or_else(|| SNAPSHOT.not_found(id))
    }
}
