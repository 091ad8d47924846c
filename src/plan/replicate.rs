//! Why is this version copied, or not? Every listed version must have one available image in every region.

use std::time::Duration;

use super::action::{Action, Concern, Copy, Reason, Replica};
use super::desired::Version;
use super::ids::{AccountId, ImageRef, RegionName, VersionName};
use super::observed::{Class, Image, ImageState, Observed, RegionView, Sight, Trouble, doubled};
use super::scene::{LOOK, Owned, Scene, after};
use super::tags::Ownership;
use super::{Desired, Plan};
use crate::api::ReplicaState;

/// How long EC2 may take to list what a call has made. Usually seconds, sometimes minutes; until this has
/// passed an image that was made is not missed.
pub const LISTING_GRACE: Duration = Duration::from_mins(15);

/// The sources that a plan needs to know more of: those of versions that lack a replica or a release date.
/// In the usual case there are none, and no call is made.
pub fn sources_to_look_up(desired: &Desired, observed: &Observed) -> Vec<ImageRef> {
    let scene = Scene::new(desired, observed, jiff::Timestamp::UNIX_EPOCH);
    let lacks_replica = |version: &Version| {
        let listed = desired.regions.keys().filter(|r| observed.regions.get(r).is_some_and(|v| v.images.is_some()));
        listed.into_iter().any(|region| live(&scene.holding(region, &version.name)).is_none())
    };
    let unclear = desired.versions.iter().filter(|v| lacks_replica(v) || scene.released_at(&v.name).is_none());
    let mut sources: Vec<_> = unclear.map(|v| v.source.clone()).collect();
    sources.sort();
    sources.dedup();
    sources
}

/// Plans the copies and adoptions, and tells how every replica stands.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    for (region, view) in &scene.observed.regions {
        if let Some(trouble) = &view.trouble {
            // Of a region that the manifest does not name any more, nothing is wanted but that what is left there goes.
            let is_former = !scene.desired.regions.contains_key(region);
            let concern = if is_former { Concern::Prune } else { Concern::Replicate };
            scene.trouble(plan, concern, Some(region), None, trouble);
        }
        let kms_key = scene.desired.regions.get(region);
        if let Some(kms_key) = kms_key.filter(|_| !scene.desired.deleting) {
            for version in &scene.desired.versions {
                let replica = wanted(scene, plan, version, region, view, kms_key.as_deref());
                plan.replicas.push(replica);
            }
        }
        for owned in scene.owned(region) {
            if !plan.tells_of(&owned.ownership.version, region) {
                plan.replicas.push(Replica { wanted: false, ..existing(scene, region, owned) });
            }
        }
        for (version, _) in view.unlisted() {
            if !plan.tells_of(version, region) {
                plan.replicas.push(unlisted(scene, region, version));
            }
        }
    }
}

/// The image that counts as the replica: an available one rather than a pending one, the oldest first.
fn live<'a, 'b>(holding: &[&'b Owned<'a>]) -> Option<&'b Owned<'a>> {
    holding.iter().copied().filter(|o| o.image.state != ImageState::Failed).min_by_key(|o| match o.image.state {
        ImageState::Available => 0,
        ImageState::Pending => 1,
        _ => 2,
    })
}

fn existing(scene: &Scene, region: &RegionName, owned: &Owned) -> Replica {
    let state = match owned.image.state {
        _ if owned.image.sight.is_doubtful() => ReplicaState::Unknown,
        _ if scene.is_contradicted(owned) => ReplicaState::Conflict,
        ImageState::Available => ReplicaState::Available,
        ImageState::Pending => ReplicaState::Pending,
        ImageState::Disabled | ImageState::Deregistered => ReplicaState::Disabled,
        ImageState::Failed => ReplicaState::Failed,
    };
    Replica {
        version: owned.ownership.version.clone(),
        region: region.clone(),
        wanted: true,
        image: Some(owned.image.id.clone()),
        state,
        released_at: scene.released_at(&owned.ownership.version),
        error: match owned.image.sight {
            Sight::Listed | Sight::Assumed => None,
            Sight::Claimed => Some("it is being adopted, and EC2 does not show its tags yet; looking again".into()),
            Sight::Missed => Some("EC2 did not list it at the last look; looking again".into()),
        },
    }
}

