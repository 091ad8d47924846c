//! The Recycle Bin: <https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html>. What is deleted while the account
//! has a retention rule for its kind goes there and can be restored until it leaves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{Event, after, written as date};
use crate::world::ids::{IMAGE, SNAPSHOT};
use crate::world::image::{Image, ImageState};
use crate::world::paging::Paging;
use crate::world::region::Region;
use crate::world::snapshot::Snapshot;
use crate::world::tags::Tags;

/// The tag that AWS gives to what is in the bin: an image or snapshot has it until it is restored.
const IN_BIN: (&str, &str) = ("aws:recycle-bin:resource-in-bin", "true");

/// When something came into the bin, and when it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stay {
    pub(crate) entered: Timestamp,
    pub(crate) exits: Timestamp,
}

/// For how long an account keeps what it deletes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) images: Option<SignedDuration>,
    pub(crate) snapshots: Option<SignedDuration>,
}

/// A retention rule to put into the world: it replaces that for the same kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetentionRule {
    /// The region.
    pub region: String,
    /// The owner; the default account if left out.
    pub account: Option<String>,
    /// What it keeps: `image` or `snapshot`.
    pub resource_type: String,
    /// For how many days; none takes the rule away.
    pub days: Option<u32>,
}

/// A deleted snapshot.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedSnapshot {
    pub(crate) stay: Stay,
    pub(crate) snapshot: Snapshot,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListImages {
    #[serde(default, rename = "ImageId")]
    ids: Vec<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListSnapshots {
    #[serde(default, rename = "SnapshotId")]
    ids: Vec<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RestoreImage {
    image_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RestoreSnapshot {
    snapshot_id: String,
}

impl World {
    pub(crate) fn set_retention(&mut self, rule: RetentionRule) -> Result<(), ApiError> {
        let cx = self.seed_context(&rule.region, rule.account.as_ref())?;
        let span = rule.days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let retention = &mut self.seed_region_mut(&rule.region)?.holdings(&cx.account).retention;
        match rule.resource_type.as_str() {
            "image" => retention.images = span,
            "snapshot" => retention.snapshots = span,
            other => return Err(ApiError::invalid_value("resourceType", other)),
        }
        Ok(())
    }

    /// How long the caller keeps what it deletes.
    pub(crate) fn retention(&self, cx: &Context) -> Retention {
        let holdings = self.region(cx).ok().and_then(|region| region.accounts.get(&cx.account));
        holdings.map(|holdings| holdings.retention).unwrap_or_default()
    }

    /// The stay in the bin of something that is deleted now.
    fn enter_bin(&mut self, cx: &Context, id: &str, span: Option<SignedDuration>) -> Option<Stay> {
        let exits = after(cx.now, span?);
        let event = Event::LeavesBin { region: cx.region.clone(), id: id.to_owned() };
        self.agenda.add(exits, event);
        let entered = cx.now;
        Some(Stay { entered, exits })
    }

    /// Ends a stay that is over; one that began anew after a restoration is not.
    pub(crate) fn leave_bin(&mut self, now: Timestamp, region: &str, id: &str) {
        let Some(region) = self.regions.get_mut(region) else {
            return;
        };
        if let Some(image) = region.images.get_mut(id).filter(|image| image.recycled.is_some_and(|s| s.exits <= now)) {
            image.leave_bin();
        }
        region.bin.retain(|key, deleted| key != id || deleted.stay.exits > now);
    }

    /// Puts an image that is being deregistered into the bin, if the account keeps such.
    pub(crate) fn recycle_image(&mut self, cx: &Context, id: &str) -> Result<(), ApiError> {
        let span = self.retention(cx).images;
        let image = self.region_mut(cx)?.owned_image(cx, id)?;
        let keeps = matches!(image.state, ImageState::Available | ImageState::Disabled);
        let stay = self.enter_bin(cx, id, span.filter(|_| keeps));
        let image = self.region_mut(cx)?.owned_image(cx, id)?;
        image.recycled = stay;
        image.tags.extend(stay.map(|_| IN_BIN));
        Ok(())
    }

    /// Deletes a snapshot, for good or into the bin.
    pub(crate) fn remove_snapshot(&mut self, cx: &Context, id: &str) -> Result<(), ApiError> {
        let span = self.retention(cx).snapshots;
        let stay = self.enter_bin(cx, id, span);
        let region = self.region_mut(cx)?;
        if let (Some(mut snapshot), Some(stay)) = (region.snapshots.remove(id), stay) {
            snapshot.tags.extend([IN_BIN]);
            let deleted = DeletedSnapshot { stay, snapshot };
            region.bin.insert(id.to_owned(), deleted);
        }
        Ok(())
    }

    pub(crate) fn list_images_in_bin(&mut self, cx: &Context, input: ListImages) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 1..=1000)?;
        let region = self.region(cx)?;
        let here = |id: &str| {
            let image = region.images.get(id)?;
            (image.owner == cx.account).then_some(image.recycled?)
        };
        input.ids.iter().try_for_each(|id| IMAGE.check(id))?;
        if let Some(missing) = input.ids.iter().find(|id| here(id).is_none()) {
            return Err(IMAGE.not_found(missing));
        }
        let (page, token) = paging.of_shelf(&region.images, |image| {
            here(&image.id).is_some() && (input.ids.is_empty() || input.ids.contains(&image.id))
        });
        let mut x = Xml::new();
        x.list("imageSet", page, |x, image| {
            x.text("imageId", &image.id).text("name", &image.name).maybe("description", image.description.as_ref());
            write_stay(x, image.recycled);
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    /// An image comes back as it was, with its tags and launch permissions.
    pub(crate) fn restore_image(&mut self, cx: &Context, input: RestoreImage) -> Result<Xml, ApiError> {
        let id = input.image_id;
        IMAGE.check(&id)?;
        let region = self.region_mut(cx)?;
        let image = region
            .images
            .get(&id)
            .filter(|image| image.owner == cx.account && image.recycled.is_some())
            .ok_or_else(|| IMAGE.not_found(&id))?;
        region.check_name(cx, &image.name)?;
        if let Some(gone) = image.snapshots().find(|s| !region.snapshots.contains_key(s)) {
            return Err(SNAPSHOT.not_found(gone));
        }
        let mut image = image.clone();
        image.deregistered = None;
        image.leave_bin();
        region.add_image(image);
        Ok(Xml::done())
    }

    pub(crate) fn list_snapshots_in_bin(&mut self, cx: &Context, input: ListSnapshots) -> Result<Xml, ApiError> {
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 5..=1000)?;
        let region = self.region(cx)?;
        for id in &input.ids {
            region.deleted_snapshot(cx, id)?;
        }
        let (page, token) = paging.page(&region.bin, |deleted| {
            deleted.snapshot.owner == cx.account && (input.ids.is_empty() || input.ids.contains(&deleted.snapshot.id))
        });
        let mut x = Xml::new();
        x.list("snapshotSet", page, |x, deleted| {
            x.text("snapshotId", &deleted.snapshot.id)
                .text("volumeId", deleted.snapshot.volume_id())
                .text("description", &deleted.snapshot.description);
            write_stay(x, Some(deleted.stay));
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn restore_snapshot(&mut self, cx: &Context, input: RestoreSnapshot) -> Result<Xml, ApiError> {
        let id = input.snapshot_id;
        let region = self.region_mut(cx)?;
        let mut snapshot = region.deleted_snapshot(cx, &id)?.snapshot.clone();
        region.bin.remove(&id);
        unmark(&mut snapshot.tags);
        let mut x = Xml::new();
        snapshot.write(&mut x, cx);
        region.snapshots.insert(id, snapshot);
        Ok(x)
    }
}

impl Image {
    /// It is no longer in the bin, be it restored or gone for good.
    fn leave_bin(&mut self) {
        self.recycled = None;
        unmark(&mut self.tags);
    }
}

/// Takes away the tag of what is in the bin.
fn unmark(tags: &mut Tags) {
    tags.retain(|key, _| key != IN_BIN.0);
}

impl Region {
    /// Whether an image or snapshot of the caller is in the bin.
    pub(crate) fn is_in_bin(&self, cx: &Context, id: &str) -> bool {
        let image = self.images.get(id).filter(|image| image.recycled.is_some()).map(|image| &image.owner);
        let owner = image.or_else(|| self.bin.get(id).map(|deleted| &deleted.snapshot.owner));
        owner.is_some_and(|owner| *owner == cx.account)
    }

    fn deleted_snapshot(&self, cx: &Context, id: &str) -> Result<&DeletedSnapshot, ApiError> {
        SNAPSHOT.check(id)?;
        self.bin.get(id).filter(|deleted| deleted.snapshot.owner == cx.account).ok_or_else(|| SNAPSHOT.not_found(id))
    }
}

fn write_stay(x: &mut Xml, stay: Option<Stay>) {
    x.maybe("recycleBinEnterTime", stay.map(|stay| date(stay.entered)))
        .maybe("recycleBinExitTime", stay.map(|stay| date(stay.exits)));
}

/// What is in the bin, by id.
pub(crate) type Bin = BTreeMap<String, DeletedSnapshot>;
