//! What must have been asked before something is taken away or written over. The answer may be harmless this time: a check
//! that is left out is a fault all the same.

mod manifests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::checkers::owner_in;
use crate::door::Call;
use crate::hands;
use crate::manifest::Manifest;
use crate::owed;
use crate::state::{Image, Snapshot, State, owner_of};
use crate::world::{Past, World};
use manifests::manifest_was_read;

pub(crate) use manifests::known_manifests;

/// A pass takes no longer, so what it acts on is no older.
const PASS: Duration = Duration::from_mins(5);
/// How old the listing of a region may be that is written to. There is one every ten minutes.
const LISTING: Duration = Duration::from_mins(15);
/// What is asked for the last time just before a call; calls can be throttled or delayed.
const JUST_BEFORE: Duration = Duration::from_mins(2);
/// What a round goes by was asked no longer ago than the looks after that can take, the steps of a round, which end after half a minute,
/// and a call: the manifest, and who uses what is removed.
pub(crate) const BEFORE_WRITE: Duration = Duration::from_secs(150);

/// For so long EC2 may show the tags before a change, where it is late.
const TAGS_LAG: Duration = Duration::from_secs(30);

/// A question, about one thing in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// Whether the image is there, and what its tags say.
    Look,
    /// Who uses the image, answered with nobody.
    References,
    /// Whom the image is shared with, answered with nobody.
    Permissions,
    /// Who has the name.
    Name,
    /// Whether the snapshot is there, and what its tags say.
    Snapshot,
    /// Which image has the snapshot.
    Holder,
    /// What the tags of the parameter say.
    ParameterTags,
    /// Which image the parameter names.
    Parameter,
}

/// What has been asked.
#[derive(Default)]
pub(crate) struct Asked {
    /// When each question was last answered.
    answered: BTreeMap<(Question, String, String), Duration>,
    /// The number of the call that last looked at each image, and of the one that asked who uses it.
    looked: BTreeMap<String, u64>,
    checked: BTreeMap<String, u64>,
    /// The number of the call that last made or changed something of each object in each region, and when anything was last done.
    changed: BTreeMap<(String, String), u64>,
    written: BTreeMap<(String, String), Duration>,
    /// When the last listing of each region's images began.
    listing: BTreeMap<String, Duration>,
    /// The images that were still being made when they were last looked at.
    pending: BTreeSet<String>,
    /// The images, and their regions, that were not among the answers when they were last asked about.
    missed: BTreeSet<(String, String)>,
    /// The answers that go on, so far, by the question and the token of their next page.
    pages: BTreeMap<(String, String), String>,
}

impl Asked {
    /// When a parameter was last read.
    pub(crate) fn parameter_read(&self, region: &str, name: &str) -> Option<Duration> {
        self.answered.get(&(Question::Parameter, region.to_owned(), name.to_owned())).copied()
    }

    /// The other images in the region of an image that were looked at in the pass before a moment, or later.
    fn looks_beside<'a>(&'a self, image: &'a Image, moment: Duration) -> impl Iterator<Item = &'a str> {
        let looks = self.answered.iter().filter(move |((question, region, id), at)| {
            *question == Question::Look && *region == image.region && *id != image.id && **at + PASS >= moment
        });
        looks.map(|((_, _, id), _)| id.as_str())
    }
}

/// Whether a call lists what carries amiops's tags.
pub(crate) fn is_listing(call: &Call) -> bool {
    call.get("Filter.1.Name").is_some_and(|name| name.starts_with("tag:"))
}

/// What a call looks for by the ids that a filter names.
pub(crate) fn filtered<'a>(call: &'a Call, filter: &str) -> Vec<&'a str> {
    if call.get("Filter.1.Name") == Some(filter) { call.list("Filter.1.Value") } else { Vec::new() }
}

/// The whole answer to a call, once its last page is there.
fn whole(world: &World, call: &Call, answer: &HttpResponse) -> Option<String> {
    let page = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default());
    let asked: Vec<_> = call.parameters.iter().filter(|(name, _)| *name != "NextToken").collect();
    let key = format!("{} {asked:?}", call.region);
    let pages = &mut world.past().asked.pages;
    let before = match call.get("NextToken") {
        // A page may be asked for again, if its answer was lost.
        Some(token) => pages.get(&(key.clone(), token.to_owned())).cloned().unwrap_or_default(),
        None => {
            pages.retain(|(of, _), _| *of != key);
            String::new()
        }
    };
    let text = before + &page;
    match page.split("<nextToken>").nth(1).and_then(|rest| rest.split('<').next()) {
        Some(token) => {
            pages.insert((key, token.to_owned()), text);
            None
        }
        None => Some(text),
    }
}

