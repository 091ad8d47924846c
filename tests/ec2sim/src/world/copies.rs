//! CopyImage: from the call in the destination region to the moment the copy is available or has failed.

use jiff::Timestamp;
use serde::Deserialize;

use crate::config::ReplayDead;
use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after};
use crate::world::create_image::check_places;
use crate::world::ids::{IMAGE, SNAPSHOT};
use crate::world::image::{BlockDevice, Image, ImageState, Origin, StateReason, unavailable};
use crate::world::kms::Encryption;
use crate::world::region::{OptIn, Region};
use crate::world::snapshot::{Snapshot, SnapshotState};
use crate::world::tags::{self, TagSpecification, Tags};
use crate::world::tokens;

/// The sentence of StateReason and StateMessage when a key cannot be used.
pub(crate) const KEY_NOT_ACCESSIBLE: &str = "Given key ID is not accessible";
const MAX_DESCRIPTION: usize = 255;
const OPERATION: &str = "CopyImage";

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CopyImage {
    name: String,
    source_image_id: String,
    source_region: String,
    client_token: Option<String>,
    description: Option<String>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    #[serde(default)]
    copy_image_tags: bool,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
    snapshot_copy_completion_duration_minutes: Option<u32>,
    destination_outpost_arn: Option<String>,
    destination_availability_zone: Option<String>,
    destination_availability_zone_id: Option<String>,
}

/// One volume of a copy: the snapshot that is made, and whether its key could be used when it was started.
struct VolumeCopy {
    device: BlockDevice,
    snapshot: Snapshot,
}

impl World {
    pub(crate) fn copy_image(&mut self, cx: &Context, input: CopyImage) -> Result<Xml, ApiError> {
        self.region(cx)?;
        input.check()?;
        if let Some(image) = self.replay(cx, &input)? {
            return Ok(Xml::new().with("imageId", image));
        }
        let image_tags = tags::specified(&input.tag_specifications, &[&IMAGE, &SNAPSHOT], &IMAGE)?;
        let snapshot_tags = tags::specified(&input.tag_specifications, &[&IMAGE, &SNAPSHOT], &SNAPSHOT)?;
        let (source, source_snapshots) = self.readable_source(cx, &input)?;
        let by_default = self.region_mut(cx)?.holdings(&cx.account).ebs.encrypt;
        for snapshot in &source_snapshots {
            input.check_stays_encrypted(snapshot)?;
            input.encryption().applies_to(snapshot.encrypted, by_default)?;
        }
        // Reading what is encrypted needs the key of the source as well.
        let source_region = self.source_region(cx, &input.source_region)?;
        let locked = source_snapshots
            .iter()
            .filter_map(|snapshot| snapshot.key.as_ref())
            .any(|key| source_region.usable_key(&cx.account, key).is_none());
        self.check_room(cx, &input.name)?;

        let id = self.ids.resource(&IMAGE);
        let copies = self.copy_volumes(cx, &input, (&source, &source_snapshots), &id, &snapshot_tags)?;
        let key_missing = locked || copies.iter().any(|copy| copy.snapshot.encrypted && copy.snapshot.key.is_none());
        let mut tags = if input.copy_image_tags { source.tags_for(&cx.account) } else { Tags::new() };
        tags.extend(image_tags.iter());
        let ends = after(cx.now, self.config.copy_time);
        let image = Image {
            devices: copies.iter().map(|copy| copy.device.clone()).chain(source.empty_volumes()).collect(),
            instance_stores: source.instance_stores,
            description: input.description.clone().or(source.description),
            state: ImageState::Pending,
            // What will be its end if the copy fails; an available image has no reason.
            state_reason: failure(cx, key_missing),
            listed_from: after(cx.now, self.config.late_listing),
            bare: self.config.bare_pending,
            tags,
            origin: Some(Box::new(Origin { image: source.id, region: input.source_region.clone() })),
            ..Image::new(id.clone(), &cx.account, input.name.clone(), source.machine, cx.now)
        };
        let region = self.region_mut(cx)?;
        let snapshots: Vec<_> = copies.iter().map(|copy| copy.snapshot.id.clone()).collect();
        region.snapshots.extend(copies.into_iter().map(|copy| (copy.snapshot.id.clone(), copy.snapshot)));
        region.add_image(image);
        let holdings = region.holdings(&cx.account);
        holdings.copies += 1;
        self.remember(cx, OPERATION, input.client_token.as_deref(), input.fingerprint(), vec![id.clone()])?;
        for snapshot in snapshots.into_iter().filter(|_| self.config.early_snapshots.is_positive()) {
            let complete = after(cx.now, self.config.copy_time - self.config.early_snapshots);
            self.agenda.add(complete, Event::SnapshotCompleted { region: cx.region.clone(), snapshot });
        }
        self.agenda.add(ends, Event::ImageCopied { region: cx.region.clone(), image: id.clone() });
        Ok(Xml::new().with("imageId", id))
    }

