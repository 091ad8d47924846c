//! The rules that must hold at every step, checked at the door against what is really there. Written without the
//! program's own types, so that a fault in them is not shared.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::asked::BEFORE_WRITE;
use crate::coherent::entries;
use crate::door::Call;
use crate::hands::BY_HAND;
use crate::manifest::{ACCOUNT, FINALIZER, LAST, Manifest, NAMESPACE, OBJECTS, Version, is_held, object_of};
use crate::state::{INSTALLATION, Image, Snapshot, State, owner_of};
use crate::world::{LATELY, World};
use crate::{again, asked, removal};

/// No snapshot of ours may be without its image for longer, counted from when people and fate last interfered. A listing comes
/// each hour, the grace takes one, and a refused call is tried again after one.
const LEFT_BEHIND: Duration = Duration::from_mins(150);

/// The tag that tells which attempt a copy is.
const ATTEMPT: &str = "amiops.dev/attempt";

/// Checks a call that is about to change AWS.
pub(crate) fn before(world: &World, call: &Call) {
    let state = world.state();
    left_behind(world, &state);
    let wrong = match call.operation.as_str() {
        "CopyImage" => copy(world, &state, call),
        "CreateTags" => {
            note_handing(world, call);
            call.list("ResourceId").into_iter().find_map(|id| tags(world, &state, call, id))
        }
        "DeregisterImage" => removal::deregister(world, &state, call),
        "DeleteSnapshot" => removal::delete_snapshot(world, &state, call),
        "PutParameter" => put(world, &state, call),
        "DeleteParameter" => removal::delete_parameter(world, &state, call),
        other => Some(format!("amiops has no business to call {other}")),
    };
    let wrong = wrong
        .or_else(|| unheld(world, call))
        .or_else(|| unannounced(world, call))
        .or_else(|| suspended(world, &state, call))
        .or_else(|| again::wrong(world, &state, call));
    if let Some(wrong) = wrong.or_else(|| asked::lacking(world, &state, call)) {
        world.violation(format!("{} in {}: {wrong} [{:?}]", call.operation, call.region, call.parameters));
    }
}

/// Checks that who changes AWS holds the lease.
pub(crate) fn leads(world: &World, call: &Call, candidate: Option<&str>) {
    let Some(candidate) = candidate else { return };
    let lease = world.kube.get("leases", NAMESPACE, "amiops").unwrap_or_default();
    if let Some(holder) = lease["spec"]["holderIdentity"].as_str().filter(|holder| *holder != candidate) {
        world.violation(format!("{} in {}: {candidate} writes although {holder} leads", call.operation, call.region));
    }
}

/// Checks what is there after a call has changed AWS.
pub(crate) fn after(world: &World, call: &Call) {
    if !["CopyImage", "DeregisterImage"].contains(&call.operation.as_str()) {
        return;
    }
    let state = world.state();
    if let Some(id) = call.get("ImageId").filter(|id| state.image(&call.region, id).is_none()) {
        let mut past = world.past();
        let now = (call.region.clone(), world.elapsed(), past.lives);
        past.deregistered.entry(id.to_owned()).or_insert(now);
    }
    for object in OBJECTS {
        for number in 0..=LAST {
            let live = live(world, &state, &call.region, object, &format!("1.{number}"));
            // Somebody may copy an image that is handed over and has lost the tag that says so: that copy is like one of amiops's.
            let counts = |i: &&&Image| !is_of_nobody(world, i) && !is_given_back(world, object, i);
            let ids: Vec<_> = live.iter().filter(counts).map(|i| i.id.as_str()).collect();
            if ids.len() > 1 {
                world.violation(format!("{} has two live copies of {object} 1.{number}: {ids:?}", call.region));
            }
        }
    }
}

/// Whether a copy was made by somebody, or nobody can know of it: no controller is to blame that there is another beside it.
pub(crate) fn is_of_nobody(world: &World, image: &Image) -> bool {
    image.name.contains(BY_HAND) || world.past().unheard.contains(&image.id)
}

/// What is checked although nothing is written.
pub(crate) fn now_and_then(world: &World) {
    if world.elapsed().saturating_sub(world.past().looked_after) > LEFT_BEHIND / 4 {
        left_behind(world, &world.state());
    }
}