/// Whether a call asks for whatever can use an image. What rests or is about to run needs its image too.
fn asks_in_full(call: &Call) -> bool {
    let states = ["pending", "running", "stopping", "stopped"];
    let names = |state: &&str| call.parameters.values().any(|value| value == state);
    call.get("IncludeAllResourceTypes") == Some("true") && states.iter().all(names)
}

/// Notes what the call of a number asked that began at some time, if it was answered to the end.
pub(crate) fn note(world: &World, call: &Call, number: u64, began: Duration, answer: &HttpResponse) {
    if answer.status().as_u16() != 200 {
        return;
    }
    note_shown(world, call, answer);
    if call.writes() {
        return;
    }
    let Some(text) = whole(world, call, answer) else { return };
    let filtered = |name: &str| filtered(call, name);
    let names: Vec<String> = call.get("Names").and_then(|n| serde_json::from_str(n).ok()).unwrap_or_default();
    let subjects: Vec<(Question, &str)> = match call.operation.as_str() {
        "DescribeImages" => {
            let looked = filtered("image-id").into_iter().map(|id| (Question::Look, id));
            let named = filtered("name").into_iter().map(|name| (Question::Name, name));
            let held = filtered("block-device-mapping.snapshot-id").into_iter().map(|id| (Question::Holder, id));
            looked.chain(named).chain(held).collect()
        }
        "DescribeSnapshots" => filtered("snapshot-id").into_iter().map(|id| (Question::Snapshot, id)).collect(),
        "DescribeImageReferences" if !asks_in_full(call) => return,
        "DescribeImageReferences" => {
            let unused = |id: &&str| !text.contains(*id);
            call.list("ImageId").into_iter().filter(unused).map(|id| (Question::References, id)).collect()
        }
        "DescribeImageAttribute" => {
            let id = call.get("ImageId").filter(|_| !text.contains("<item>"));
            id.map(|id| (Question::Permissions, id)).into_iter().collect()
        }
        "GetParameters" => names.iter().map(|name| (Question::Parameter, name.as_str())).collect(),
        "ListTagsForResource" => call.get("ResourceId").map(|id| (Question::ParameterTags, id)).into_iter().collect(),
        _ => return,
    };
    let now = world.elapsed();
    owed::answered(world, call, &text);
    let mut past = world.past();
    if is_listing(call) {
        let Past { listed, snapshots_listed, .. } = &mut *past;
        let listed = if call.operation == "DescribeImages" { listed } else { snapshots_listed };
        listed.insert(call.region.clone(), now);
        if call.operation == "DescribeImages" {
            past.asked.listing.insert(call.region.clone(), began);
        }
    }
    if call.operation == "DescribeImages" {
        past.asked.missed.retain(|(region, id)| *region != call.region || !text.contains(id));
    }
    for (question, subject) in subjects {
        if question == Question::Look && !text.contains(subject) {
            past.asked.missed.insert((call.region.clone(), subject.to_owned()));
        }
        if question == Question::Look {
            past.asked.looked.insert(subject.to_owned(), number);
            let shown = text.split("<imageId>").find(|image| image.split('<').next() == Some(subject));
            match shown.is_some_and(|image| image.contains("<imageState>pending")) {
                true => past.asked.pending.insert(subject.to_owned()),
                false => past.asked.pending.remove(subject),
            };
        }
        if question == Question::References {
            past.asked.checked.insert(subject.to_owned(), number);
        }
        past.asked.answered.insert((question, call.region.clone(), subject.to_owned()), began);
    }
}

/// Notes the images that an answer tells of.
fn note_shown(world: &World, call: &Call, answer: &HttpResponse) {
    if ["CopyImage", "DescribeImages"].contains(&call.operation.as_str()) {
        let text = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default());
        let images = text.split("<imageId>").skip(1);
        let tagged = images.filter(|image| call.operation == "CopyImage" || image.contains("amiops.dev/owner"));
        let ids = tagged.filter_map(|rest| rest.split('<').next());
        let now = world.elapsed();
        let mut past = world.past();
        for id in ids {
            past.done.shown.entry(id.to_owned()).or_insert(now);
            if call.operation == "DescribeImages" {
                past.seen.insert(id.to_owned());
            }
        }
    }
}

