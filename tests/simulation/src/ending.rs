//! The rules that must hold at the end, when the world has fallen quiet: every object is what it says it is, or says what
//! stands in the way; and then nothing more is written.

use std::collections::{BTreeMap, BTreeSet};

use kubesim::{Logged, RequestInfo, Verb};
use serde_json::Value;

use crate::manifest::{ACCOUNT, GUARD, Manifest, NAMESPACE, OBJECTS, Version, is_held, parameter};
use crate::state::{Image, Parameter, Snapshot, State, owner_of};
use crate::world::World;
use crate::{checkers, coherent, told};

/// Checks that every object has arrived where it can.
pub(crate) fn check_settled(world: &World) {
    let state = world.state();
    unsettled(world, &state).into_iter().for_each(|wrong| world.violation(wrong));
    checkers::left_behind(world, &state);
    world.kube.read_log(|log| log.iter().find_map(unversioned)).into_iter().for_each(|wrong| world.violation(wrong));
    for found in OBJECTS.iter().filter_map(|object| world.kube.get("machineimages", NAMESPACE, object)) {
        coherent::check(world, &found);
    }
}

/// Finalizers and leases are lists and facts that others change too: they are written over what was read, or not at all.
fn unversioned(logged: &Logged) -> Option<String> {
    let RequestInfo { verb, resource, subresource, name, .. } = &logged.request;
    let changes = matches!(verb, Verb::Update | Verb::Patch | Verb::Apply) && subresource.is_empty();
    let shared = ["machineimages", "leases"].contains(&resource.as_str());
    (changes && shared && !logged.versioned).then(|| format!("{verb:?} of {resource} {name}, whatever it has become"))
}

/// Whether every object has arrived, so that nothing is left to wait for.
pub(crate) fn has_arrived(world: &World) -> bool {
    let state = world.state();
    // What is wrong with a snapshot, or that it is gone, shows in the listing of the hour.
    let unlike = |s: &Snapshot, image: &Image| {
        let differs =
            |(key, value): (&String, &String)| key.starts_with("amiops.dev/") && s.tags.get(key) != Some(value);
        owner_of(&image.tags) != owner_of(&s.tags) || image.tags.iter().any(differs)
    };
    let astray = |s: &Snapshot| owner_of(&s.tags).is_some() && state.holder(s).is_none_or(|image| unlike(s, image));
    let unlisted = || {
        let past = world.past();
        past.snapshots_deleted
            .iter()
            .any(|(region, at)| past.snapshots_listed.get(region).is_none_or(|listed| listed < at))
    };
    unsettled(world, &state).is_empty() && !state.snapshots.iter().any(astray) && !unlisted()
}

/// Whether every object that there is says that it is Ready, and tells of no problem.
pub(crate) fn all_well(world: &World) -> bool {
    let objects = OBJECTS.into_iter().filter_map(|object| world.kube.get("machineimages", NAMESPACE, object));
    objects.into_iter().all(|found| is_ready(&found["status"]) && found["status"]["problems"].is_null())
}

/// What is not as it should be once the world has been quiet for long.
fn unsettled(world: &World, state: &State) -> Vec<String> {
    let of = |object: &'static str| {
        let found = world.kube.get("machineimages", NAMESPACE, object);
        match (world.manifest(object), found) {
            (Some(manifest), Some(found)) => settled(world, state, &manifest, &found),
            (Some(_), None) => vec![format!("{object} was applied and does not exist")],
            (None, Some(found)) => deleting(world, state, object, &found),
            (None, None) => gone(world, state, object),
        }
    };
    OBJECTS.into_iter().flat_map(of).collect()
}

pub(crate) fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|c| c["type"] == type_)
}

/// Whether a status says that the object is Ready.
pub(crate) fn is_ready(status: &Value) -> bool {
    condition(status, "Ready").is_some_and(|c| c["status"] == "True")
}