/// Checks that snapshots are not left behind for too long.
pub(crate) fn left_behind(world: &World, state: &State) {
    let now = world.elapsed();
    let to_delete = |s: &&Snapshot| {
        let object = owner_of(&s.tags).unwrap_or_default();
        let named = || world.known_regions(object).contains(s.region.as_str());
        state.holder(s).is_none() && world.manifest(object).is_some_and(|m| !m.suspend) && named()
    };
    let lonely: Vec<_> = state.snapshots.iter().filter(to_delete).collect();
    let mut late = Vec::new();
    {
        let mut past = world.past();
        past.looked_after = now;
        past.left_behind.retain(|id, _| lonely.iter().any(|s| s.id == *id));
        let disturbed = past.disturbed;
        for snapshot in lonely {
            let since = *past.left_behind.entry(snapshot.id.clone()).or_insert(now);
            if now.saturating_sub(since.max(disturbed)) > LEFT_BEHIND {
                late.push(format!("{} in {} has had no image since {since:?}", snapshot.id, snapshot.region));
            }
        }
    }
    late.into_iter().for_each(|what| world.violation(what));
}

/// Notes what is handed back, or over again: the tags that say so may be seen later.
fn note_handing(world: &World, call: &Call) {
    let handed_back = tag_of(call, "amiops.dev/adopted") == Some("false");
    for id in call.list("ResourceId") {
        let mut past = world.past();
        if handed_back {
            past.handed_back.insert(id.to_owned());
        } else {
            past.handed_back.remove(id);
        }
    }
}

/// The live images of a version, but what was handed back.
fn live<'a>(world: &World, state: &'a State, region: &str, object: &str, version: &str) -> Vec<&'a Image> {
    let handed_back = &world.past().handed_back;
    state.live(region, object, version).into_iter().filter(|i| !handed_back.contains(&i.id)).collect()
}

/// The object that a call says is the owner of what it makes or tags.
pub(crate) fn owner_in(call: &Call) -> Option<&str> {
    tag_of(call, "amiops.dev/owner")?.rsplit('/').next()
}

pub(crate) fn tag_of<'a>(call: &'a Call, key: &str) -> Option<&'a str> {
    let name = call.parameters.iter().find(|(name, value)| name.ends_with(".Key") && *value == key)?.0;
    call.get(&name.replace(".Key", ".Value"))
}

fn copy(world: &World, state: &State, call: &Call) -> Option<String> {
    if call.get("ClientToken").is_none_or(|token| token.is_empty() || token.len() > 64) {
        return Some("a copy without a ClientToken is made twice when its answer is lost".into());
    }
    if call.get("Encrypted") == Some("false") {
        return Some("Encrypted=false".into());
    }
    let (Some(owner), Some(version)) = (tag_of(call, "amiops.dev/owner"), tag_of(call, "amiops.dev/version")) else {
        return Some("a copy without ownership tags is lost when its answer is".into());
    };
    let object = owner_in(call).unwrap_or_default();
    let lately = world.lately(object);
    if !lately.iter().flatten().any(|m| m.lists(version) && m.regions.contains_key(call.region.as_str())) {
        return Some(format!("{version} of {object} is not asked for in {}", call.region));
    }
    if !["image", "snapshot"].iter().all(|kind| call.list("TagSpecification").contains(kind)) {
        return Some("a copy whose image or snapshots carry no tags".into());
    }
    let name = call.get("Name").unwrap_or_default();
    if !lately.iter().flatten().any(|m| m.image_name(version) == name) {
        return Some(format!("{name} is not what nameTemplate makes of {version}"));
    }
    let asked_for = |m: &Manifest| m.encrypted(&call.region) == call.get("KmsKeyId").is_some();
    if !lately.iter().flatten().any(|m| m.lacks_its_key() || asked_for(m)) {
        return Some(format!("{:?} is not the key that is asked for", call.get("KmsKeyId")));
    }
    // A copy whose answer was lost may be repeated with its token; anything else that exists must not be copied again.
    let live = live(world, state, &call.region, object, version);
    let there = |i: &&&Image| {
        matches!(i.state.as_str(), "available" | "disabled")
            && !world.touched_lately(&call.region)
            && !is_given_back(world, object, i)
    };
    let long_there = live.iter().find(there);
    let attempt = tag_of(call, ATTEMPT).unwrap_or_default();
    let meaning = format!("attempt {attempt} of {owner} {version} in {}", call.region);
    let token = call.get("ClientToken").unwrap_or_default().to_owned();
    let mut past = world.past();
    let repeated = past.tokens.get(&token).is_some_and(|before| *before == meaning);
    let another = past.tokens.iter().find(|(t, m)| (**t == token) != (**m == meaning));
    if let Some((before, stood_for)) = another {
        return Some(format!("the token {token} stands for {meaning}, but {before} stood for {stood_for}"));
    }
    past.tokens.insert(token.clone(), meaning);
    drop(past);
    if let Some(wrong) = other_content(world, state, call, object, version) {
        return Some(wrong);
    }
    if let Some(wrong) = again::copied_too_often(world, &format!("{version} of {owner} to {}", call.region), &token) {
        return Some(wrong);
    }
    long_there.filter(|_| !repeated).map(|i| format!("{version} of {object} exists: {}", i.id))
}

