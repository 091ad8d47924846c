//! What a status says must agree with itself and with the manifest that it speaks of, at any moment, whatever AWS is like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::state::Image;
use crate::world::World;

/// How long after the listing that it tells of a status is written at most: a call to the API server, and the look after it.
const WRITTEN_LATE: Duration = Duration::from_secs(60);

/// What has been so for this long is known, whatever is seen late.
const LONG: Duration = Duration::from_mins(15);

/// Checks the status of an object, and that its conditions are dated anew where they have changed since the last look.
pub(crate) fn check(world: &World, found: &Value) {
    let status = &found["status"];
    note_regions(world, found);
    let wrong = summary(found)
        .or_else(|| concerns(found))
        .or_else(|| progress(status))
        .or_else(|| twice(status))
        .or_else(|| gone(status))
        .or_else(|| unwritten(world, status))
        .or_else(|| dates(world, found))
        .or_else(|| silenced(world, found));
    if let Some(image) = forgotten(world, found) {
        world.violation(format!("{image} was told and is still there, but is told no more: {status}"));
    }
    if let Some(wrong) = wrong {
        let name = &found["metadata"]["name"];
        world.violation(format!("the status of {name} contradicts itself: {wrong}: {status}"));
    }
}

/// Notes the regions that a status tells of.
fn note_regions(world: &World, found: &Value) {
    let object = found["metadata"]["name"].as_str().unwrap_or_default();
    let told = entries(&found["status"], "regions").filter_map(Value::as_str);
    world.past().regions_told.extend(told.map(|region| (object.to_owned(), region.to_owned())));
}

/// A copy of the object that its status told at the last look and does not tell any more, although its region could not be listed
/// since: who cannot see a region knows it from the status alone. What was handed over may have been handed back. A status may be
/// written late, by a slow API server or a process that is gone, so a listing just before the look counts too.
fn forgotten(world: &World, found: &Value) -> Option<String> {
    let object = found["metadata"]["name"].as_str()?;
    let replicas = entries(&found["status"], "versions").flat_map(|version| entries(version, "regions"));
    let told = |r: &Value| Some((r["region"].as_str()?.to_owned(), r["imageId"].as_str()?.to_owned()));
    let now: BTreeSet<_> = replicas.filter_map(told).collect();
    let told_now = (world.elapsed(), now.clone());
    let (at, before) = world.past().images_told.insert(found["metadata"]["uid"].to_string(), told_now)?;
    let unseen = |region: &str| world.past().listed.get(region).is_none_or(|listed| *listed + WRITTEN_LATE < at);
    let lost: Vec<_> = before.difference(&now).filter(|(region, _)| unseen(region)).collect();
    if lost.is_empty() {
        return None;
    }
    let state = world.state();
    let is_there = |(region, id): &&&(String, String)| {
        let image = state.image(region, id).filter(|i| i.is_of(object) && i.state != "failed");
        image.is_some_and(|i| i.made_from.is_some())
    };
    lost.iter().find(is_there).map(|(region, id)| format!("{id} in {region}"))
}

pub(crate) fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// Whether a condition holds; `None` if it is not there.
pub(crate) fn holds(status: &Value, condition: &str) -> Option<bool> {
    Some(entries(status, "conditions").find(|c| c["type"] == condition)?["status"] == "True")
}

/// Ready sums up Replicated and Promoted, and none of them holds of what is being deleted.
fn summary(found: &Value) -> Option<String> {
    let status = &found["status"];
    let (ready, replicated, promoted) =
        (holds(status, "Ready")?, holds(status, "Replicated")?, holds(status, "Promoted")?);
    let current = status["observedGeneration"] == found["metadata"]["generation"];
    let deleting = current && !found["metadata"]["deletionTimestamp"].is_null();
    let wrong = ready != (replicated && promoted) || (deleting && (replicated || promoted));
    wrong.then(|| format!("Ready is {ready}, Replicated {replicated}, Promoted {promoted}"))
}