/// A copy that nobody wants any more, and that EC2 may still come to list.
fn unlisted(scene: &Scene, region: &RegionName, version: &VersionName) -> Replica {
    Replica {
        version: version.clone(),
        region: region.clone(),
        wanted: false,
        image: None,
        state: ReplicaState::Unknown,
        released_at: scene.released_at(version),
        error: Some("a copy of it may be there that EC2 does not list yet".into()),
    }
}

fn wanted(
    scene: &Scene,
    plan: &mut Plan,
    version: &Version,
    region: &RegionName,
    view: &RegionView,
    kms_key: Option<&str>,
) -> Replica {
    let mut replica = Replica {
        version: version.name.clone(),
        region: region.clone(),
        wanted: true,
        image: None,
        state: ReplicaState::Unknown,
        released_at: scene.released_at(&version.name),
        // The problems tell of it once; here it would stand for every version.
        error: view.trouble.as_ref().map(|t| format!("{region} cannot be listed ({}): see status.problems", t.code)),
    };
    if view.images.is_none() {
        return replica;
    }
    let holding = scene.holding(region, &version.name);
    if let Some(owned) = live(&holding) {
        let trouble = faults(scene, version, region, owned, &holding);
        trouble.iter().for_each(|t| scene.trouble(plan, Concern::Replicate, Some(region), Some(&version.name), t));
        let found = existing(scene, region, owned);
        let error = trouble.map(|t| t.message).or(replica.error).or(found.error.clone());
        return Replica { error, ..found };
    }
    replica.state = if holding.is_empty() { ReplicaState::Missing } else { ReplicaState::Failed };
    replica.image = holding.last().map(|o| o.image.id.clone());
    if view.is_current() {
        let outcome = if let Some(trouble) = other_content(scene, version) {
            Err(trouble)
        } else if version.adopt && &version.source.region == region {
            adopt(scene, plan, version, view)
        } else {
            copy(scene, plan, version, region, view, kms_key, &holding)
        };
        match outcome {
            Ok(error) => replica.error = error,
            Err(trouble) => {
                scene.trouble(plan, Concern::Replicate, Some(region), Some(&version.name), &trouble);
                replica.error = Some(trouble.message);
            }
        }
    }
    replica
}

/// Whether another region holds other content of a version. Then none is added: one version would have two contents.
fn other_content(scene: &Scene, version: &Version) -> Option<Trouble> {
    let regions = scene.observed.regions.keys();
    let held = regions.flat_map(|region| scene.holding(region, &version.name).into_iter().map(move |o| (region, o)));
    let mut differing = held.filter(|(_, o)| o.image.state != ImageState::Failed && scene.is_contradicted(o));
    differing.next().map(|(region, owned)| source_changed(version, region, owned))
}

fn source_changed(version: &Version, region: &RegionName, owned: &Owned) -> Trouble {
    let former = owned.ownership.source.as_ref().map_or_else(|| "another image".to_owned(), |s| s.to_string());
    let message = format!(
        "{} in {region} holds {} as copied from {former}, but the manifest now names {} as its source. A version never \
         changes its content: give the new content a new version",
        owned.image.id, version.name, version.source
    );
    Trouble::new(Class::Terminal, "SourceChanged", message)
}