/// Images and snapshots are public by the ten thousands, and others' may have the same name or tags: what is not asked for by its
/// id is asked for among our own.
pub(crate) fn asks_everybody(call: &Call) -> Option<String> {
    let ids = match call.operation.as_str() {
        "DescribeImages" => "image-id",
        "DescribeSnapshots" => "snapshot-id",
        _ => return None,
    };
    let by_id = call.parameters.keys().any(|name| name.starts_with("ImageId.") || name.starts_with("SnapshotId."));
    let fine = call.get("Owner.1") == Some("self") || by_id || !filtered(call, ids).is_empty();
    (!fine).then(|| format!("{} asks for what others own", call.operation))
}

/// What should have been asked before a call.
pub(crate) fn lacking(world: &World, state: &State, call: &Call) -> Option<String> {
    let now = world.elapsed();
    let listed = world.past().listed.get(&call.region).copied();
    if call.operation != "DeleteParameter" && listed.is_none_or(|at| now - at > LISTING) {
        return Some(format!("the images of {} were last listed at {listed:?}", call.region));
    }
    let published = call.get("Value").filter(|_| call.operation == "PutParameter");
    let missed = |id: &&str| world.past().asked.missed.contains(&(call.region.clone(), (*id).to_owned()));
    if let Some(image) = published.into_iter().chain(call.list("ResourceId")).find(missed) {
        return Some(format!("{image} was not among the answers when it was last asked about"));
    }
    let asked = |question, subject: &str, within: Duration| {
        let key = (question, call.region.clone(), subject.to_owned());
        let at = world.past().asked.answered.get(&key).copied().filter(|at| now - *at <= within);
        at.ok_or_else(|| format!("{question:?} of {subject} was not asked before"))
    };
    let result = match call.operation.as_str() {
        "DeregisterImage" => {
            let id = call.get("ImageId").unwrap_or_default();
            let image = state.image(&call.region, id).filter(|i| i.state != "failed");
            let looked = asked(Question::Look, id, JUST_BEFORE);
            let used = |image: &Image| {
                let references = asked(Question::References, id, BEFORE_WRITE)?;
                asked(Question::Permissions, id, BEFORE_WRITE)?;
                others_were_looked_at(world, state, image, references)?;
                if let Some(name) =
                    parameters_of(world, image).into_iter().find(|n| asked(Question::Parameter, n, LISTING).is_err())
                {
                    return Err(format!("which image {name} names was not asked before"));
                }
                if *looked.as_ref().map_err(Clone::clone)? < references {
                    return Err(format!("{id} was not looked at after its use was checked"));
                }
                let renamed = image.version() == Some(hands::ANOTHER) && touched_since_check(world, id);
                if !world.tags_are_late && renamed && !disowned_since(world, id) {
                    return Err(format!("{id} has become another version after its use was checked"));
                }
                let Some(owner) = owner_of(&image.tags) else { return Ok(()) };
                if changed_since_check(world, &call.region, owner, id) {
                    return Err(format!("something was made or changed after the use of {id} was checked"));
                }
                manifest_was_read(world, owner, references)
            };
            looked.clone().and(image.map_or(Ok(()), used))
        }
        "DeleteSnapshot" => {
            let id = call.get("SnapshotId").unwrap_or_default();
            asked(Question::Snapshot, id, JUST_BEFORE).and(asked(Question::Holder, id, JUST_BEFORE)).map(|_| ())
        }
        "CopyImage" => asked(Question::Name, call.get("Name").unwrap_or_default(), JUST_BEFORE).map(|_| ()),
        // What is only created has no tags to look at.
        "PutParameter" if call.get("Overwrite") != Some("true") => Ok(()),
        "PutParameter" | "DeleteParameter" => {
            let name = call.get("Name").unwrap_or_default();
            asked(Question::ParameterTags, name, JUST_BEFORE).map(|_| ())
        }
        _ => Ok(()),
    };
    let object = object_in(state, call);
    object.into_iter().for_each(|object| note_write(world, call, object));
    let read = || match object {
        Some(object) => manifest_was_read(world, object, now.saturating_sub(BEFORE_WRITE)),
        None => Ok(()),
    };
    result.and_then(|()| read()).err()
}

fn note_write(world: &World, call: &Call, object: &str) {
    let (now, key) = (world.elapsed(), (call.region.clone(), object.to_owned()));
    let mut past = world.past();
    let number = past.calls;
    if ["CopyImage", "CreateTags", "PutParameter"].contains(&call.operation.as_str()) {
        past.asked.changed.insert(key.clone(), number);
    }
    past.asked.written.insert(key, now);
}

