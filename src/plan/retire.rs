//! Why was this image deleted, or not? The only place where it is decided that something goes.
//!
//! What goes: images of versions that have left the list and are not among those kept; failed copies that
//! another has replaced; snapshots whose image is gone; and everything, if the object is deleted with
//! the policy Delete. What keeps an image is the list [`GUARDS`], and that something uses it:
//! the first that answers wins. A check that could not be made keeps the image.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::action::{Action, Concern, Departure, Reason};
use super::ids::{ImageId, RegionName, VersionName};
use super::observed::{ImageState, Observed, RegionView, Snapshot, Usage};
use super::scene::{LOOK, Owned, Scene, after};
use super::tags::Ownership;
use super::{Desired, Plan};

/// A copy makes its snapshots before its image lists them, so a young snapshot without an image is not left behind.
const SNAPSHOT_GRACE: Duration = Duration::from_hours(1);

/// So many of those who use an image are named. There can be thousands, and the status has room for a page.
const NAMED_USERS: usize = 5;

/// An image that goes unless something keeps it.
struct Candidate<'a> {
    region: &'a RegionName,
    view: &'a RegionView,
    owned: Owned<'a>,
    reason: Reason,
    /// Whether it is the one that stays so that its region has an available image.
    is_last: bool,
}

impl Candidate<'_> {
    fn is_failed(&self) -> bool {
        self.owned.image.state == ImageState::Failed
    }
}

/// The images whose use must be checked before a plan can let them go, by region. In the usual case there are none.
pub fn candidates(desired: &Desired, observed: &Observed) -> BTreeMap<RegionName, Vec<ImageId>> {
    let scene = Scene::new(desired, observed, Timestamp::UNIX_EPOCH);
    let mut ids = BTreeMap::<_, Vec<_>>::new();
    for candidate in leaving(&scene).into_iter().filter(|c| !c.is_failed() && kept_unasked(&scene, c).is_none()) {
        ids.entry(candidate.region.clone()).or_default().push(candidate.owned.image.id.clone());
    }
    ids
}

/// The regions that must be looked at anew before a plan can let an image go: those where one could, and those with images that take
/// the places of retention instead.
pub fn regions_in_question(desired: &Desired, observed: &Observed) -> BTreeSet<RegionName> {
    let scene = Scene::new(desired, observed, Timestamp::UNIX_EPOCH);
    let mut regions: BTreeSet<_> = candidates(desired, observed).into_keys().collect();
    if !regions.is_empty() && !desired.retires_all() {
        let has_left = |o: &Owned| desired.version(&o.ownership.version).is_none();
        let with_others = observed.regions.keys().filter(|region| scene.owned(region).iter().any(has_left));
        regions.extend(with_others.cloned());
    }
    regions
}

/// Plans what goes, and tells of everything that will and what keeps it.
pub(super) fn plan(scene: &Scene, plan: &mut Plan) {
    for candidate in leaving(scene) {
        let action = Action::Deregister {
            region: candidate.region.clone(),
            version: candidate.owned.ownership.version.clone(),
            image: candidate.owned.image.id.clone(),
            state: candidate.owned.image.state,
        };
        let kept = kept_unasked(scene, &candidate);
        let usage = scene.observed.usage.get(&candidate.owned.image.id);
        let is_in_question = kept.is_none() && !candidate.is_failed();
        if is_in_question && usage.is_none() {
            // Of very many images, some are asked about at once.
            plan.look_again_at(scene.now + LOOK);
        }
        if let Some(Usage::Unknown(trouble)) = usage {
            scene.trouble(
                plan,
                Concern::Prune,
                Some(candidate.region),
                Some(&candidate.owned.ownership.version),
                trouble,
            );
        }
        if kept.is_some() && waits_for_another(scene, &candidate) {
            plan.look_again_at(scene.now + LOOK * 5);
        }
        let in_use = || if is_in_question { used(usage) } else { None };
        let blocked_by = kept.or_else(in_use).or_else(|| scene.want(plan, action, candidate.reason.clone()));
        plan.departures.push(Departure {
            version: candidate.owned.ownership.version,
            region: candidate.region.clone(),
            id: candidate.owned.image.id.to_string(),
            reason: candidate.reason,
            blocked_by,
        });
    }
    for (region, view) in &scene.observed.regions {
        left_behind(scene, plan, region, view);
    }
}

