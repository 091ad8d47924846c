//! How a copy is made: once, whatever answers are lost.

use std::sync::Arc;

use aws_sdk_ec2::types::{ResourceType, TagSpecification};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Outcome, deregister};
use crate::aws::errors::CallError;
use crate::aws::images;
use crate::aws::inventory::Inventory;
use crate::plan::ids::{ImageId, ImageRef, Owner, RegionName, VersionName};
use crate::plan::tags::Ownership;
use crate::plan::{Class, Copy, Image, ImageState, Sight, Trouble};

/// EC2 takes a description of so many characters at most:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>
const DESCRIPTION: usize = 255;

/// Makes a copy, unless one is there already. A failed copy that has its name makes room for it first: the next pass goes on.
pub(super) async fn make_copy(inventory: &Arc<Inventory>, owner: &Owner, copy: &Copy) -> Result<Outcome, Trouble> {
    let Copy { region, version, .. } = copy;
    match look_up_name(inventory, owner, copy).await? {
        Name::Free => start_copy(inventory, owner, copy).await,
        Name::Replica(id) => Ok(Outcome::done("CopyFound", format!("{version} is already copied to {region}: {id}"))),
        Name::FailedCopy(id) => {
            let removed = deregister(inventory, owner, region, version, &id, ImageState::Failed).await?;
            Ok(Outcome { note: format!("{}, a failed copy; the next attempt follows", removed.note), ..removed })
        }
    }
}

/// Starts a copy, unless EC2 knows that it was started before.
async fn start_copy(inventory: &Arc<Inventory>, owner: &Owner, copy: &Copy) -> Result<Outcome, Trouble> {
    let Copy { region, version, source, .. } = copy;
    let subject = format!("version {version} (source {source})");
    match ask_for_copy(inventory, owner, copy).await {
        Ok(id) => {
            let began = inventory.now();
            inventory.note(region, |memory| memory.assume(pending_copy(copy, &id, began)));
            Ok(Outcome::done("CopyStarted", format!("started the copy of {version} to {region}: {id}")))
        }
        Err(error) if error.is_token_used() => {
            // The token was used before, with other tags or another key: the copy exists, and EC2 will list it.
            if let Some(ownership) = Ownership::read(&copy.tags) {
                inventory.note(region, |memory| memory.await_unknown(&ownership));
            }
            let note = format!("the copy of {version} to {region} was started before; waiting until EC2 lists it");
            Ok(Outcome::done("CopyFound", note))
        }
        Err(error) if error.is_gone() || error.is_unreadable() => {
            let advice = "Check that the source still exists, and that its snapshots, and the key that encrypts them, are shared with \
                          the account of amiops";
            Err(error.with_class(Class::NeedsPerson, advice).about(&subject))
        }
        Err(error) => Err(error.about(&subject)),
    }
}

/// Asks for a copy. Unless AWS has refused it, it is remembered until its id is known: it may be there although nobody has heard so.
async fn ask_for_copy(inventory: &Arc<Inventory>, owner: &Owner, copy: &Copy) -> Result<ImageId, CallError> {
    let Some(ownership) = Ownership::read(&copy.tags) else { return copy_image(inventory, owner, copy).await };
    let before = inventory.note(&copy.region, |memory| memory.begin_copy(&ownership));
    let answer = copy_image(inventory, owner, copy).await;
    if answer.as_ref().is_err_and(|error| !error.an_attempt_may_be_done()) {
        inventory.note(&copy.region, |memory| memory.refuse_copy(&ownership, before));
    }
    answer
}

async fn copy_image(inventory: &Arc<Inventory>, owner: &Owner, copy: &Copy) -> Result<ImageId, CallError> {
    let Copy { region, version, source, name, kms_key, tags, attempt, .. } = copy;
    let tagged =
        |kind| TagSpecification::builder().resource_type(kind).set_tags(Some(images::write_tags(tags))).build();
    let aws = inventory.aws();
    let call = aws
        .in_region(region)
        .ec2
        .copy_image()
        .name(name)
        .description(
            format!("{version} of {owner}, copied by amiops from {source}")
                .chars()
                .take(DESCRIPTION)
                .collect::<String>(),
        )
        .source_image_id(source.id.as_str())
        .source_region(source.region.as_str())
        .client_token(client_token(owner, version, region, *attempt))
        .tag_specifications(tagged(ResourceType::Image))
        .tag_specifications(tagged(ResourceType::Snapshot))
        // Encrypted=false is never sent: EC2 refuses it for an encrypted source, and keeps encryption when it is left out.
        .set_encrypted(kms_key.as_ref().map(|_| true))
        .set_kms_key_id(kms_key.clone())
        .send();
    let answer = aws.call("CopyImage", region, call).await?;
    let missing = || CallError::malformed("CopyImage", region, "the answer names no image");
    answer.image_id().map(ImageId::new).ok_or_else(missing)
}

