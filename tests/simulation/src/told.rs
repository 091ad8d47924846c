//! What the status tells must be true, at the end of a history: which images there are, what each channel names, how many
//! replicas are available, and that it speaks of the manifest as it is now.

use serde_json::Value;

use crate::manifest::Manifest;
use crate::state::State;
use crate::world::World;

/// Checks what an object tells of itself, when the world has been quiet for long.
pub(crate) fn check(world: &World, state: &State, manifest: &Manifest, found: &Value) {
    let status = &found["status"];
    let generation = &found["metadata"]["generation"];
    let wrong = (status["observedGeneration"] != *generation)
        .then(|| format!("it tells of generation {}, not of {generation}", status["observedGeneration"]))
        .or_else(|| images(state, manifest, status))
        .or_else(|| replicas(manifest, status))
        .or_else(|| channels(state, manifest, status));
    if let Some(wrong) = wrong {
        world.violation(format!("{} does not tell the truth: {wrong}: {status}", manifest.object));
    }
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What is told to be available must be. That nothing available goes untold shows in `Ready` and in the count.
fn images(state: &State, manifest: &Manifest, status: &Value) -> Option<String> {
    for version in entries(status, "versions") {
        for replica in entries(version, "regions").filter(|r| r["state"] == "Available") {
            let (name, region, id) = (text(version, "version"), text(replica, "region"), text(replica, "imageId"));
            if !state.live(region, manifest.object, name).iter().any(|i| i.id == id && i.state == "available") {
                return Some(format!("'{id}' in {region} is no available image of {name}"));
            }
        }
    }
    None
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
        // A channel without a parameter tells only where its version is.
        let Some(name) = manifest.published(text(channel, "name")) else { continue };
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