/// Whether the images of a region have been listed since something was last done for an object there.
pub(crate) fn was_listed_since(world: &World, region: &str, object: &str) -> bool {
    let asked = &world.past().asked;
    let written = asked.written.get(&(region.to_owned(), object.to_owned()));
    asked.listing.get(region) >= written
}

/// The object that a call acts for: as the call itself says, or the tags of what it is about.
pub(crate) fn object_in<'a>(state: &'a State, call: &'a Call) -> Option<&'a str> {
    let name = call.get("ImageId").or(call.get("SnapshotId")).or(call.list("ResourceId").first().copied());
    let image = name.and_then(|id| state.image(&call.region, id)).map(|i| &i.tags);
    let snapshot = state.snapshots.iter().find(|s| Some(s.id.as_str()) == name).map(|s| &s.tags);
    let of_parameter = call.get("Name").and_then(|name| name.strip_prefix("/golden/")?.split('/').next());
    owner_in(call).or(of_parameter).or(image.or(snapshot).and_then(owner_of))
}

/// The parameters that the object of an image publishes in its region, and has published for a while.
fn parameters_of(world: &World, image: &Image) -> BTreeSet<String> {
    let lately = world.lately(owner_of(&image.tags).unwrap_or_default());
    let names = |m: &Option<Manifest>| -> BTreeSet<String> {
        let manifest = m.as_ref().filter(|m| m.regions.contains_key(image.region.as_str()));
        manifest.into_iter().flat_map(|m| m.channels.keys().filter_map(|channel| m.published(channel))).collect()
    };
    lately.iter().map(names).reduce(|some, others| &some & &others).unwrap_or_default()
}

/// An image goes because another one stays in the region, so others must have been looked at too. A listing may be old.
fn others_were_looked_at(world: &World, state: &State, image: &Image, before: Duration) -> Result<(), String> {
    let object = owner_of(&image.tags).unwrap_or_default();
    let another = state.images.iter().any(|i| i.region == image.region && i.id != image.id && i.is_of(object));
    let past = world.past();
    let looked = past.asked.looks_beside(image, before).next().is_some();
    // Of an object that is being deleted nothing has to stay, and nothing for an image that cannot be launched.
    let fine = looked || !another || past.deleted.contains(object) || image.state != "available";
    if fine { Ok(()) } else { Err(format!("no other image of {object} in {} was looked at", image.region)) }
}

/// Whether the controller has just seen another image in the region that this one is in.
pub(crate) fn sees_another(world: &World, image: &Image) -> bool {
    let now = world.elapsed();
    let asked = &world.past().asked;
    asked.looks_beside(image, now).any(|id| !asked.missed.contains(&(image.region.clone(), id.to_owned())))
}

/// Whether something happened, and was not asked about since.
fn came_after<T: Ord>(happened: Option<T>, asked: Option<T>) -> bool {
    happened.is_some_and(|happened| asked.is_none_or(|asked| asked <= happened))
}

/// Whether an image was taken out of amiops's hands after the last look at it, so that nobody can know of it.
pub(crate) fn disowned_since(world: &World, id: &str) -> bool {
    let past = world.past();
    came_after(past.disowned.get(id), past.asked.looked.get(id))
}

/// Whether the last look at an image showed that it was still being made.
pub(crate) fn was_pending(world: &World, id: &str) -> bool {
    world.past().asked.pending.contains(id)
}

/// Whether a snapshot was taken out of amiops's hands after the last look at it.
pub(crate) fn untagged_since(world: &World, snapshot: &Snapshot) -> bool {
    let past = world.past();
    let looked = past.asked.answered.get(&(Question::Snapshot, snapshot.region.clone(), snapshot.id.clone()));
    came_after(past.by_hand.get(&snapshot.id).map(|(at, _)| at), looked)
}

/// Whether somebody changed the tags of an image so short a time ago that EC2 may still show those before.
pub(crate) fn may_look_as_before(world: &World, id: &str) -> bool {
    let since = world.elapsed().saturating_sub(TAGS_LAG);
    world.tags_are_late && world.past().by_hand.get(id).is_some_and(|(at, _)| *at >= since)
}

/// Whether an image was taken out of amiops's hands after it was asked who uses it.
fn touched_since_check(world: &World, id: &str) -> bool {
    let past = world.past();
    came_after(past.disowned.get(id), past.asked.checked.get(id))
}

/// Whether something of an object was made or changed in a region after it was asked who uses an image.
fn changed_since_check(world: &World, region: &str, object: &str, id: &str) -> bool {
    let past = world.past();
    let changed = past.asked.changed.get(&(region.to_owned(), object.to_owned()));
    came_after(changed, past.asked.checked.get(id))
}