/// The images that go unless something keeps them.
fn leaving<'a>(scene: &Scene<'a>) -> Vec<Candidate<'a>> {
    let kept = kept_versions(scene);
    let mut leaving = Vec::new();
    for (region, view) in &scene.observed.regions {
        let owned = scene.owned(region);
        let reasons: Vec<_> = owned.iter().map(|image| reason_to_go(scene, region, image, owned, &kept)).collect();
        let sound = |o: &Owned| o.image.state == ImageState::Available && !o.image.sight.is_doubtful();
        let date = |o: &Owned| scene.released_at(&o.ownership.version).or(o.image.created);
        // One of a version that is listed or kept stays anyway, else the newest does.
        let stays = owned.iter().zip(&reasons).filter(|(image, _)| sound(image)).max_by_key(|(image, reason)| {
            (reason.is_none(), date(image), &image.ownership.version, image.image.created, &image.image.id)
        });
        let stays = stays.map(|(image, _)| &image.image.id);
        for (image, reason) in owned.iter().zip(&reasons) {
            if let Some(reason) = reason.clone() {
                let is_last = stays.is_none_or(|id| *id == image.image.id);
                leaving.push(Candidate { region, view, owned: image.clone(), reason, is_last });
            }
        }
    }
    leaving
}

fn reason_to_go(
    scene: &Scene,
    region: &RegionName,
    owned: &Owned,
    others: &[Owned],
    kept: &[VersionName],
) -> Option<Reason> {
    let version = &owned.ownership.version;
    let listed = scene.desired.version(version).is_some();
    let wanted = listed && scene.desired.regions.contains_key(region);
    if scene.desired.retires_all() {
        return Some(Reason::ObjectDeleted);
    }
    if scene.desired.deleting {
        return None;
    }
    if owned.image.state == ImageState::Failed {
        let later = |o: &Owned| o.image.state != ImageState::Failed || o.ownership.attempt > owned.ownership.attempt;
        let replaced = |o: &Owned| o.ownership.version == *version && later(o);
        return match wanted {
            true => others.iter().any(replaced).then_some(Reason::Superseded),
            false => Some(Reason::FailedAndUnwanted),
        };
    }
    let keep_last = scene.desired.keep_last?;
    (!listed && !kept.contains(version)).then_some(Reason::LeftTheList { keep_last })
}

/// A version that has left the list.
#[derive(Default)]
struct Left {
    date: Option<Timestamp>,
    /// Whether it has an image that is complete. One that is still pending may fail, and one that the last look missed, or whose region
    /// cannot be seen, may be gone, so they take the place of no other.
    is_complete: bool,
}

/// Of the versions that have left the list, the newest that retention keeps.
fn kept_versions(scene: &Scene) -> Vec<VersionName> {
    let mut left: BTreeMap<VersionName, Left> = BTreeMap::new();
    for (region, view) in &scene.observed.regions {
        let has_left =
            |o: &&Owned| o.image.state != ImageState::Failed && scene.desired.version(&o.ownership.version).is_none();
        for Owned { image, ownership } in scene.owned(region).iter().filter(has_left) {
            let known = left.entry(ownership.version.clone()).or_default();
            known.date = known.date.max(scene.released_at(&ownership.version).or(image.created));
            known.is_complete |= view.is_current() && image.state != ImageState::Pending && !image.sight.is_doubtful();
        }
    }
    let mut left: Vec<_> = left.into_iter().collect();
    left.sort_by(|(a_name, a), (b_name, b)| (b.date, b_name).cmp(&(a.date, a_name)));
    let mut places = scene.desired.keep_last.unwrap_or(usize::MAX);
    let kept = left.into_iter().take_while(|(_, version)| {
        let is_kept = places > 0;
        places = places.saturating_sub(usize::from(version.is_complete));
        is_kept
    });
    kept.map(|(version, _)| version).collect()
}

