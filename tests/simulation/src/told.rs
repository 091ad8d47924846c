//! What the status tells must be true, at the end of a history: which images there are, what each channel names, how many
//! replicas are available, and that it speaks of the manifest as it is now.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::checkers;
use crate::coherent::entries;
use crate::manifest::{Manifest, Version};
use crate::state::{Image, State, owner_of};
use crate::world::World;

/// What is not true of what an object tells of itself, when the world has been quiet for long.
pub(crate) fn wrong(world: &World, state: &State, manifest: &Manifest, found: &Value) -> Option<String> {
    let status = &found["status"];
    let generation = &found["metadata"]["generation"];
    let wrong = (status["observedGeneration"] != *generation)
        .then(|| format!("it tells of generation {}, not of {generation}", status["observedGeneration"]))
        .or_else(|| images(state, manifest, status))
        .or_else(|| untold(world, state, manifest, status))
        .or_else(|| regions(world, state, manifest, status))
        .or_else(|| unexplained(state, manifest, status))
        .or_else(|| conflicts(state, manifest, status))
        .or_else(|| replicas(manifest, status))
        .or_else(|| channels(state, manifest, status));
    wrong.map(|wrong| format!("{} does not tell the truth: {wrong}: {status}", manifest.object))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What is told to be available must be. That nothing available goes untold shows in `Ready` and in the count.
fn images(state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    for version in entries(status, "versions") {
        for replica in entries(version, "regions").filter(|r| r["state"] == "Available") {
            let (name, region, id) = (text(version, "version"), text(replica, "region"), text(replica, "imageId"));
            let holds = |i: &&Image| i.id == id && i.state == "available" && has_content(i, manifest, name);
            if !state.live(region, manifest.object, name).into_iter().any(|i| holds(&i)) {
                return Some(format!("'{id}' in {region} is no available image of {name}"));
            }
        }
    }
    None
}

/// Whether an image holds what the manifest names as the source of its version, if it lists that.
fn has_content(image: &Image, manifest: &Manifest, version: &str) -> bool {
    let source = |v: &Version| {
        let (region, id) = v.source(manifest.object);
        format!("{region}/{id}")
    };
    let listed = manifest.versions.iter().find(|v| v.name() == version);
    listed.is_none_or(|v| image.tags.get("amiops.dev/source") == Some(&source(v)))
}

/// Every image of the object that is there must be told of, also where the manifest does not name its region any more; one that
/// is left alone beside another of its version, as a problem.
fn untold(world: &World, state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    let known = world.known_regions(manifest.object);
    let replicas = entries(status, "versions").flat_map(|v| entries(v, "regions")).map(|r| text(r, "imageId"));
    let told: BTreeSet<_> = replicas.chain(entries(status, "pruning").map(|p| text(p, "id"))).collect();
    let ours = |i: &&Image| i.is_of(manifest.object) && i.state == "available" && known.contains(i.region.as_str());
    let duplicate = |i: &&Image| {
        entries(status, "problems").any(|p| p["reason"] == "Duplicate" && text(p, "message").contains(&i.id))
    };
    // Of two for which no controller is to blame, one is told of.
    let twin = |i: &Image| {
        let same = |o: &&Image| o.region == i.region && o.is_of(manifest.object) && o.version() == i.version();
        let mut others = state.images.iter().filter(same).filter(|o| told.contains(o.id.as_str()));
        others.any(|o| checkers::is_of_nobody(world, o) || checkers::is_of_nobody(world, i))
    };
    let untold = |i: &&Image| !told.contains(i.id.as_str()) && !duplicate(i) && !twin(i);
    let image = state.images.iter().filter(ours).find(untold)?;
    Some(format!("{} in {} is not told of", image.id, image.region))
}

/// The regions that are told are those that hold something of the object, and no other that the manifest does not name, once a
/// pass has been made since.
fn regions(world: &World, state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    let told: BTreeSet<_> = entries(status, "regions").filter_map(Value::as_str).collect();
    let known = world.known_regions(manifest.object);
    let held = state.images.iter().filter(|i| i.is_of(manifest.object)).map(|i| i.region.as_str());
    if let Some(region) = held.clone().find(|region| known.contains(region) && !told.contains(region)) {
        return Some(format!("it holds something in {region} and does not tell"));
    }
    let tagged = state.snapshots.iter().filter(|s| owner_of(&s.tags) == Some(manifest.object));
    let holding: BTreeSet<_> = held.chain(tagged.map(|s| s.region.as_str())).collect();
    let is_empty = |region: &&&str| !holding.contains(*region) && !manifest.regions.contains_key(**region);
    let is_prompt = !manifest.fields.iter().any(|(field, _)| *field == "/interval");
    let empty = told.iter().filter(|_| is_prompt).find(is_empty)?;
    Some(format!("it tells of {empty}, which holds nothing and has left the manifest"))
}

/// Every replica that is lacking needs a problem that names its place.
fn unexplained(state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    let places = manifest.regions.keys().flat_map(|region| manifest.versions.iter().map(move |v| (region, v.name())));
    let available = |region: &str, version: &str| {
        state.live(region, manifest.object, version).iter().any(|i| i.state == "available")
    };
    let names = |problem: &Value, key: &str, value: &str| problem[key].is_null() || problem[key] == value;
    let explained = |region: &str, version: &str| {
        entries(status, "problems").any(|p| names(p, "region", region) && names(p, "version", version))
    };
    let (region, version) =
        places.into_iter().find(|(region, version)| !available(region, version) && !explained(region, version))?;
    Some(format!("why {version} is not available in {region} is not told"))
}

/// Of which version it is said that it holds other content, of that there is such an image.
fn conflicts(state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    let told = entries(status, "problems").filter(|p| p["reason"] == "SourceChanged").map(|p| text(p, "version"));
    let differs = |i: &Image, version: &str| {
        i.is_of(manifest.object) && i.version() == Some(version) && !has_content(i, manifest, version)
    };
    let holds = |version: &str| state.images.iter().any(|i| differs(i, version) && i.state != "failed");
    let version = told.into_iter().find(|version| !holds(version))?;
    Some(format!("no image of {version} holds other content"))
}

/// The replicas that are counted are those that are told of one by one.
fn replicas(manifest: &Manifest, status: &Value) -> Option<String> {
    let listed = |name: &str| manifest.lists(name);
    let asked = |region: &str| manifest.regions.contains_key(region);
    let available = entries(status, "versions")
        .filter(|version| listed(text(version, "version")))
        .flat_map(|version| entries(version, "regions"))
        .filter(|replica| replica["state"] == "Available" && asked(text(replica, "region")))
        .count();
    let wanted = manifest.versions.len() * manifest.regions.len();
    let count = format!("{available}/{wanted}");
    (text(status, "replicas") != count).then(|| format!("replicas is {}, not {count}", status["replicas"]))
}

/// What a channel names in a region is what its parameter does.
fn channels(state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    for channel in entries(status, "channels") {
        let Some(name) = manifest.published(text(channel, "name")) else {
            if let Some(wrong) = silent_channel(state, manifest, channel) {
                return Some(wrong);
            }
            continue;
        };
        for landing in entries(channel, "regions") {
            let region = text(landing, "region");
            let value =
                state.parameters.iter().find(|p| p.region == region && p.name == name).map(|p| p.value.as_str());
            if landing["imageId"].as_str() != value {
                return Some(format!("{name} in {region} names {value:?}, not {}", landing["imageId"]));
            }
            let image = value.and_then(|id| state.image(region, id)).filter(|i| i.is_of(manifest.object));
            if landing["version"].as_str() != image.and_then(|i| i.version()) {
                return Some(format!(
                    "{name} in {region} names an image of {:?}, not of {}",
                    image, landing["version"]
                ));
            }
        }
    }
    None
}

/// A channel without a parameter tells of a version only when all regions have it.
fn silent_channel(state: &State, manifest: &Manifest, channel: &Value) -> Option<String> {
    let version = entries(channel, "regions").find_map(|landing| landing["version"].as_str())?;
    let has = |region: &&&str| state.live(region, manifest.object, version).iter().any(|i| i.state == "available");
    let lacking = manifest.regions.keys().find(|region| !has(region))?;
    Some(format!("{} has landed with {version}, which is not available in {lacking}", channel["name"]))
}