fn settled(world: &World, state: &State, manifest: &Manifest, found: &Value) -> Vec<String> {
    if manifest.guarded && !is_held(found, GUARD) {
        return vec![format!("{GUARD} is gone from {}, which was not amiops's to take", manifest.object)];
    }
    if manifest.suspend {
        return Vec::new();
    }
    let status = &found["status"];
    let object = manifest.object;
    let wrong = match (is_ready(status), lacking(state, manifest)) {
        (true, Some(lacking)) => Some(format!("{object} says that it is Ready, but {lacking}")),
        (false, None) if has_twin(world, state, manifest, status) => None,
        (false, None) => Some(format!("{object} is as asked for, but not Ready: {status}")),
        (false, Some(lacking)) if status["problems"].as_array().is_none_or(Vec::is_empty) => {
            Some(format!("{object} does not say why {lacking}: {status}"))
        }
        (false, Some(lacking)) if !excused(state, manifest) => {
            Some(format!("{object}: nothing stands in the way any more, but {lacking}: {status}"))
        }
        _ => None,
    };
    let untrue = told::wrong(world, state, manifest, found);
    wrong.into_iter().chain(untrue).chain(overstaying(world, state, manifest)).collect()
}

/// Whether there are two images of one version for which no controller is to blame, and the status tells of them.
fn has_twin(world: &World, state: &State, manifest: &Manifest, status: &Value) -> bool {
    let twins = |region: &str, version: &Version| {
        let live = state.live(region, manifest.object, &version.name());
        live.len() > 1 && live.iter().any(|i| checkers::is_of_nobody(world, i))
    };
    let told = coherent::entries(status, "problems").any(|p| p["reason"] == "Duplicate");
    told && manifest.regions.keys().any(|region| manifest.versions.iter().any(|version| twins(region, version)))
}

/// What is not as the manifest asks for.
pub(crate) fn lacking(state: &State, manifest: &Manifest) -> Option<String> {
    let object = manifest.object;
    for region in manifest.regions.keys() {
        for version in &manifest.versions {
            let name = version.name();
            let live = state.live(region, object, &name);
            let (from, id) = version.source(object);
            let source = format!("{from}/{id}");
            let holds = |i: &&&Image| i.tags.get("amiops.dev/source") == Some(&source);
            let Some(image) = live.iter().filter(holds).find(|i| i.state == "available") else {
                return Some(format!("{name} is not available in {region}"));
            };
            if !image.tags.contains_key("amiops.dev/released-at") && state.image(&from, &id).is_some() {
                return Some(format!("{} does not tell when it was released", image.id));
            }
            if version.adopt && from == *region && image.id != id {
                return Some(format!("{id} is not adopted, but copied to its own region"));
            }
            let adopted = image.tags.get("amiops.dev/adopted").map(String::as_str);
            if version.adopt && image.id == id && adopted != Some("true") {
                return Some(format!("{id} does not tell that it was adopted"));
            }
            let tagged = image.tags.get("amiops.dev/released-at").and_then(|at| at.parse::<jiff::Timestamp>().ok());
            if let Some(date) =
                manifest.dates(&name).filter(|date| tagged.map(|at| at.as_second()) != Some(date.as_second()))
            {
                return Some(format!("{} does not tell that it was released at {date}", image.id));
            }
            let snapshots = state.snapshots.iter().filter(|s| image.snapshots.contains(&s.id));
            for (id, tags) in snapshots.map(|s| (&s.id, &s.tags)).chain([(&image.id, &image.tags)]) {
                if let Some((key, _)) = manifest.tags.iter().find(|(key, value)| tags.get(*key) != Some(value)) {
                    return Some(format!("{id} lacks the tag {key}"));
                }
                if owner_of(tags) != Some(object) {
                    return Some(format!("{id} does not tell whose it is"));
                }
            }
        }
        for (channel, number) in &manifest.channels {
            let Some(name) = manifest.published(channel) else { continue };
            let live = state.live(region, object, &format!("1.{number}"));
            let value = state.parameters.iter().find(|p| p.region == *region && p.name == name).map(|p| &p.value);
            if !value.is_some_and(|value| live.iter().any(|i| i.id == *value)) {
                return Some(format!("{name} in {region} names {value:?}, not 1.{number}"));
            }
        }
    }
    None
}