/// Why an image stays, as a sentence; `None` lets it go.
type Guard = fn(&Scene, &Candidate) -> Option<String>;

/// Everything that can keep an image and is known without asking who uses it, in the order in which it is asked.
const GUARDS: &[Guard] = &[sight, channel, parameter, source, unreadable_manifest, protection, last_of_region];
/// What can keep a failed copy. Nobody can launch it, so no channel, parameter or user needs it.
const GUARDS_OF_FAILED: &[Guard] = &[sight, source, protection];

/// What keeps an image before anybody is asked who uses it.
fn kept_unasked(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let guards = if candidate.is_failed() { GUARDS_OF_FAILED } else { GUARDS };
    guards.iter().find_map(|guard| guard(scene, candidate))
}

/// Whether another object may keep an image. Nothing tells when that changes.
fn waits_for_another(scene: &Scene, candidate: &Candidate) -> bool {
    scene.observed.claimed.contains(&candidate.owned.image.id)
        || !scene.observed.unreadable.is_empty()
        || parameter(scene, candidate).is_some()
}

/// The region must be seen at present, and EC2 must have listed the image.
fn sight(_: &Scene, candidate: &Candidate) -> Option<String> {
    unseen(candidate.view)
        .or_else(|| candidate.owned.image.sight.is_unlisted().then(|| "EC2 does not list it yet".into()))
}

/// Why nothing goes in a region that cannot be seen at present.
fn unseen(view: &RegionView) -> Option<String> {
    view.trouble.as_ref().map(|trouble| format!("the region cannot be seen: {}", trouble.message))
}

/// No channel points to its version. The channels of a deleted object go with it.
fn channel(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let version = &candidate.owned.ownership.version;
    let channel = scene.desired.channels.iter().find(|c| &c.version == version && !scene.desired.retires_all())?;
    Some(format!("channel {} points to it", channel.name))
}

/// No parameter of any channel names it, and all of them can be read.
fn parameter(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let id = &candidate.owned.image.id;
    let mut parameters = scene.desired.channels.iter().filter_map(|c| c.parameter.as_ref());
    if let Some(unread) = parameters.find(|p| !candidate.view.parameters.contains_key(p)) {
        return Some(format!("it counts as in use, because parameter {unread} has not been read yet"));
    }
    candidate.view.parameters.iter().find_map(|(name, read)| match read {
        Err(trouble) => {
            Some(format!("it counts as in use, because parameter {name} cannot be read: {}", trouble.message))
        }
        Ok(Some(parameter)) => {
            let written = parameter.written.as_ref().is_some_and(|w| w.image == *id);
            (written || parameter.names(id)).then(|| format!("parameter {name} names it"))
        }
        Ok(None) => None,
    })
}

/// No manifest has it as a source. A deleted object copies nothing any more, but others may copy from its images.
fn source(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let id = &candidate.owned.image.id;
    let own = scene.desired.versions.iter().find(|v| v.source.id == *id && !scene.desired.retires_all());
    own.map(|v| format!("version {} is copied from it", v.name))
        .or_else(|| scene.observed.claimed.contains(id).then(|| "another MachineImage has it as a source".into()))
}

/// Every manifest can be read: one that cannot may have it as a source.
fn unreadable_manifest(scene: &Scene, _: &Candidate) -> Option<String> {
    let manifest = scene.observed.unreadable.first()?;
    Some(format!(
        "it counts as in use, because the MachineImage {manifest} does not decode and may name it: correct that one"
    ))
}

