//! Carrying out what the planner decided. Each action is safe to repeat, is checked once more at the door where it
//! could harm, and tells the inventory what it did.

mod copy;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ec2::types::SnapshotReturnCodes;

use super::errors::CallError;
use super::inventory::Inventory;
use super::{images, parameters};
use crate::plan::ids::{ImageId, Owner, RegionName, SnapshotId, VersionName};
use crate::plan::tags::{Tags, owned_by};
use crate::plan::{Action, Class, Image, ImageState, Trouble};

/// What came of an action that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What happened, in one word for an event.
    pub reason: &'static str,
    /// The same as a sentence.
    pub note: String,
    /// What did not go as it should, although the action is done.
    pub warning: Option<String>,
}

impl Outcome {
    fn done(reason: &'static str, note: String) -> Self {
        Self { reason, note, warning: None }
    }
}

/// Carries out one action for `owner`, when it is its turn among the writes to the region.
///
/// # Errors
/// What AWS answered, as a sentence. Nothing is half done: the next pass sees what is.
pub async fn act(inventory: &Arc<Inventory>, owner: &Owner, action: &Action) -> Result<Outcome, Trouble> {
    let clients = inventory.aws().in_region(action.region());
    let closed = |_| Trouble::new(Class::Transient, "ShuttingDown", "the controller is shutting down");
    let turn = clients.writes.acquire().await.map_err(closed)?;
    match action {
        Action::Copy(copy) => copy::make_copy(inventory, owner, copy).await,
        Action::Tag { region, version, image, resources, tags } => {
            tag(inventory, region, image, resources, tags).await?;
            Ok(Outcome::done("Tagged", format!("tagged {image}, the image of {version} in {region}")))
        }
        Action::Publish { region, channel, version, parameter, image } => {
            let shown = inventory.shown_parameter(region, parameter);
            let put = parameters::put(inventory.aws(), region, parameter, shown, image, owner, channel).await;
            match &put {
                Ok(()) => inventory.note_parameters(region, |p| p.wrote(parameter, image, true)),
                Err(unwritten) if unwritten.in_doubt => {
                    inventory.note_parameters(region, |p| p.wrote(parameter, image, false));
                }
                // Somebody may have made it in between: read it before the next try.
                Err(_) => inventory.note_parameters(region, |p| p.read_again(parameter)),
            }
            put.map_err(|unwritten| unwritten.trouble)?;
            // Reading can take its time, and is no write.
            drop(turn);
            inventory.read_back(region, parameter).await;
            Ok(Outcome::done("Published", format!("{channel} publishes {version} in {region}: {parameter} = {image}")))
        }
        Action::Unpublish { region, parameter, .. } => {
            let was_there = parameters::delete(inventory.aws(), region, parameter, owner).await?;
            inventory.note_parameters(region, |p| p.forget(parameter));
            if !was_there {
                let message = format!("parameter {parameter} in {region} was not there when it was to be removed");
                return Err(Trouble::new(Class::Transient, "ParameterGone", message));
            }
            Ok(Outcome::done("Unpublished", format!("removed parameter {parameter} in {region}")))
        }
        Action::Deregister { region, version, image, state } => {
            deregister(inventory, owner, region, version, image, *state).await
        }
        Action::DeleteSnapshot { region, snapshot, .. } => {
            delete_snapshot(inventory, owner, region, snapshot).await?;
            Ok(Outcome::done(
                "SnapshotDeleted",
                format!("deleted snapshot {snapshot} in {region}, whose image is gone"),
            ))
        }
    }
}

async fn tag(
    inventory: &Arc<Inventory>,
    region: &RegionName,
    image: &ImageId,
    resources: &[String],
    tags: &Tags,
) -> Result<(), Trouble> {
    let aws = inventory.aws();
    let resources = inventory.note(region, |memory| memory.claim(image, resources, tags)).map_err(|other| {
        let message = format!("{image} in {region} has just been adopted for {other}, so it was left alone");
        Trouble::new(Class::Transient, "OwnedByAnother", message)
    })?;
    let call = aws.in_region(region).ec2.create_tags().set_resources(Some(resources.clone()));
    let call = call.set_tags(Some(images::write_tags(tags))).send();
    if let Err(error) = aws.call("CreateTags", region, call).await {
        doubt(inventory, region, image, &error);
        if !error.an_attempt_may_be_done() {
            inventory.note(region, |memory| memory.disclaim(image));
        }
        return Err(error.about(image.as_str()));
    }
    inventory.note(region, |memory| memory.retag(&resources, tags));
    if !resources.contains(&image.to_string()) {
        return Ok(());
    }
    // What was just adopted is known only by its id yet.
    let found = images::find(aws, region, std::slice::from_ref(image)).await.map_err(|e| e.about(image.as_str()))?;
    if found.is_empty() {
        inventory.note_look(region, std::slice::from_ref(image), Vec::new());
    }
    found.into_iter().for_each(|found| inventory.note(region, |memory| memory.assume(found)));
    Ok(())
}

/// What AWS says it does not know is looked for soon, instead of being written to in vain until the next listing.
fn doubt(inventory: &Arc<Inventory>, region: &RegionName, image: &ImageId, error: &CallError) {
    if error.lacks_snapshot() {
        inventory.want_snapshots(region);
    } else if error.is_gone() {
        inventory.note_look(region, std::slice::from_ref(image), Vec::new());
    }
}