/// Whether an image is a source that is not handed over any more: it is given back, and is no replica.
fn is_given_back(world: &World, object: &str, image: &Image) -> bool {
    let gives_back = |m: &Manifest| m.has_source(&image.id) && !m.hands_over(&image.id);
    image.tags.contains_key("amiops.dev/adopted") && world.lately(object).iter().flatten().any(gives_back)
}

/// Whether another region holds other content of the version that is to be copied.
fn other_content(world: &World, state: &State, call: &Call, object: &str, version: &str) -> Option<String> {
    let source = format!("{}/{}", call.get("SourceRegion")?, call.get("SourceImageId")?);
    let seen = |region: &str| world.past().listed.get(region).is_some_and(|at| *at + LATELY * 2 >= world.elapsed());
    let asked_in =
        |region: &str| seen(region) && world.lately(object).iter().flatten().all(|m| m.regions.contains_key(region));
    // A copy may be repeated that was begun before.
    let shown_before =
        |i: &Image| world.past().done.shown.get(&i.id).is_some_and(|at| *at + BEFORE_WRITE < world.elapsed());
    let differs = |i: &&Image| {
        let held = i.belongs_to(object, version) && i.state != "failed" && asked_in(&i.region);
        let other = i.tags.get("amiops.dev/source").is_some_and(|of| *of != source);
        held && other && shown_before(i) && !world.touched_lately(&i.region) && !is_given_back(world, object, i)
    };
    let other = state.images.iter().find(differs)?;
    Some(format!("{} in {} holds other content of {version}", other.id, other.region))
}

/// An object without a finalizer can go at any moment, and what was made for it stays.
fn unheld(world: &World, call: &Call) -> Option<String> {
    let object = owner_in(call)?;
    let found = world.kube.get("machineimages", NAMESPACE, object)?;
    (!is_held(&found, FINALIZER)).then(|| format!("{object} has no finalizer yet"))
}

/// Where something is begun, the status has told of the region before: a process that comes later knows of no other.
fn unannounced(world: &World, call: &Call) -> Option<String> {
    let object = owner_in(call)?;
    let status = &world.kube.get("machineimages", NAMESPACE, object)?["status"];
    let told = entries(status, "regions").any(|region| region == call.region.as_str());
    (!told).then(|| format!("the status of {object} does not tell of {}", call.region))
}

/// Whether the object that the call acts for was suspended, and was so for a while.
fn suspended(world: &World, state: &State, call: &Call) -> Option<String> {
    let object = asked::object_in(state, call)?;
    // What is suspended and deleted is suspended still.
    let last = world.last_manifest(object);
    let known = asked::known_manifests(world, object).unwrap_or_else(|| world.lately(object));
    let suspended = known.iter().all(|m| m.as_ref().or(last.as_ref()).is_some_and(|m| m.suspend));
    suspended.then(|| format!("{object} is suspended"))
}

