//! Snapshots.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after, written as date};
use crate::world::filters::{Filter, Filtered, Matcher, Values, maybe, one, written};
use crate::world::ids::SNAPSHOT;
use crate::world::image::Grant;
use crate::world::kms::DEFAULT_ALIAS;
use crate::world::paging::Paging;
use crate::world::region::Region;
use crate::world::tags::{self, TagSpecification, Tags};

/// The volume id that AWS gives to snapshots which were copied.
pub(crate) const COPIED_VOLUME: &str = "vol-ffffffff";

/// Where a snapshot is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SnapshotState {
    Pending,
    Completed,
    Error,
}

impl SnapshotState {
    fn name(self) -> &'static str {
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
    pub(crate) volume: String,
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
    pub(crate) tags: Tags,
}

impl Snapshot {
    /// A complete snapshot of a volume of that size.
    pub(crate) fn new(id: String, owner: &str, size: u32, now: Timestamp) -> Self {
        Self {
            id,
            owner: owner.to_owned(),
            volume: COPIED_VOLUME.to_owned(),
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
        }
    }

    pub(crate) fn is_readable_by(&self, account: &str) -> bool {
        self.owner == account
            || self.grants.contains(&Grant::All)
            || self.grants.contains(&Grant::Account(account.to_owned()))
    }

    fn progress(&self, now: Timestamp) -> String {
        let percent = match self.state {
            SnapshotState::Completed => 100,
            SnapshotState::Pending | SnapshotState::Error => {
                let whole = self.ends.duration_since(self.started).as_millis().max(1);
                (now.duration_since(self.started).as_millis() * 100 / whole).clamp(0, 99)
            }
        };
        format!("{percent}%")
    }

    fn write(&self, x: &mut Xml, cx: &Context) {
        x.text("snapshotId", &self.id)
            .text("volumeId", &self.volume)
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
            .text("transferType", "standard");
        if self.state == SnapshotState::Completed {
            x.text("completionTime", date(self.ends));
        }
        if self.owner == cx.account {
            tags::write(x, &self.tags);
        }
    }
}

impl Filtered for Snapshot {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("description", |snapshot| one(&snapshot.description)),
        ("encrypted", |snapshot| written(snapshot.encrypted)),
        ("owner-id", |snapshot| one(&snapshot.owner)),
        ("snapshot-id", |snapshot| one(&snapshot.id)),
        ("start-time", |snapshot| written(date(snapshot.started))),
        ("status", |snapshot| one(snapshot.state.name())),
        ("storage-tier", |_| maybe(Some("standard"))),
        ("volume-id", |snapshot| one(&snapshot.volume)),
        ("volume-size", |snapshot| written(snapshot.size)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeSnapshots {
    #[serde(default, rename = "SnapshotId")]
    snapshot_ids: Vec<String>,
    #[serde(default, rename = "Owner")]
    owners: Vec<String>,
    #[serde(default, rename = "RestorableBy")]
    restorable_by: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct SnapshotInput {
    snapshot_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateSnapshot {
    volume_id: String,
    description: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CopySnapshot {
    source_region: String,
    source_snapshot_id: String,
    description: Option<String>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    #[serde(rename = "DestinationRegion")]
    _destination_region: Option<String>,
    #[serde(rename = "PresignedUrl")]
    _presigned_url: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

/// The size of volumes, which are not simulated.
const VOLUME_SIZE: u32 = 8;

impl World {
    pub(crate) fn describe_snapshots(
        &mut self,
        cx: &Context,
        input: DescribeSnapshots,
    ) -> Result<Xml, ApiError> {
        if !input.snapshot_ids.is_empty() && input.max_results.is_some() {
            return Err(ApiError::combination(
                "The parameter snapshotSet cannot be used with the parameter maxResults",
            ));
        }
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 5..=1000)?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let is =
            |who: &str, account: &str| who == account || (who == "self" && cx.account == account);
        let listed = |snapshot: &Snapshot| {
            snapshot.listed_from <= cx.now && snapshot.is_readable_by(&cx.account)
        };
        let keep = |snapshot: &Snapshot| {
            listed(snapshot)
                && (input.owners.is_empty()
                    || input.owners.iter().any(|owner| is(owner, &snapshot.owner)))
                && (input.restorable_by.is_empty()
                    || input.restorable_by.iter().any(|who| {
                        snapshot.is_readable_by(if who == "self" { &cx.account } else { who })
                    }))
                && matcher.passes(snapshot)
        };
        let (page, token) = if input.snapshot_ids.is_empty() {
            paging.page(&region.snapshots, keep)
        } else {
            let mut named = Vec::new();
            for id in &input.snapshot_ids {
                let snapshot = region.visible_snapshot(cx, id)?;
                if !listed(snapshot) {
                    return Err(SNAPSHOT.not_found(id));
                }
                named.push(snapshot);
            }
            (
                named
                    .into_iter()
                    .filter(|snapshot| keep(snapshot))
                    .collect(),
                None,
            )
        };
        let mut x = Xml::new();
        x.list("snapshotSet", page, |x, snapshot| snapshot.write(x, cx));
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn delete_snapshot(
        &mut self,
        cx: &Context,
        input: SnapshotInput,
    ) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let id = input.snapshot_id;
        if region.visible_snapshot(cx, &id)?.owner != cx.account {
            return Err(SNAPSHOT.not_found(&id));
        }
        if let Some(image) = region.users_of_snapshot(&id).next() {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is currently in use by {}", image.id),
            ));
        }
        region.snapshots.remove(&id);
        Ok(Xml::done())
    }

    pub(crate) fn create_snapshot(
        &mut self,
        cx: &Context,
        input: CreateSnapshot,
    ) -> Result<Xml, ApiError> {
        if !input.volume_id.starts_with("vol-") {
            let message = format!("The volume '{}' does not exist.", input.volume_id);
            return Err(ApiError::new("InvalidVolume.NotFound", message));
        }
        let snapshot = Snapshot {
            volume: input.volume_id,
            tags: tags::specified(&input.tag_specifications, &[&SNAPSHOT], &SNAPSHOT)?,
            description: input.description.unwrap_or_default(),
            ..self.pending_snapshot(cx, VOLUME_SIZE)
        };
        let mut x = Xml::new();
        snapshot.write(&mut x, cx);
        self.add_pending_snapshot(cx, snapshot)?;
        Ok(x)
    }

    pub(crate) fn copy_snapshot(
        &mut self,
        cx: &Context,
        input: CopySnapshot,
    ) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&SNAPSHOT], &SNAPSHOT)?;
        let source = self
            .source_region(&input.source_region)?
            .visible_snapshot(cx, &input.source_snapshot_id)?
            .clone();
        let encrypted = encryption(
            source.encrypted,
            input.encrypted,
            input.kms_key_id.as_deref(),
        )?;
        let key = if encrypted {
            self.key_for(cx, &source, input.kms_key_id.as_deref())
        } else {
            None
        };
        let snapshot = Snapshot {
            tags,
            description: input.description.unwrap_or_default(),
            encrypted,
            key,
            ..self.pending_snapshot(cx, source.size)
        };
        let mut x = Xml::new();
        x.text("snapshotId", &snapshot.id);
        tags::write(&mut x, &snapshot.tags);
        self.add_pending_snapshot(cx, snapshot)?;
        Ok(x)
    }