/// What is wrong with a replica that exists.
fn faults(scene: &Scene, version: &Version, region: &RegionName, owned: &Owned, holding: &[&Owned]) -> Option<Trouble> {
    let name = &version.name;
    let id = &owned.image.id;
    if scene.is_contradicted(owned) {
        return Some(source_changed(version, region, owned));
    }
    if owned.image.state == ImageState::Disabled {
        return Some(Trouble::new(
            Class::NeedsPerson,
            "ImageDisabled",
            format!(
                "{id}, the image of {name} in {region}, was disabled by somebody: enable it, or deregister it to have it copied anew"
            ),
        ));
    }
    let others: Vec<_> = holding
        .iter()
        .filter(|o| o.image.id != *id && o.image.state != ImageState::Failed)
        .map(|o| o.image.id.to_string())
        .collect();
    if !others.is_empty() {
        let message = format!(
            "{region} has more than one image of {name}: {id} counts, and {} is left alone. Deregister what you do not need",
            others.join(", ")
        );
        return Some(Trouble::new(Class::NeedsPerson, "Duplicate", message));
    }
    (version.adopt && version.source.region == *region && version.source.id != *id).then(|| {
        let message = format!(
            "{} in {region} is not adopted, because {name} has a copy there already: {id}. Take out adopt: true to go on with \
             the copy",
            version.source.id
        );
        Trouble::new(Class::NeedsPerson, "NotAdopted", message)
    })
}

/// Plans to tag the source as the replica of its region. The answer is the sentence of an earlier failure.
fn adopt(scene: &Scene, plan: &mut Plan, version: &Version, view: &RegionView) -> Result<Option<String>, Trouble> {
    let source = &version.source;
    if let Some(wait) = may_be_copied(scene, version, view) {
        plan.await_listing(scene.now, wait);
        let message =
            "adopting waits up to 15 minutes: a copy of this source that was started earlier may still appear in EC2";
        return Ok(Some(message.into()));
    }
    let image = source_image(scene, plan, source)?;
    if *account(scene, plan)? != image.account {
        return Err(Trouble::new(
            Class::Terminal,
            "NotOwned",
            format!(
                "{} in {} belongs to account {}, so it cannot be adopted: take out adopt: true to have it copied",
                source.id, source.region, image.account
            ),
        ));
    }
    if let Some(other) = image.ownership().filter(|o| o.owner != scene.desired.owner || o.version != version.name) {
        let trouble = owned_by_another(source, &other);
        scene.try_again(plan, &trouble);
        return Err(trouble);
    }
    let snapshots = image.snapshots.iter().map(|s| s.to_string());
    let action = Action::Tag {
        region: source.region.clone(),
        version: version.name.clone(),
        image: image.id.clone(),
        resources: std::iter::once(image.id.to_string()).chain(snapshots).collect(),
        tags: scene.tags(version, 1, true),
    };
    Ok(scene.want(plan, action, Reason::HandedOver))
}

fn owned_by_another(source: &ImageRef, other: &Ownership) -> Trouble {
    let message = format!(
        "{} in {} cannot be adopted: its tags say that it is version {} of {}. Remove its amiops.dev/ tags if that is over",
        source.id, source.region, other.version, other.owner
    );
    Trouble::new(Class::NeedsPerson, "OwnedByAnother", message)
}

/// For how long EC2 may come to list a copy of a source in its own region: one that this process has asked for, or an earlier one.
fn may_be_copied(scene: &Scene, version: &Version, view: &RegionView) -> Option<Duration> {
    let earlier = scene.observed.begun_earlier.contains(&version.name).then_some(scene.observed.listed_late_for);
    view.may_list(&version.name).or(earlier.filter(|wait| !wait.is_zero()))
}

/// The account that amiops works for. Until it is known nothing is adopted: EC2 lets everyone who may launch an image tag it,
/// for their own account: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
fn account<'a>(scene: &Scene<'a>, plan: &mut Plan) -> Result<&'a AccountId, Trouble> {
    let unknown = || {
        let message = "the account that amiops works for is not known yet, so nothing is adopted";
        Trouble::new(Class::Transient, "AccountUnknown", message)
    };
    match &scene.observed.account {
        Some(Ok(account)) => Ok(account),
        other => {
            plan.look_again_at(scene.now + LOOK);
            Err(other.as_ref().and_then(|answer| answer.as_ref().err().cloned()).unwrap_or_else(unknown))
        }
    }
}