/// It is not protected from deregistration.
fn protection(_: &Scene, candidate: &Candidate) -> Option<String> {
    let Candidate { region, owned: Owned { image, .. }, .. } = candidate;
    image.protected.then(|| {
        format!("it is protected from deregistration: disable the protection of {} in {region} to let it go", image.id)
    })
}

/// Its region keeps another available image, unless the whole object is deleted.
fn last_of_region(scene: &Scene, candidate: &Candidate) -> Option<String> {
    let is_available = candidate.owned.image.state == ImageState::Available;
    (is_available && candidate.is_last && !scene.desired.retires_all())
        .then(|| format!("this object keeps an available image in {}, and it is the newest", candidate.region))
}

/// Nothing uses it, by the answer of AWS.
fn used(answer: Option<&Usage>) -> Option<String> {
    match answer {
        Some(Usage::Unused) => None,
        Some(Usage::Used(by)) => {
            let named: Vec<_> = by.iter().take(NAMED_USERS).map(|user| user.to_string()).collect();
            let more = by.len().saturating_sub(NAMED_USERS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("it is in use by {}{more}", named.join(", ")))
        }
        Some(Usage::Unknown(trouble)) => {
            Some(format!("it counts as in use, because that cannot be checked: {}", trouble.message))
        }
        None => Some("whether it is in use has not been checked yet".into()),
    }
}

/// Plans to delete snapshots of ours whose image is gone.
fn left_behind(scene: &Scene, plan: &mut Plan, region: &RegionName, view: &RegionView) {
    if scene.desired.deleting && !scene.desired.retires_all() {
        return;
    }
    if let Some(trouble) = view.snapshot_trouble.as_ref().filter(|_| view.is_current()) {
        scene.trouble(plan, Concern::Prune, Some(region), None, trouble);
    }
    for snapshot in view.snapshots.iter().flatten() {
        let Some(ownership) = Ownership::read(&snapshot.tags).filter(|o| o.owner == scene.desired.owner) else {
            continue;
        };
        if !is_left_behind(view, snapshot, &ownership.version) {
            continue;
        }
        let (version, id) = (ownership.version, snapshot.id.clone());
        let blocked_by = match unlisted_until(scene, snapshot) {
            _ if !view.is_current() => unseen(view).or_else(|| Some("its region has not been listed yet".to_owned())),
            _ if snapshot.pending => Some("it is still being made".to_owned()),
            Some((due, why)) => {
                plan.look_again_at(due);
                Some(why.to_owned())
            }
            None => {
                let (region, version) = (region.clone(), version.clone());
                scene.want(plan, Action::DeleteSnapshot { region, version, snapshot: id.clone() }, Reason::LeftBehind)
            }
        };
        plan.departures.push(Departure {
            version,
            region: region.clone(),
            id: id.to_string(),
            reason: Reason::LeftBehind,
            blocked_by,
        });
    }
}

/// Until when the image of a snapshot may still come to be listed, as a sentence too. Of an object that is being deleted, all that this process has asked
/// for is known.
fn unlisted_until(scene: &Scene, snapshot: &Snapshot) -> Option<(Timestamp, &'static str)> {
    let (due, why) = match scene.desired.retires_all() {
        true => (after(scene.now, scene.observed.listed_late_for), "its image may still come to be listed"),
        false => (
            after(snapshot.started.unwrap_or(scene.now), SNAPSHOT_GRACE),
            "it is not an hour old, and its image may still come to be listed",
        ),
    };
    (due > scene.now).then_some((due, why))
}

/// Whether no image has the snapshot, and none that is still being made could turn out to have it.
fn is_left_behind(view: &RegionView, snapshot: &Snapshot, version: &VersionName) -> bool {
    let may_have = |image: &super::Image| {
        let unfinished = image.state == ImageState::Pending || image.sight.is_unlisted();
        image.snapshots.contains(&snapshot.id)
            || (unfinished && image.ownership().is_some_and(|o| &o.version == version))
    };
    view.may_list(version).is_none() && !view.images.iter().flatten().any(may_have)
}