    /// The image that an earlier call with the same token made.
    fn replay(&self, cx: &Context, input: &CopyImage) -> Result<Option<String>, ApiError> {
        let token = input.client_token.as_deref();
        let made = self.remembered(cx, OPERATION, token, &input.fingerprint())?;
        let Some(image) = made.and_then(|made| made.into_iter().next()) else {
            return Ok(None);
        };
        let alive = |image: &&Image| image.deregistered.is_none() && image.state != ImageState::Failed;
        let images = &self.region(cx)?.images;
        if images.get(&image).filter(alive).is_some() {
            return Ok(Some(image));
        }
        match self.config.replay_dead {
            ReplayDead::SameId => Ok(Some(image)),
            ReplayDead::NewCopy => Ok(None),
            ReplayDead::Mismatch => Err(tokens::mismatch()),
        }
    }

    /// A region that is copied from.
    pub(crate) fn source_region(&self, cx: &Context, name: &str) -> Result<&Region, ApiError> {
        self.regions
            .get(name)
            .filter(|region| region.opt_in_of(&cx.account) != OptIn::NotOptedIn)
            .ok_or_else(|| ApiError::new("InvalidRegion", format!("The region '{name}' is not valid")))
    }

    /// The source and its snapshots. To copy an image of another account one must be able to read its snapshots too.
    fn readable_source(&self, cx: &Context, input: &CopyImage) -> Result<(Image, Vec<Snapshot>), ApiError> {
        let region = self.source_region(cx, &input.source_region)?;
        let source = region.visible_image(cx, &input.source_image_id)?;
        if source.listed_from > cx.now {
            return Err(IMAGE.not_found(&source.id));
        }
        source.check_available()?;
        let mut snapshots = Vec::new();
        for id in source.snapshots() {
            let snapshot = region.snapshots.get(id).ok_or_else(|| unavailable(&source.id))?;
            if !region.may_read(cx, snapshot) {
                return Err(ApiError::new(
                    "InvalidRequest",
                    "You do not have permission to access the storage of this ami",
                ));
            }
            snapshots.push(snapshot.clone());
        }
        Ok((source.clone(), snapshots))
    }