/// Deregisters an image of ours and deletes its snapshots. Just before, EC2 is asked once more whether the image still
/// carries our tags, since somebody may have taken it out of our hands since the listing; and whether its state is the one by
/// which that was decided, since a copy that has become available may be the last of its region.
async fn deregister(
    inventory: &Arc<Inventory>,
    owner: &Owner,
    region: &RegionName,
    version: &VersionName,
    image: &ImageId,
    state: ImageState,
) -> Result<Outcome, Trouble> {
    let aws = inventory.aws();
    let about = |error: CallError| error.about(&format!("{image} ({version})"));
    let found = images::find(aws, region, std::slice::from_ref(image)).await.map_err(about)?;
    let ours = |i: &Image| i.ownership().is_some_and(|o| o.owner == *owner && o.version == *version);
    let left_alone = |code: &str, why: &str| {
        Trouble::new(Class::Transient, code, format!("{image} in {region} {why}, so it was left alone"))
    };
    let Some(found) = found.into_iter().next() else {
        inventory.note_look(region, std::slice::from_ref(image), Vec::new());
        inventory.want_snapshots(region);
        return Err(left_alone("ImageGone", "was not there when its tags were to be read once more"));
    };
    if !ours(&found) {
        inventory.note_look(region, &[], vec![found]);
        return Err(left_alone("NotOursAnyMore", &format!("does not carry the tags of {owner} {version} any more")));
    }
    if found.state != state {
        let message = format!(
            "{image} in {region} has become {} since it was decided that it goes, so it was left alone until that is decided anew",
            found.state
        );
        inventory.note_look(region, &[], vec![found]);
        return Err(Trouble::new(Class::Transient, "StateChanged", message));
    }
    let call =
        aws.in_region(region).ec2.deregister_image().image_id(image.as_str()).delete_associated_snapshots(true).send();
    let results = match aws.call("DeregisterImage", region, call).await {
        Ok(answer) => answer.delete_snapshot_results().to_vec(),
        // An attempt that was not answered has removed it.
        Err(error) if error.is_gone() && error.an_attempt_may_be_done() => Vec::new(),
        Err(error) => {
            // It may be gone, snapshots and all. What was just there and is not known any more was removed by somebody else, or a part of
            // EC2 does not know it yet.
            if error.is_gone() || error.an_attempt_may_be_done() {
                inventory.doubt(region, image);
                inventory.want_snapshots(region);
            }
            return Err(match error.is_gone() {
                true => left_alone("ImageGone", "is not known to EC2, which has just shown it"),
                false => about(error),
            });
        }
    };
    let (mut gone, mut left) = (BTreeSet::new(), Vec::new());
    for result in &results {
        let Some(id) = result.snapshot_id() else { continue };
        match result.return_code() {
            Some(SnapshotReturnCodes::Success) => drop(gone.insert(SnapshotId::new(id))),
            code => left.push(format!("{id} ({})", code.map_or("no result", |c| c.as_str()))),
        }
    }
    // An image that is still being made may have snapshots that EC2 tells nothing of.
    let tells_all = state != ImageState::Pending || !gone.is_empty();
    let leaves_none = left.is_empty() && tells_all && found.snapshots.iter().all(|snapshot| gone.contains(snapshot));
    let with = if gone.is_empty() { "" } else { " and deleted its snapshots" };
    inventory.note(region, |memory| {
        memory.remove_image(image, leaves_none);
        gone.iter().for_each(|snapshot| memory.remove_snapshot(snapshot));
    });
    inventory.want_snapshots(region);
    let warning = (!left.is_empty()).then(|| {
        format!("{image} in {region} is gone, but not its snapshots {}; amiops deletes them later", left.join(", "))
    });
    let note = format!("deregistered {image} ({version}) in {region}{with}");
    Ok(Outcome { warning, ..Outcome::done("Deregistered", note) })
}

/// Deletes a snapshot, if it still carries our tags and no image has it.
async fn delete_snapshot(
    inventory: &Arc<Inventory>,
    owner: &Owner,
    region: &RegionName,
    snapshot: &SnapshotId,
) -> Result<(), Trouble> {
    let aws = inventory.aws();
    let about = |error: CallError| error.about(snapshot.as_str());
    let found = images::snapshots_by_id(aws, region, std::slice::from_ref(snapshot)).await.map_err(about)?;
    if found.get(snapshot).is_some_and(|s| !owned_by(&s.tags, owner)) {
        inventory.want_snapshots(region);
        let message =
            format!("snapshot {snapshot} in {region} does not carry the tag of {owner} any more, so it was left alone");
        return Err(Trouble::new(Class::Transient, "NotOursAnyMore", message));
    }
    let holder = images::with_snapshot(aws, region, snapshot).await.map_err(about)?;
    // EC2 may go on listing what we have just removed.
    if let Some(holder) = holder.filter(|h| !inventory.has_removed(region, &h.id)) {
        let message = format!(
            "snapshot {snapshot} in {region} carries the tags of {owner}, but {} has it, which does not. It stays until that \
             image is gone; to fix: tag the image {}={owner} to hand it back, or remove the tags of the snapshot",
            holder.id,
            crate::plan::tags::OWNER
        );
        return Err(Trouble::new(Class::NeedsPerson, "SnapshotHeld", message));
    }
    let call = aws.in_region(region).ec2.delete_snapshot().snapshot_id(snapshot.as_str()).send();
    match aws.call("DeleteSnapshot", region, call).await {
        Ok(_) => {}
        Err(error) if error.is_gone() => {}
        Err(error) => return Err(about(error)),
    }
    inventory.note(region, |memory| memory.remove_snapshot(snapshot));
    Ok(())
}