/// Plans a copy. The answer is the sentence of an earlier failure.
fn copy(
    scene: &Scene,
    plan: &mut Plan,
    version: &Version,
    region: &RegionName,
    view: &RegionView,
    kms_key: Option<&str>,
    failed: &[&Owned],
) -> Result<Option<String>, Trouble> {
    if version.source.region == *region && scene.taken_back(&version.source).is_some() {
        return Ok(Some(format!("{} is handed back first, since it is not adopted any more", version.source.id)));
    }
    if let Some(wait) = view.awaited.get(&version.name) {
        plan.await_listing(scene.now, *wait);
        return Ok(Some("EC2 says that this copy was started before; waiting until EC2 lists it".into()));
    }
    let known = view.attempts.get(&version.name).copied().unwrap_or(0);
    let made = failed.iter().map(|o| o.ownership.attempt).fold(known, u32::max);
    let reason = match failed.last() {
        None => Reason::Missing,
        Some(last) => {
            let cause = last.image.state_reason.clone().unwrap_or_else(|| "EC2 gives no reason".into());
            let due = last.image.created.map(|at| after(at, Duration::from_secs(doubled(60, made, 3600))));
            if let Some(due) = due.filter(|due| *due > scene.now && !scene.observed.requested) {
                plan.look_again_at(due);
                return Err(copy_failed(version, region, last.image, &cause, kms_key));
            }
            Reason::CopyFailed { cause }
        }
    };
    let holder = failed.iter().map(|o| o.image).find(|image| image.name == version.image_name);
    if let Some(holder) = holder.filter(|image| image.protected) {
        return Err(protected(region, holder));
    }
    source_image(scene, plan, &version.source)?;
    let attempt = made + 1;
    let action = Action::Copy(Copy {
        region: region.clone(),
        version: version.name.clone(),
        source: version.source.clone(),
        name: version.image_name.clone(),
        kms_key: kms_key.map(str::to_owned),
        tags: scene.tags(version, attempt, false),
        attempt,
        replaces: holder.map(|image| image.id.clone()),
    });
    Ok(scene.want(plan, action, reason))
}

/// A failed copy makes room for the next attempt, since both have the same name; this one cannot.
fn protected(region: &RegionName, failed: &Image) -> Trouble {
    let message = format!(
        "{}, a failed copy, holds the name '{}' in {region}, and somebody protected it from deregistration: disable the \
         protection to have it copied anew",
        failed.id, failed.name
    );
    Trouble::new(Class::NeedsPerson, "FailedCopyProtected", message)
}

fn copy_failed(version: &Version, region: &RegionName, image: &Image, cause: &str, kms_key: Option<&str>) -> Trouble {
    let advice = match kms_key {
        Some(key) => format!("check that the KMS key {key} exists in {region}, is enabled, and may be used by amiops"),
        None => "check the source and its snapshots, and the default encryption key of the region".into(),
    };
    let name = &version.name;
    let message =
        format!("the copy of {name} to {region} failed ({}): {cause}. amiops tries again; {advice}", image.id);
    Trouble::new(Class::NeedsPerson, "CopyFailed", message)
}

/// The source, if it was found and can be copied. If not, it is looked up again before long: nothing tells when it comes.
fn source_image<'a>(scene: &Scene<'a>, plan: &mut Plan, source: &ImageRef) -> Result<&'a Image, Trouble> {
    let image = found(scene, source);
    if let Err(trouble) = &image {
        scene.try_again(plan, trouble);
    }
    image
}

fn found<'a>(scene: &Scene<'a>, source: &ImageRef) -> Result<&'a Image, Trouble> {
    let image = match scene.source(source) {
        Some(Ok(image)) => image,
        Some(Err(trouble)) => return Err(trouble.clone()),
        None => {
            let message = format!("the source {} in {} has not been looked up yet", source.id, source.region);
            return Err(Trouble::new(Class::Transient, "SourceUnknown", message));
        }
    };
    let (class, advice) = match image.state {
        ImageState::Available => return Ok(image),
        ImageState::Pending => (Class::Transient, "it is copied once it is available"),
        _ => (Class::NeedsPerson, "name an image that is available"),
    };
    let message = format!("the source {} in {} is {}: {advice}", source.id, source.region, image.state);
    Err(Trouble::new(class, "SourceNotAvailable", message))
}