fn tags(world: &World, state: &State, call: &Call, id: &str) -> Option<String> {
    let owned = |tags| owner_of(tags).is_some();
    let image = state.image(&call.region, id);
    if let Some(other) = image.and_then(|image| held_for_another(call, image)).filter(|_| !world.touched_lately(id)) {
        return Some(format!("{id} is {other}"));
    }
    let changed = |image: &Image| {
        later_date(world, state, call, image)
            .or_else(|| other_attempt(call, image))
            .or_else(|| half_handed_back(state, call, image))
    };
    if let Some(wrong) = image.and_then(changed) {
        return Some(wrong);
    }
    if image.is_some_and(|i| owned(&i.tags)) || state.snapshots.iter().any(|s| s.id == id && owned(&s.tags)) {
        return None;
    }
    // What does not exist, or not any more, cannot be harmed.
    if image.is_none() && !state.snapshots.iter().any(|s| s.id == id) {
        return None;
    }
    if let Some(foreign) = image.filter(|i| i.account != ACCOUNT) {
        return Some(format!("{id} belongs to account {}", foreign.account));
    }
    // What is handed over with adopt: true, and its snapshots, and snapshots of ours that have lost their tags.
    let holder = image.or_else(|| state.images.iter().find(|i| i.snapshots.iter().any(|s| s == id)));
    let adopted = |i: &Image| OBJECTS.iter().any(|object| is_handed_over(world, object, &i.id));
    let ours = holder.is_some_and(|i| owned(&i.tags) || adopted(i));
    // To hand back what was handed back may be the repetition of a call whose answer was lost.
    let again = tag_of(call, "amiops.dev/adopted") == Some("false")
        && holder.is_some_and(|i| i.tags.get("amiops.dev/adopted").is_some_and(|adopted| adopted == "false"));
    let excused = again || world.touched_lately(id);
    (!ours && !excused).then(|| format!("{id} is not ours"))
}

/// The earliest date of release that the images of a version tell is the true one, unless the manifest says another: each
/// was given it, and some were changed. What is handed back counts no more.
fn later_date(world: &World, state: &State, call: &Call, image: &Image) -> Option<String> {
    let (date, object) = (tag_of(call, "amiops.dev/released-at")?, owner_of(&image.tags)?);
    let version = image.version()?;
    if world.lately(object).iter().flatten().any(|m| m.dates(version).is_some()) {
        return None;
    }
    let date_of = |i: &Image| i.tags.get("amiops.dev/released-at").cloned();
    let seen = |i: &&Image| {
        let ours = i.belongs_to(object, version) && i.state == "available" && !is_given_back(world, object, i);
        ours && !world.touched_lately(&i.region)
    };
    let asked_in = |region: &str| world.lately(object).iter().flatten().all(|m| m.regions.contains_key(region));
    let earlier =
        state.images.iter().filter(seen).find(|i| asked_in(&i.region) && date_of(i).is_some_and(|d| *d < *date));
    earlier.map(|i| format!("{date} is later than what {} in {} tells", i.id, i.region))
}

/// A copy is of the attempt that made it for ever: by its number the next one gets a token of its own.
fn other_attempt(call: &Call, image: &Image) -> Option<String> {
    owner_of(&image.tags)?;
    let (told, written) = (image.tags.get(ATTEMPT)?, tag_of(call, ATTEMPT)?);
    (told != written).then(|| format!("{} is of attempt {told}, not {written}", image.id))
}

/// An image that is handed back without its snapshots would lose them with the next deregistration; but what another one has too stays.
fn half_handed_back(state: &State, call: &Call, image: &Image) -> Option<String> {
    let tagged = call.list("ResourceId");
    let has = |i: &Image, s: &Snapshot| i.region == s.region && i.snapshots.contains(&s.id);
    let shared =
        |s: &Snapshot| state.images.iter().any(|i| i.id != image.id && owner_of(&i.tags).is_some() && has(i, s));
    let ours = |s: &&Snapshot| has(image, s) && owner_of(&s.tags).is_some() && !shared(s);
    let mut kept = state.snapshots.iter().filter(|s| s.region == image.region).filter(ours);
    let kept = kept.find(|s| !tagged.contains(&s.id.as_str()))?;
    (tag_of(call, "amiops.dev/adopted") == Some("false"))
        .then(|| format!("{} is not handed back with {}", kept.id, image.id))
}