/// Whether something lasting stands in the way: a source that does not exist, content that changed, two copies, a foreign
/// image with the name, a foreign parameter.
pub(crate) fn excused(state: &State, manifest: &Manifest) -> bool {
    let no_source = |v: &Version| {
        let (region, id) = v.source(manifest.object);
        let image = state.image(&region, &id);
        let of_another = |i: &Image| {
            owner_of(&i.tags).is_some_and(|owner| owner != manifest.object || i.version() != Some(&v.name()))
        };
        let cannot_be_adopted = |i: &Image| of_another(i) || i.account != ACCOUNT;
        image.is_none_or(|i| i.state != "available" || (v.adopt && cannot_be_adopted(i)))
    };
    let unlike = |v: &Version| {
        let name = v.name();
        let (region, source) = v.source(manifest.object);
        let image_name = manifest.image_name(&name);
        state.images.iter().any(|i| {
            let carries = owner_of(&i.tags) == Some(manifest.object) && i.version() == Some(&name);
            let other_source = carries && !i.tags.get("amiops.dev/source").is_some_and(|s| s.ends_with(&source));
            let holds_name = i.name == image_name && !i.belongs_to(manifest.object, &name);
            // A failed copy that somebody protects keeps its name.
            let in_the_way = holds_name || (carries && i.state == "failed" && i.protected);
            // A copy takes the place of a source that is handed over later.
            let copied = v.adopt && carries && i.state != "failed" && i.region == region && i.id != source;
            other_source || in_the_way || copied || (carries && i.state == "disabled")
        })
    };
    let foreign = |channel: &&&str| {
        let name = parameter(manifest.object, channel);
        // One of another data type cannot be made to name an image.
        let is_usable = |p: &Parameter| p.is_typed && owner_of(&p.tags) == Some(manifest.object);
        state.parameters.iter().any(|p| p.name == name && !is_usable(p))
    };
    manifest.lacks_its_key()
        || manifest.versions.iter().any(|v| no_source(v) || unlike(v))
        || manifest.channels.keys().any(|c| manifest.silent != Some(*c) && foreign(&c))
}

/// Versions that left the list and should have gone, although nothing keeps them.
fn overstaying(world: &World, state: &State, manifest: &Manifest) -> Vec<String> {
    let known = world.known_regions(manifest.object);
    let unwanted = |i: &&Image| {
        let region = i.region.as_str();
        let wanted = manifest.regions.contains_key(region) && manifest.lists(i.version().unwrap_or_default());
        i.state == "failed" && known.contains(region) && !wanted
    };
    let is_free = |i: &&Image| !i.protected && !is_sourced(world, &i.id, None);
    let failed = state.images.iter().filter(|i| i.is_of(manifest.object)).filter(is_free).find(unwanted);
    let failed = failed.map(|i| format!("{} in {} is a failed copy that nobody wants", i.id, i.region));
    let mut wrong: Vec<_> = failed.into_iter().collect();
    let Some(keep_last) = manifest.keep_last else { return wrong };
    let ready = lacking(state, manifest).is_none();
    let former = known.iter().copied().filter(|region| !manifest.regions.contains_key(region)).map(|region| {
        // The last image of a region stays.
        (region, keep_last.max(1))
    });
    let places = manifest.regions.keys().map(|region| (*region, keep_last)).chain(former);
    for (region, keep_last) in places.filter(|_| ready) {
        let used = |id: &str| {
            state.uses.iter().any(|u| u.image == id && u.region == region)
                || state.parameters.iter().any(|p| p.value == id && p.region == region)
        };
        let left: Vec<_> = state
            .images
            .iter()
            .filter(|i| i.region == region && i.is_of(manifest.object) && i.state == "available")
            .filter(|i| !manifest.lists(i.version().unwrap_or_default()))
            .filter(|i| !i.shared && !used(&i.id))
            .filter(is_free)
            .collect();
        let versions: BTreeSet<_> = left.iter().map(|i| i.version()).collect();
        if versions.len() > keep_last as usize {
            let ids: Vec<_> = left.iter().map(|i| format!("{} ({})", i.id, i.version().unwrap_or_default())).collect();
            wrong.push(format!("{}: {region} keeps {ids:?}, more than {keep_last}", manifest.object));
        }
    }
    wrong
}

/// Whether any object, but for one, names an image as a source.
pub(crate) fn is_sourced(world: &World, id: &str, but: Option<&str>) -> bool {
    let others = || OBJECTS.iter().filter(|object| Some(**object) != but);
    world.is_claimed(id) || others().any(|object| is_source(world, object, id))
}

/// Whether an object names an image as a source; one that is being deleted does so until it is gone.
fn is_source(world: &World, object: &str, id: &str) -> bool {
    let exists = world.kube.get("machineimages", NAMESPACE, object).is_some();
    world.last_manifest(object).filter(|_| exists).is_some_and(|m| m.has_source(id))
}