    /// Whether the account may start another copy under this name.
    fn check_room(&mut self, cx: &Context, name: &str) -> Result<(), ApiError> {
        let limit = self.config.copies_in_flight;
        let region = self.region_mut(cx)?;
        region.check_name(cx, name)?;
        self.check_quota(cx)?;
        let region = self.region_mut(cx)?;
        if region.holdings(&cx.account).copies >= limit {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("Too many image copies in progress: the limit is {limit}"),
            ));
        }
        Ok(())
    }

    fn copy_volumes(
        &mut self,
        cx: &Context,
        input: &CopyImage,
        (source, snapshots): (&Image, &[Snapshot]),
        target: &str,
        tags: &Tags,
    ) -> Result<Vec<VolumeCopy>, ApiError> {
        let devices = source.devices.iter().filter(|device| device.snapshot.is_some());
        let mut copies = Vec::new();
        for (device, original) in devices.zip(snapshots) {
            let (encrypted, key) =
                self.encrypt(cx, original.encrypted, original.key.as_deref(), &input.encryption())?;
            let snapshot = Snapshot {
                description: format!(
                    "Copied for DestinationAmi {target} from SourceAmi {} for SourceSnapshot {}. Task created on {}.",
                    source.id,
                    original.id,
                    cx.now.as_millisecond()
                ),
                completion_duration_minutes: input.snapshot_copy_completion_duration_minutes,
                encrypted,
                key,
                tags: tags.clone(),
                ..self.pending_snapshot(cx, original.size)
            };
            let device = BlockDevice { snapshot: Some(snapshot.id.clone()), encrypted, ..device.clone() };
            copies.push(VolumeCopy { device, snapshot });
        }
        Ok(copies)
    }

    /// Ends the copy of an image: available, or failed for the reason known since its start or because its key has
    /// been disabled meanwhile.
    pub(crate) fn end_copy(&mut self, now: Timestamp, region: &str, id: &str) {
        let Some(region) = self.regions.get_mut(region) else {
            return;
        };
        let Some(image) = region.images.get(id).filter(|image| image.state == ImageState::Pending) else {
            return;
        };
        let owner = image.owner.clone();
        let in_flight = image.deregistered.is_none() && image.is_copy();
        let snapshots: Vec<String> = image.snapshots().map(str::to_owned).collect();
        let unusable = |key: &String| region.usable_key(&owner, key).is_none();
        let key_lost = snapshots.iter().filter_map(|id| region.snapshots.get(id)?.key.as_ref()).any(unusable);
        let reason = image.state_reason.clone().or_else(|| key_lost.then(key_reason));
        for snapshot in &snapshots {
            if let Some(snapshot) = region.snapshots.get_mut(snapshot) {
                snapshot.ends = now;
                snapshot.state = if reason.is_some() { SnapshotState::Error } else { SnapshotState::Completed };
                snapshot.state_message = reason.as_ref().map(|reason| reason.message.clone());
            }
        }
        if let Some(image) = region.images.get_mut(id) {
            image.state = if reason.is_some() { ImageState::Failed } else { ImageState::Available };
            image.state_reason = reason;
        }
        if in_flight {
            let holdings = region.holdings(&owner);
            holdings.copies = holdings.copies.saturating_sub(1);
        }
    }
}

impl CopyImage {
    fn check(&self) -> Result<(), ApiError> {
        IMAGE.check(&self.source_image_id)?;
        check_description(self.description.as_deref())?;
        check_places(&[
            ("DestinationOutpostArn", &self.destination_outpost_arn),
            ("DestinationAvailabilityZone", &self.destination_availability_zone),
            ("DestinationAvailabilityZoneId", &self.destination_availability_zone_id),
        ])?;
        check_completion_duration(
            "SnapshotCopyCompletionDurationMinutes",
            self.snapshot_copy_completion_duration_minutes,
        )
    }

    /// Of an image EC2 says which snapshot it is that cannot be decrypted by copying it, and says it with a code that
    /// CopySnapshot does not have.
    fn check_stays_encrypted(&self, snapshot: &Snapshot) -> Result<(), ApiError> {
        if !snapshot.encrypted || self.encrypted != Some(false) {
            return Ok(());
        }
        Err(ApiError::new(
            "InvalidRequest",
            format!(
                "Snapshot {} is encrypted. Creating unencrypted copy from an encrypted snapshot is not supported.",
                snapshot.id
            ),
        ))
    }

    fn encryption(&self) -> Encryption<'_> {
        Encryption { asked: self.encrypted, key: self.kms_key_id.as_deref() }
    }

    /// All that the token stands for.
    fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// From 15 minutes to 48 hours in steps of 15 minutes: <https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html>.
pub(crate) fn check_completion_duration(parameter: &str, minutes: Option<u32>) -> Result<(), ApiError> {
    match minutes {
        Some(minutes) if minutes % 15 != 0 || !(15..=2880).contains(&minutes) => {
            Err(ApiError::invalid_value(parameter, &minutes.to_string()))
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_description(description: Option<&str>) -> Result<(), ApiError> {
    if description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(ApiError::invalid(format!("The description is longer than {MAX_DESCRIPTION} characters")));
    }
    Ok(())
}

/// Why an image will fail that has just been started.
pub(crate) fn failure(cx: &Context, key_missing: bool) -> Option<Box<StateReason>> {
    match &cx.fail_copy {
        Some(reason) => {
            Some(Box::new(StateReason { code: "Server.InternalError".to_owned(), message: reason.clone() }))
        }
        None => key_missing.then(key_reason),
    }
}

fn key_reason() -> Box<StateReason> {
    Box::new(StateReason { code: "Client.InternalError".to_owned(), message: KEY_NOT_ACCESSIBLE.to_owned() })
}
