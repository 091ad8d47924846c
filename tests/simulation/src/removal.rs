//! The rules of what is taken away: images, snapshots and parameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::asked;
use crate::checkers::{is_handed_over, removed_by_another};
use crate::door::Call;
use crate::hands;
use crate::manifest::{Manifest, OBJECTS, REGIONS, Version, object_of};
use crate::state::{Image, Parameter, Snapshot, State, owner_of};
use crate::world::{LATELY, World};

/// What is wrong with deregistering an image.
pub(crate) fn deregister(world: &World, state: &State, call: &Call) -> Option<String> {
    let id = call.get("ImageId")?;
    let image = state.image(&call.region, id)?;
    let Some(object) = owner_of(&image.tags) else {
        let unseen = asked::disowned_since(world, id) || asked::may_look_as_before(world, id);
        return (!unseen).then(|| format!("{id} is not ours"));
    };
    if call.get("DeleteAssociatedSnapshots") != Some("true") {
        return Some(format!("the snapshots of {id} would stay"));
    }
    // What somebody has just changed was put back perhaps, and does not show yet.
    if !image.is_of(object) && !made_for(world, object, image) && !world.touched_lately(id) {
        return Some(format!("{id} was copied by somebody, together with its tags"));
    }
    if image.protected && !world.touched_lately(&image.region) {
        return Some(format!("{id} is protected"));
    }
    if image.state == "failed" {
        return None;
    }
    if let Some(spoilt) = world.spoilt_long() {
        return Some(format!("{spoilt} does not decode, so it may name {id}"));
    }
    let version = image.version().unwrap_or_default();
    let lately = world.lately(object);
    let last = world.last_manifest(object);
    let deletes = |m: &Option<Manifest>| m.as_ref().or(last.as_ref()).is_none_or(|m| m.delete);
    let deleted = world.past().deleted.contains(object);
    if deleted && lately.iter().any(deletes) {
        if is_taken_back(world, image, object) {
            return Some(format!("{id} is a source that is not handed over any more"));
        }
        return used(world, state, image).or_else(|| sourced(world, id, Some(object)));
    }
    // The manifest was read just before, whatever the watch has told by then.
    let known = asked::known_manifests(world, object).unwrap_or_else(|| lately.clone());
    if deleted && known.iter().all(Option::is_none) {
        return Some(format!("{object} was deleted, and its images were to stay"));
    }
    if known.iter().all(|m| m.as_ref().is_some_and(|m| m.lists(version))) {
        return Some(format!("{version} of {object} is listed"));
    }
    if known.iter().all(|m| m.as_ref().is_some_and(|m| m.keep_last.is_none() || m.suspend)) {
        return Some("nothing asks for pruning".into());
    }
    used(world, state, image)
        .or_else(|| kept(world, state, image, object, &known))
        .or_else(|| named(world, state, image, &known))
        .or_else(|| sourced(world, id, None))
        .or_else(|| last_of_region(world, state, image, object))
}

/// Whether an image was adopted, and the manifest of its deleted object names it as a source that is to be left alone.
fn is_taken_back(world: &World, image: &Image, object: &str) -> bool {
    let adopted = image.tags.get("amiops.dev/source") == Some(&format!("{}/{}", image.region, image.id));
    let last = world.last_manifest(object).filter(|m| m.has_source(&image.id) && !m.hands_over(&image.id));
    let known = asked::known_manifests(world, object).is_some_and(|known| known.iter().all(Option::is_none));
    adopted && known && last.is_some()
}

/// Whether an image whose tag no longer tells its source was made from the one that the manifest names.
fn made_for(world: &World, object: &str, image: &Image) -> bool {
    let source = |v: &Version| {
        Some(v.name().as_str()) == image.version() && {
            let (region, id) = v.source(object);
            image.made_from == Some(format!("{region}/{id}"))
        }
    };
    !image.tags.contains_key("amiops.dev/source")
        && world.last_manifest(object).is_some_and(|m| m.versions.iter().any(source))
}

/// Whether its version is among the newest of those that have left the list, which retention keeps. What is in regions that the
/// manifest does not name may not be known. Of a version whose dates that are left were all changed by hand, an image that told
/// another may have just gone.
fn kept(world: &World, state: &State, image: &Image, object: &str, known: &[Option<Manifest>]) -> Option<String> {
    let date = |i: &Image| i.tags.get("amiops.dev/released-at").cloned();
    let is_complete = |i: &&Image| i.is_of(object) && !["failed", "pending"].contains(&i.state.as_str());
    let ours: Vec<_> = state.images.iter().filter(is_complete).collect();
    let just_adopted = world.tags_are_late && world.past().done.has_just_adopted(world.elapsed());
    let in_doubt = just_adopted
        || removed_by_another(world, |_, _| true)
        || REGIONS.iter().any(|region| world.touched_lately(region));
    if in_doubt || ours.iter().any(|i| date(i).is_none()) {
        return None;
    }
    let keeps = |m: &Manifest, regions: &dyn Fn(&str) -> bool| {
        let mut released = BTreeMap::new();
        for left in ours.iter().filter(|i| regions(&i.region) && i.version().is_some_and(|v| !m.lists(v))) {
            let earliest = released.entry(left.version()).or_insert(date(left));
            *earliest = date(left).min(earliest.take());
        }
        let newest: BTreeSet<_> = released.into_iter().map(|(version, date)| (date, version)).collect();
        let keep_last = m.keep_last.map_or(usize::MAX, |n| n as usize);
        let is_it =
            |date: &Option<String>, version| version == image.version() && date.as_deref() != Some(hands::LATER);
        newest.iter().rev().take(keep_last).any(|(date, version)| is_it(date, *version))
    };
    let surely = |m: &Manifest| keeps(m, &|_| true) && keeps(m, &|region| m.regions.contains_key(region));
    let all = known.iter().all(|m| m.as_ref().is_some_and(surely));
    all.then(|| format!("{} is among the newest that retention keeps", image.version().unwrap_or_default()))
}