/// What each concern says of itself, in conditions and lists.
fn concerns(found: &Value) -> Option<String> {
    let status = &found["status"];
    let current = status["observedGeneration"] == found["metadata"]["generation"];
    let asked = |r: &&Value| entries(&found["spec"], "regions").any(|region| region["region"] == r["region"]);
    let replicas = || {
        let listed = entries(status, "versions").filter(|v| v["listed"] == true);
        listed.flat_map(|v| entries(v, "regions")).filter(asked)
    };
    if current
        && holds(status, "Stalled") == Some(true)
        && let Some(replica) = replicas().find(|r| r["state"] == "Pending")
    {
        return Some(format!("it is Stalled, but {replica}"));
    }
    let mut unsound = replicas().filter(|r| r["state"] != "Available" || !r["error"].is_null());
    if current
        && holds(status, "Replicated") == Some(true)
        && let Some(replica) = unsound.next()
    {
        return Some(format!("it is Replicated, but {replica}"));
    }
    if holds(status, "Pruned") == Some(true)
        && let Some(image) = entries(status, "pruning").next()
    {
        return Some(format!("it is Pruned, but {image}"));
    }
    entries(status, "channels").find_map(|channel| {
        let spec = entries(&found["spec"], "channels").find(|c| c["name"] == channel["name"]);
        let pointed_to = spec.map_or(&Value::Null, |spec| &spec["version"]);
        let waits = |r: &&Value| !r["error"].is_null() || r["version"] != *pointed_to;
        let promoted = current && holds(status, "Promoted") == Some(true);
        let landed = &channel["version"];
        let differs = |r: &&Value| !r["imageId"].is_null() && r["version"] != *landed;
        if let Some(wrong) = spec.filter(|_| current).and_then(|spec| silent(found, spec, channel)) {
            return Some(wrong);
        }
        let late = entries(channel, "regions").find(waits).filter(|_| promoted);
        let other = entries(channel, "regions").find(differs).filter(|_| !landed.is_null());
        late.map(|region| format!("it is Promoted, but {region}"))
            .or_else(|| other.map(|region| format!("{} publishes {landed}, but {region}", channel["name"])))
    })
}

/// Without a parameter, a channel lands when all regions have its version.
fn silent(found: &Value, spec: &Value, channel: &Value) -> Option<String> {
    let landed = entries(channel, "regions").map(|r| &r["version"]).find(|version| !version.is_null())?;
    let version = entries(&found["status"], "versions").find(|v| v["version"] == *landed).unwrap_or(&Value::Null);
    let has = |region: &Value| {
        entries(version, "regions").any(|r| r["region"] == region["region"] && r["state"] == "Available")
    };
    let lacking =
        entries(&found["spec"], "regions").find(|region| !has(region)).filter(|_| spec["publish"].is_null())?;
    Some(format!("{} has landed with {landed}, which is not available in {}", channel["name"], lacking["region"]))
}

/// What is not as it should be moves, or waits for a person; never both.
fn progress(status: &Value) -> Option<String> {
    let told = ["Reconciling", "Stalled"].map(|condition| holds(status, condition) == Some(true));
    let suspended = entries(status, "conditions").any(|c| c["type"] == "Ready" && c["reason"] == "Suspended");
    let expected = usize::from(!holds(status, "Ready")? && !suspended);
    let count = told.iter().filter(|told| **told).count();
    (count != expected).then(|| format!("Reconciling is {}, Stalled {}", told[0], told[1]))
}

/// What is told is told once: who counts the entries must not count any twice.
fn twice(status: &Value) -> Option<String> {
    let mut seen = BTreeSet::new();
    let lists = [("pruning", vec!["region", "id"]), ("problems", vec!["reason", "region", "version", "message"])];
    lists
        .into_iter()
        .flat_map(|(list, keys)| entries(status, list).map(move |entry| (list, keys.clone(), entry)))
        .find_map(|(list, keys, entry)| {
            let of: Vec<_> = keys.iter().map(|key| entry[*key].to_string()).collect();
            (!seen.insert((list, of))).then(|| format!("{list} tells twice of {entry}"))
        })
}

/// That something which was to go is not there is no problem.
fn gone(status: &Value) -> Option<String> {
    const NOT_THERE: [&str; 3] = ["InvalidAMIIDNotFound", "InvalidSnapshotNotFound", "ParameterNotFound"];
    // What is there no more was to be tagged, and is looked for.
    let removes = |p: &&Value| !p["message"].as_str().is_some_and(|message| message.starts_with("CreateTags in"));
    let mut problems = entries(status, "problems").filter(removes);
    let problem = problems.find(|p| p["reason"].as_str().is_some_and(|reason| NOT_THERE.contains(&reason)))?;
    Some(format!("what is gone stands in the way: {problem}"))
}