    /// A snapshot that is complete after the time that a copy takes.
    pub(crate) fn pending_snapshot(&mut self, cx: &Context, size: u32) -> Snapshot {
        Snapshot {
            state: SnapshotState::Pending,
            ends: after(cx.now, self.config.copy_time),
            listed_from: after(cx.now, self.config.late_listing),
            ..Snapshot::new(self.ids.resource(&SNAPSHOT), &cx.account, size, cx.now)
        }
    }

    fn add_pending_snapshot(&mut self, cx: &Context, snapshot: Snapshot) -> Result<(), ApiError> {
        let event = Event::SnapshotCompleted {
            region: cx.region.clone(),
            snapshot: snapshot.id.clone(),
        };
        let ends = snapshot.ends;
        self.region_mut(cx)?
            .snapshots
            .insert(snapshot.id.clone(), snapshot);
        self.agenda.add(ends, event);
        Ok(())
    }

    pub(crate) fn complete_snapshot(&mut self, region: &str, snapshot: &str) {
        let snapshot = self
            .regions
            .get_mut(region)
            .and_then(|region| region.snapshots.get_mut(snapshot));
        if let Some(snapshot) = snapshot {
            snapshot.state = SnapshotState::Completed;
        }
    }

    /// The key for the encrypted copy of a snapshot, if it can be used: the one named, else that of a source in the
    /// same region, else the default of EBS.
    pub(crate) fn key_for(
        &mut self,
        cx: &Context,
        source: &Snapshot,
        named: Option<&str>,
    ) -> Option<String> {
        let fresh = self.ids.uuid();
        let region = self.regions.get_mut(&cx.region)?;
        if named.is_none_or(|name| name == DEFAULT_ALIAS) {
            let keys = &mut region.holdings(&cx.account).keys;
            if !keys.aliases.contains_key(DEFAULT_ALIAS) {
                keys.aliases.insert(DEFAULT_ALIAS.to_owned(), fresh.clone());
                keys.enabled.insert(fresh, true);
            }
        }
        let inherited = source
            .key
            .as_deref()
            .filter(|key| key.contains(&format!(":{}:", region.name)));
        region.usable_key(&cx.account, named.or(inherited).unwrap_or(DEFAULT_ALIAS))
    }
}

/// Whether a copy is encrypted. An encrypted source cannot be decrypted by copying it, and a key without encryption
/// makes no sense.
pub(crate) fn encryption(
    source: bool,
    asked: Option<bool>,
    key: Option<&str>,
) -> Result<bool, ApiError> {
    match asked {
        Some(false) if source => Err(ApiError::combination(
            "You cannot create an unencrypted copy of an encrypted snapshot.",
        )),
        Some(true) => Ok(true),
        _ if key.is_some() && !source => Err(ApiError::combination(
            "If you specify a KMS key, you must also set Encrypted to true",
        )),
        _ => Ok(source),
    }
}

impl Region {
    /// The snapshot, if the caller may use it.
    pub(crate) fn visible_snapshot(&self, cx: &Context, id: &str) -> Result<&Snapshot, ApiError> {
        SNAPSHOT.check(id)?;
        self.snapshots
            .get(id)
            .filter(|snapshot| snapshot.is_readable_by(&cx.account))
            .ok_or_else(|| SNAPSHOT.not_found(id))
    }
}