fn used(world: &World, state: &State, image: &Image) -> Option<String> {
    let lately = world.now() - LATELY;
    let used = state.uses.iter().find(|u| u.image == image.id && u.region == image.region && u.since < lately);
    used.map(|u| format!("{} is in use by {} since {}", image.id, u.by, u.since))
        .or_else(|| (image.shared && !world.touched_lately(&image.region)).then(|| "it is shared".into()))
}

/// Whether a manifest names the image as a source, and has done so for a while.
fn sourced(world: &World, id: &str, but: Option<&str>) -> Option<String> {
    if world.is_claimed(id) {
        return Some(format!("{id} is a source of an object of another namespace"));
    }
    let names = |object: &&&str| world.lately(object).iter().all(|m| m.as_ref().is_some_and(|m| m.has_source(id)));
    let object = OBJECTS.iter().filter(|o| Some(**o) != but).find(names)?;
    Some(format!("{id} is a source of {object}"))
}

/// Whether a parameter names it that EC2 tells of, or one that a manifest publishes.
fn named(world: &World, state: &State, image: &Image, known: &[Option<Manifest>]) -> Option<String> {
    let lately = world.now() - LATELY;
    let others: Vec<_> = OBJECTS.into_iter().map(|object| world.lately(object)).collect();
    let publishes = |m: &Manifest, p: &Parameter| m.channels.keys().any(|c| m.published(c).as_ref() == Some(&p.name));
    let all_publish =
        |all: &[Option<Manifest>], p: &Parameter| all.iter().all(|m| m.as_ref().is_some_and(|m| publishes(m, p)));
    let is_known = |p: &Parameter| p.is_typed || all_publish(known, p) || others.iter().any(|all| all_publish(all, p));
    let names = |p: &&Parameter| p.region == image.region && p.value == image.id && p.modified < lately && is_known(p);
    let named = state.parameters.iter().find(names).map(|p| format!("parameter {} names {}", p.name, image.id));
    named.or_else(|| given(world, image))
}

/// The parameter that may come to name an image, since it was just given it.
fn given(world: &World, image: &Image) -> Option<String> {
    let now = world.elapsed();
    let given = world.past().done.was_given(now, &image.region, &image.id).map(str::to_owned)?;
    (!world.touched_lately(&image.region)).then(|| format!("{given} was just given {}", image.id))
}

/// An image that can be launched stays in each region, also in one that the manifest does not name any more.
fn last_of_region(world: &World, state: &State, image: &Image, object: &str) -> Option<String> {
    let ours = |i: &Image| i.is_of(object) || is_handed_over(world, object, &i.id);
    let another = |i: &&Image| i.region == image.region && i.id != image.id && ours(i) && i.state == "available";
    let lone = !state.images.iter().any(|i| another(&i)) && image.state == "available";
    let unknown = world.touched_lately(&image.region) || removed_by_another(world, |_, of| of == image.region);
    let to_blame = !unknown || !asked::sees_another(world, image);
    // A copy may end between the look and the call.
    let has_just_ended = asked::was_pending(world, &image.id);
    (lone && to_blame && !has_just_ended).then(|| format!("{} is the last available image", image.id))
}

/// What is wrong with deleting a snapshot.
pub(crate) fn delete_snapshot(world: &World, state: &State, call: &Call) -> Option<String> {
    let id = call.get("SnapshotId")?;
    let snapshot: &Snapshot = state.snapshots.iter().find(|s| s.id == id && s.region == call.region)?;
    if owner_of(&snapshot.tags).is_none() {
        return (!asked::untagged_since(world, snapshot)).then(|| format!("{id} is not ours"));
    }
    // Of a copy that is under way EC2 may not tell which snapshots it has; whose tags were changed, it is not known by these either.
    let is_bare = |i: &Image| i.state == "pending" && world.past().disowned.contains_key(&i.id);
    let holds = |i: &&Image| owner_of(&i.tags).is_some() && i.snapshots.iter().any(|s| s == id) && !is_bare(i);
    let held = state.images.iter().find(holds);
    held.map(|i| format!("{id} belongs to {}", i.id))
}

/// What is wrong with removing a parameter.
pub(crate) fn delete_parameter(world: &World, state: &State, call: &Call) -> Option<String> {
    let name = call.get("Name")?;
    let object = object_of(name);
    let existing = state.parameters.iter().find(|p| p.region == call.region && p.name == name)?;
    if owner_of(&existing.tags) != Some(object) && !world.touched_lately(&call.region) {
        return Some(format!("{name} is not ours"));
    }
    (!world.past().deleted.contains(object)).then(|| format!("{object} is not being deleted"))
}