/// What an image is already, if it is to become another version or another object's.
fn held_for_another(call: &Call, image: &Image) -> Option<String> {
    let (object, version) = (owner_in(call)?, tag_of(call, "amiops.dev/version")?);
    let holder = owner_of(&image.tags).filter(|holder| image.is_of(holder))?;
    let same = object == holder && image.version() == Some(version);
    (!same).then(|| format!("version {} of {holder}", image.version().unwrap_or_default()))
}

/// Whether a manifest has lately handed an image over.
pub(crate) fn is_handed_over(world: &World, object: &str, id: &str) -> bool {
    world.lately(object).iter().flatten().any(|m| m.hands_over(id))
}

fn put(world: &World, state: &State, call: &Call) -> Option<String> {
    let (name, value) = (call.get("Name")?, call.get("Value")?);
    world.past().published.insert((call.region.clone(), value.to_owned()));
    let object = object_of(name);
    let channel = name.split('/').nth(3).unwrap_or_default();
    let existing = state.parameters.iter().find(|p| p.region == call.region && p.name == name);
    let is_foreign = existing.is_some_and(|p| owner_of(&p.tags) != Some(object));
    if call.get("Overwrite") == Some("true") && is_foreign && !world.touched_lately(&call.region) {
        return Some(format!("{name} is not ours"));
    }
    let tagged =
        || call.get("Tags").is_some_and(|tags| tags.contains(&format!("{INSTALLATION}/{NAMESPACE}/{object}\"")));
    if call.get("Overwrite") != Some("true") && !tagged() {
        return Some(format!("{name} would not tell whose it is"));
    }
    if call.get("DataType") != Some("aws:ec2:image") {
        return Some("EC2 knows nothing of a parameter of another data type".into());
    }
    let Some(image) = state.image(&call.region, value) else {
        let unknown = world.touched_lately(&call.region) || removed_by_another(world, |id, _| id == value);
        return (!unknown).then(|| format!("{value} does not exist"));
    };
    if world.touched_lately(value) {
        return None;
    }
    if image.state != "available" && !world.touched_lately(&call.region) {
        return Some(format!("{value} is {}", image.state));
    }
    let versions = held_versions(world, object, image);
    let lately = world.lately(object);
    let asks = |m: &Manifest| {
        m.channels.get(channel).map(|number| format!("1.{number}")).filter(|version| versions.contains(version))
    };
    let asking: Vec<_> = lately.iter().flatten().filter_map(|m| Some((m, asks(m)?))).collect();
    if asking.is_empty() {
        return Some(format!("{channel} of {object} does not point to any of {versions:?}"));
    }
    let lacks = |region: &str, version: &str| {
        let holds = |i: &&Image| i.region == region && held_versions(world, object, i).contains(version);
        let known = !world.touched_lately(region) && !removed_by_another(world, |_, of| of == region);
        known && !state.images.iter().filter(holds).any(|i| i.state == "available")
    };
    let lacking = |(m, version): &(&Manifest, String)| m.regions.keys().copied().find(|region| lacks(region, version));
    let lacking: Option<Vec<_>> = asking.iter().map(lacking).collect();
    Some(format!("{versions:?} is not available in {}", lacking?.first()?))
}

/// Whether another process has lately deregistered such an image: EC2 may go on listing it, and who begins then believes that.
pub(crate) fn removed_by_another(world: &World, is_such: impl Fn(&str, &str) -> bool) -> bool {
    let (since, past) = (world.elapsed().saturating_sub(LATELY), world.past());
    let mut removed = past.deregistered.iter();
    removed.any(|(id, (region, at, life))| *at >= since && *life != past.lives && is_such(id, region))
}

/// The version that an image holds of an object; of one that was just adopted, whose tags may not be seen yet, what any manifest says
/// that hands it over.
fn held_versions(world: &World, object: &str, image: &Image) -> BTreeSet<String> {
    if let Some(tagged) = image.version().filter(|_| image.is_of(object)) {
        return BTreeSet::from([tagged.to_owned()]);
    }
    let lately = world.lately(object);
    let versions = lately.iter().flatten().flat_map(|m| &m.versions);
    versions.filter(|v| v.adopt && v.source(object).1 == image.id).map(Version::name).collect()
}