/// An object that is being deleted and is still there must say what keeps it, and something must.
pub(crate) fn deleting(world: &World, state: &State, object: &str, found: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let kept = state.images.iter().any(|i| {
        // A parameter of the object's own goes with it.
        let foreign = |p: &Parameter| p.value == i.id && owner_of(&p.tags) != Some(object);
        let used = state.uses.iter().any(|u| u.image == i.id) || state.parameters.iter().any(foreign);
        i.is_of(object) && (used || i.protected || i.shared || is_sourced(world, &i.id, Some(object)))
    });
    // A snapshot of ours that an image has which somebody took out of our hands by removing its tags.
    let held = |s: &Snapshot| {
        owner_of(&s.tags) == Some(object) && state.holder(s).is_some_and(|i| owner_of(&i.tags) != Some(object))
    };
    let kept = kept || state.snapshots.iter().any(held);
    let suspended = found["spec"]["suspend"] == true;
    if !kept && !suspended {
        wrong.push(format!("{object} was deleted and nothing keeps it, but it is there: {}", found["status"]));
    }
    let ready = condition(&found["status"], "Ready");
    if ready.is_none_or(|c| c["message"].as_str().is_none_or(str::is_empty)) {
        wrong.push(format!("{object} is being deleted and does not say what keeps it: {}", found["status"]));
    }
    wrong
}

/// An object that is gone under the policy Delete leaves nothing behind.
pub(crate) fn gone(world: &World, state: &State, object: &str) -> Vec<String> {
    let mut left = Vec::new();
    let last = world.last_manifest(object);
    let followed = world.past().deleted.contains(object);
    let Some(last) = last.filter(|m| m.delete && followed) else { return left };
    // What an image lost by hand when nobody was there any more, nobody can find; nor need anybody have seen what it lost before the
    // object was made anew.
    let life = world.made_last(object).zip(world.asked_last(object));
    let lost_outside = |s: &Snapshot| {
        let lost = world.past().by_hand.get(&s.id).map(|(at, _)| *at);
        lost.zip(life).is_some_and(|(lost, (made, deleted))| lost < made || lost > deleted)
    };
    let mut regions = world.known_regions(object);
    regions.extend(last.regions.keys());
    for region in regions {
        if let Some(image) = state.images.iter().find(|i| i.region == region && i.is_of(object)) {
            left.push(format!("{object} is gone, but {} in {region} is not", image.id));
        }
        let lonely = |s: &Snapshot| owner_of(&s.tags) == Some(object) && state.holder(s).is_none() && !lost_outside(s);
        let ours = |s: &&Snapshot| s.region == region && lonely(s);
        if let Some(snapshot) = state.snapshots.iter().find(ours) {
            left.push(format!("{object} is gone, but {} in {region} is not", snapshot.id));
        }
        let published: Vec<_> = last.channels.keys().filter_map(|channel| last.published(channel)).collect();
        let asked = last.regions.contains_key(region);
        let stays = |p: &&Parameter| asked && p.region == region && published.contains(&p.name);
        if let Some(parameter) = state.parameters.iter().find(stays).filter(|p| owner_of(&p.tags) == Some(object)) {
            left.push(format!("{object} is gone, but {} in {region} is not", parameter.name));
        }
    }
    left
}

/// Checks that nothing was written in the quiet, and that nothing has been left behind.
pub(crate) fn check_quiet(world: &World, before: &BTreeMap<String, u64>) {
    let writes = |counts: &BTreeMap<String, u64>| counts.get("write").copied().unwrap_or(0);
    let after = world.trace.counts();
    if OBJECTS.iter().filter_map(|object| world.manifest(object)).any(|m| m.lacks_its_key()) {
        return;
    }
    checkers::left_behind(world, &world.state());
    if writes(&after) > writes(before) {
        world.violation(format!("{} writes to AWS, although the world is quiet", writes(&after) - writes(before)));
    }
    for (request, count) in world.kube.writes() {
        if request.resource != "leases" {
            let written = world.kube.get(&request.resource, &request.namespace, &request.name).unwrap_or_default();
            world.violation(format!("{count} times {request:?}, although the world is quiet: {}", written["note"]));
        }
    }
}