/// What SSM is told to have been given was written, and what it is told to check or to have accepted was answered.
fn unwritten(world: &World, status: &Value) -> Option<String> {
    let landings = entries(status, "channels").flat_map(|channel| entries(channel, "regions"));
    landings.into_iter().find_map(|landing| {
        let (region, error) = (landing["region"].as_str()?, landing["error"].as_str()?);
        let named = error.split(' ').filter(|word| error.starts_with("SSM ") && word.starts_with("ami-"));
        let past = world.past();
        let done = match error.starts_with("SSM did not answer") {
            true => &past.published,
            false => &past.accepted,
        };
        let undone = |id: &&str| !done.contains(&(region.to_owned(), (*id).to_owned()));
        named
            .into_iter()
            .find(undone)
            .map(|id| format!("{id} was never written in {region}, or that was never answered: {error}"))
    })
}

/// A version that a channel told at the last look and does not tell any more, although its parameters have named it in all regions
/// since long before: what cannot be seen for a while does not speak against it. What was handed over may be taken back, and a channel
/// that left a manifest and came back between two looks is a new one.
fn silenced(world: &World, found: &Value) -> Option<String> {
    let object = found["metadata"]["name"].as_str().filter(|_| found["metadata"]["deletionTimestamp"].is_null())?;
    let tells = |channel: &Value| Some((channel["name"].as_str()?.to_owned(), channel["version"].as_str()?.to_owned()));
    let now: BTreeMap<_, _> = entries(&found["status"], "channels").filter_map(tells).collect();
    let generation = found["status"]["observedGeneration"].as_i64()?;
    let told_now = (world.now(), generation, now.clone());
    let (seen, former, before) = world.past().channels_told.insert(found["metadata"]["uid"].to_string(), told_now)?;
    if generation > former + 1 || found["metadata"]["generation"] != generation {
        return None;
    }
    let mut lost = before.into_iter().filter(|(channel, _)| !now.contains_key(channel)).peekable();
    lost.peek()?;
    let state = world.state();
    let long_ago = seen - LONG;
    let names = |region: &Value, parameter: &Value, version: &str| {
        let mut here = state.parameters.iter().filter(|p| *region == p.region && *parameter == p.name);
        let image = here.find(|p| p.modified < long_ago).and_then(|p| state.image(&p.region, &p.value));
        let is_copy = |i: &Image| i.made_from.is_some() && i.tags.get("amiops.dev/source") == i.made_from.as_ref();
        let copy = image.filter(|i| i.belongs_to(object, version) && is_copy(i));
        copy.is_some_and(|i| !world.touched_lately(&i.id))
    };
    lost.find_map(|(channel, version)| {
        let spec = entries(&found["spec"], "channels").find(|c| c["name"] == channel.as_str())?;
        let parameter = &spec["publish"]["ssmParameter"];
        let everywhere = entries(&found["spec"], "regions").all(|r| names(&r["region"], parameter, &version));
        everywhere.then(|| format!("{channel} publishes {version} as before, and does not tell it"))
    })
}

/// The date of a condition changes with its status. Dates are in seconds, and a status may be written late, so that of a young
/// condition may stay. What was told before a clock jumped is forgotten then: it may come to the same date again.
fn dates(world: &World, found: &Value) -> Option<String> {
    let key = found["metadata"]["uid"].to_string();
    let now = (found["status"]["conditions"].clone(), world.wrong_time());
    let (before, seen) = world.past().told.insert(key, now)?;
    if world.past().clocks_differ {
        return None;
    }
    let date = |c: &Value| c["lastTransitionTime"].as_str().and_then(|date| date.parse::<Timestamp>().ok());
    let settled = |c: &Value| date(c).is_some_and(|date| date + WRITTEN_LATE < seen);
    let former = |c: &Value| before.as_array()?.iter().find(|former| former["type"] == c["type"]).cloned();
    entries(&found["status"], "conditions").find_map(|condition| {
        let former = former(condition).filter(settled)?;
        let same_date = former["lastTransitionTime"] == condition["lastTransitionTime"];
        let same = former["status"] == condition["status"];
        (same_date && !same).then(|| format!("{condition} has the date of {former}"))
    })
}
