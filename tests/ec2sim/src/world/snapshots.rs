//! Operations on snapshots.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::copies::{KEY_NOT_ACCESSIBLE, check_completion_duration};
use crate::world::create_image::{check_location, check_places};
use crate::world::filters::{Apart, Filter, Matcher};
use crate::world::ids::SNAPSHOT;
use crate::world::kms::Encryption;
use crate::world::paging::Paging;
use crate::world::permissions::check_users;
use crate::world::snapshot::{Snapshot, SnapshotState};
use crate::world::tags::{self, TagSpecification};

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
    location: Option<String>,
    outpost_arn: Option<String>,
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
    completion_duration_minutes: Option<u32>,
    destination_outpost_arn: Option<String>,
    destination_availability_zone: Option<String>,
    #[serde(rename = "DestinationRegion")]
    _destination_region: Option<String>,
    #[serde(rename = "PresignedUrl")]
    _presigned_url: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

impl World {
    pub(crate) fn describe_snapshots(&mut self, cx: &Context, mut input: DescribeSnapshots) -> Result<Xml, ApiError> {
        let paging =
            Paging::listing("snapshotSet", &input.snapshot_ids, input.max_results, input.next_token.as_deref())?;
        let paging = if input.max_results.is_some() { paging.configured(&self.config) } else { paging };
        check_users(&input.owners, &["self", "amazon"])?;
        check_users(&input.restorable_by, &["self", "all"])?;
        let progress = Apart::take(&mut input.filters, "progress")?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let is = |who: &str, account: &str| who == account || (who == "self" && cx.account == account);
        let listed = |snapshot: &Snapshot| snapshot.listed_from <= cx.now && region.may_read(cx, snapshot);
        let keep = |snapshot: &Snapshot| {
            listed(snapshot)
                && (input.owners.is_empty() || input.owners.iter().any(|owner| is(owner, &snapshot.owner)))
                && (input.restorable_by.is_empty()
                    || input
                        .restorable_by
                        .iter()
                        .any(|who| snapshot.is_restorable_by(if who == "self" { &cx.account } else { who })))
                && matcher.passes(snapshot, &cx.account)
                && progress.passes(|| snapshot.progress(cx.now))
        };
        let (page, token) = if input.snapshot_ids.is_empty() {
            paging.of_shelf(&region.snapshots, keep)
        } else {
            let mut named = Vec::new();
            for id in &input.snapshot_ids {
                let snapshot = region.visible_snapshot(cx, id)?;
                if !listed(snapshot) {
                    return Err(SNAPSHOT.not_found(id));
                }
                named.push(snapshot);
            }
            (named.into_iter().filter(|snapshot| keep(snapshot)).collect(), None)
        };
        let mut x = Xml::new();
        x.list("snapshotSet", page, |x, snapshot| snapshot.write(x, cx));
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn delete_snapshot(&mut self, cx: &Context, input: SnapshotInput) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let id = input.snapshot_id;
        region.owned_snapshot(cx, &id)?;
        if let Some(image) = region.users_of_snapshot(&id).next() {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is currently in use by {}", image.id),
            ));
        }
        self.remove_snapshot(cx, &id)?;
        Ok(Xml::done())
    }

    pub(crate) fn create_snapshot(&mut self, cx: &Context, input: CreateSnapshot) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&SNAPSHOT], &SNAPSHOT)?;
        check_location(input.location.as_deref())?;
        check_places(&[("OutpostArn", &input.outpost_arn)])?;
        let region = self.region(cx)?;
        let volume = region.owned_volume(cx, &input.volume_id)?.clone();
        let snapshot =
            Snapshot { description: input.description.unwrap_or_default(), ..self.volume_snapshot(cx, &volume, &tags) };
        let mut x = Xml::new();
        snapshot.write(&mut x, cx);
        self.add_pending_snapshot(cx, snapshot)?;
        Ok(x)
    }

    pub(crate) fn copy_snapshot(&mut self, cx: &Context, input: CopySnapshot) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&SNAPSHOT], &SNAPSHOT)?;
        check_completion_duration("CompletionDurationMinutes", input.completion_duration_minutes)?;
        check_places(&[
            ("DestinationOutpostArn", &input.destination_outpost_arn),
            ("DestinationAvailabilityZone", &input.destination_availability_zone),
        ])?;
        let source =
            self.source_region(cx, &input.source_region)?.visible_snapshot(cx, &input.source_snapshot_id)?.clone();
        source.check_completed()?;
        self.check_snapshot_copies(cx)?;
        let how = Encryption { asked: input.encrypted, key: input.kms_key_id.as_deref() };
        let (encrypted, key) = self.encrypt(cx, source.encrypted, source.key.as_deref(), &how)?;
        let snapshot = Snapshot {
            tags,
            description: input.description.unwrap_or_default(),
            encrypted,
            key,
            is_copy: true,
            completion_duration_minutes: input.completion_duration_minutes,
            ..self.pending_snapshot(cx, source.size)
        };
        let mut x = Xml::new();
        x.text("snapshotId", &snapshot.id);
        tags::write(&mut x, &snapshot.tags);
        self.add_pending_snapshot(cx, snapshot)?;
        Ok(x)
    }

    /// Refuses another copy to this region where the account has as many in flight as it may.
    fn check_snapshot_copies(&self, cx: &Context) -> Result<(), ApiError> {
        let limit = self.config.snapshot_copies_in_flight;
        let in_flight = self.region(cx)?.snapshots.values().filter(|snapshot| {
            snapshot.owner == cx.account && snapshot.is_copy && snapshot.state == SnapshotState::Pending
        });
        if in_flight.count() < limit {
            return Ok(());
        }
        Err(ApiError::new(
            "ResourceLimitExceeded",
            format!("Too many snapshot copies in progress. The limit is {limit} for this destination region."),
        ))
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

    pub(crate) fn add_pending_snapshot(&mut self, cx: &Context, snapshot: Snapshot) -> Result<(), ApiError> {
        let event = Event::SnapshotCompleted { region: cx.region.clone(), snapshot: snapshot.id.clone() };
        let ends = snapshot.ends;
        self.region_mut(cx)?.snapshots.insert(snapshot.id.clone(), snapshot);
        self.agenda.add(ends, event);
        Ok(())
    }

    /// Ends a snapshot; it fails where its key cannot be used, which nobody looks at before.
    pub(crate) fn complete_snapshot(&mut self, region: &str, snapshot: &str) {
        let Some(region) = self.regions.get_mut(region) else {
            return;
        };
        let locked = region.snapshots.get(snapshot).is_some_and(|snapshot| {
            let usable = |key: &String| region.usable_key(&snapshot.owner, key).is_some();
            snapshot.encrypted && !snapshot.key.as_ref().is_some_and(usable)
        });
        if let Some(snapshot) = region.snapshots.get_mut(snapshot) {
            snapshot.state = if locked { SnapshotState::Error } else { SnapshotState::Completed };
            snapshot.state_message = locked.then(|| KEY_NOT_ACCESSIBLE.to_owned());
        }
    }
}