/// The copy as EC2 will list it, so far as that is known.
fn pending_copy(copy: &Copy, id: &ImageId, began: Timestamp) -> Image {
    Image {
        name: copy.name.clone(),
        created: Some(began),
        made_from: Some(copy.source.clone()),
        ..Image::unlisted(id.clone(), ImageState::Pending, Sight::Assumed, copy.tags.clone())
    }
}

/// Who has the name that a copy is to get.
enum Name {
    /// Nobody.
    Free,
    /// The copy itself, of which the inventory did not know.
    Replica(ImageId),
    /// The failed copy that the plan replaces.
    FailedCopy(ImageId),
}

/// Looks who has the name that a copy is to get: names are unique in an account and region.
async fn look_up_name(inventory: &Arc<Inventory>, owner: &Owner, copy: &Copy) -> Result<Name, Trouble> {
    let Copy { region, version, name, .. } = copy;
    let holder =
        images::named(inventory.aws(), region, name).await.map_err(|e| e.about(&format!("the image named {name}")))?;
    // EC2 may go on listing what we have just removed.
    let Some(holder) = holder.filter(|h| !inventory.has_removed(region, &h.id)) else { return Ok(Name::Free) };
    let id = holder.id.clone();
    let Some(source) = made_for(&holder, owner, copy) else { return Err(name_taken(copy, &holder)) };
    if holder.state == ImageState::Failed && copy.replaces.as_ref() == Some(&id) {
        return Ok(Name::FailedCopy(id));
    }
    // Also one of other content, whose answer was lost before the manifest named another source: other regions must know of it.
    inventory.note(region, |memory| memory.assume(holder.clone()));
    match holder.state {
        ImageState::Failed => {
            let message =
                format!("{id} in {region}, an earlier copy of {version}, has failed; amiops tries again by itself");
            Err(Trouble::new(Class::Transient, "CopyFailed", message))
        }
        _ if source == copy.source => Ok(Name::Replica(id)),
        _ => Err(name_taken(copy, &holder)),
    }
}

fn name_taken(copy: &Copy, holder: &Image) -> Trouble {
    let Copy { region, version, name, .. } = copy;
    let whose = holder.ownership().map_or_else(
        || "which amiops did not make".to_owned(),
        |o| format!("which carries the tags of version {} of {}", o.version, o.owner),
    );
    let message = format!(
        "{version} cannot be copied to {region}: the name '{name}' is taken by {}, {whose}. To fix: choose another \
         spec.nameTemplate, or deregister that image, or, if it is the source, set adopt: true",
        holder.id
    );
    Trouble::new(Class::NeedsPerson, "NameTaken", message)
}

/// What an image of ours was copied from for the version that is to be copied. `None` if it is not such a copy: its tags name
/// another version, or EC2's own record of its source does not agree with them, so that somebody copied or changed it.
fn made_for(holder: &Image, owner: &Owner, copy: &Copy) -> Option<ImageRef> {
    let ownership = holder.ownership().filter(|o| o.owner == *owner && o.version == copy.version && !o.adopted)?;
    let source = ownership.source.unwrap_or_else(|| copy.source.clone());
    (holder.made_from.as_ref() == Some(&source)).then_some(source)
}

/// The ClientToken of a copy: equal for the same object, version, region and attempt, in every process that ever asks.
/// So a copy whose answer was lost is not made again. At most 64 ASCII characters.
fn client_token(owner: &Owner, version: &VersionName, region: &RegionName, attempt: u32) -> String {
    let digest = Sha256::digest(format!("{owner}\n{version}\n{region}\n{attempt}"));
    let hex: String = digest.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
    format!("amiops-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { installation: "default".into(), namespace: "images".into(), name: "web".into() }
    }

    #[test]
    fn a_token_is_the_same_in_every_process_and_fits_into_64_characters() {
        let token = client_token(&owner(), &"1.4.2".into(), &"eu-west-1".into(), 1);
        assert_eq!(token, client_token(&owner(), &"1.4.2".into(), &"eu-west-1".into(), 1));
        assert!(token.len() <= 64 && token.is_ascii());
    }

    #[test]
    fn another_version_region_or_attempt_has_another_token() {
        let token = client_token(&owner(), &"1.4.2".into(), &"eu-west-1".into(), 1);
        assert_ne!(token, client_token(&owner(), &"1.4.3".into(), &"eu-west-1".into(), 1));
        assert_ne!(token, client_token(&owner(), &"1.4.2".into(), &"us-east-1".into(), 1));
        assert_ne!(token, client_token(&owner(), &"1.4.2".into(), &"eu-west-1".into(), 2));
    }

    #[test]
    fn another_owner_has_another_token() {
        let token = |owner: Owner| client_token(&owner, &"1.4.2".into(), &"eu-west-1".into(), 1);
        let others = [
            Owner { installation: "another".into(), ..owner() },
            Owner { namespace: "another".into(), ..owner() },
            Owner { name: "another".into(), ..owner() },
        ];
        others.into_iter().for_each(|other| assert_ne!(token(other), token(owner())));
    }
}
