//! What must not be done again: what has succeeded, what changes nothing, and what fails, too often.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::SignedDuration;

use crate::checkers::tag_of;
use crate::door::Call;
use crate::owed::Owed;
use crate::state::{Parameter, State};
use crate::world::World;

/// A call that fails is tried again after seconds, then minutes, by the SDK three times each. A change of the manifest begins
/// that anew.
const TRIES_IN_AN_HOUR: usize = 200;
/// A copy that fails is tried again after a minute, then after twice as long each time.
const ATTEMPTS_IN_AN_HOUR: usize = 12;
/// How often the same is asked in a region within ten minutes. The images under way are looked at every two minutes, and what
/// fails is asked again after seconds, then minutes, by the SDK three times each.
const READS: usize = 200;
/// So long a value is looked for that was written without an answer, and one that SSM has accepted and does not show.
const ANSWER_LOST: Duration = Duration::from_secs(60);
const NOT_TAKEN: Duration = Duration::from_mins(10);
/// What another process wrote just before it ended, SSM shows five minutes later at most, and it is read every ten.
const OF_ANOTHER: SignedDuration = SignedDuration::from_mins(15);
/// Tags are shown later where they are late, but no later.
const JUST_TAGGED: Duration = Duration::from_secs(60);
/// A region that is out of reach, or asks for fewer calls, is left alone: by who does not, one copy is tried just after the other.
const LEFT_ALONE: usize = 3;
/// A history has some hundreds of calls.
const CALLS: u64 = 30_000;

/// A resource and a key, and the value of the tag.
type Pair = ((String, String), String);

/// A write: its operation, its region and what it is about.
type Write = (String, String, String);

/// The value of a parameter that was written, when, and whether the controller was told that it was.
struct Put {
    value: String,
    at: Duration,
    told: bool,
}

impl Put {
    /// Whether it is too early to write it again: it may be there, although SSM does not show it.
    fn is_under_way(&self, now: Duration) -> bool {
        now - self.at < if self.told { NOT_TAKEN } else { ANSWER_LOST }
    }
}

/// What the running controller has done.
#[derive(Default)]
pub(crate) struct Done {
    /// When each write was tried.
    tried: BTreeMap<Write, Vec<Duration>>,
    /// What was last written to each parameter.
    put: BTreeMap<Write, Put>,
    /// What was removed, and the controller was told so.
    removed: BTreeSet<Write>,
    /// The tags that were written, and the controller was told so: of a resource and a key, the value and when.
    tagged: BTreeMap<(String, String), (String, Duration)>,
    /// When each question, and anything of an operation, was asked in a region.
    read: BTreeMap<(String, String), VecDeque<Duration>>,
    /// When it was first told of each image, by a copy or a look.
    pub(crate) shown: BTreeMap<String, Duration>,
    /// What it owes.
    pub(crate) owed: Owed,
    /// The copies of an owner to a region that were not answered or throttled, one just after the other, and when the last was.
    in_vain: BTreeMap<(String, String), (Duration, BTreeSet<String>)>,
    /// When each copy was first asked for, by owner, version and region.
    copies: BTreeMap<String, BTreeMap<String, Duration>>,
}

impl Done {
    /// The parameter of a region that the running controller has given an image just now, if there is one: whether SSM has answered and
    /// shows it already or not, it may come to name the image.
    pub(crate) fn was_given(&self, now: Duration, region: &str, image: &str) -> Option<&str> {
        let of = |(write, put): &(&Write, &Put)| write.1 == region && put.value == image;
        let given = self.put.iter().find(|given| of(given) && given.1.is_under_way(now));
        given.map(|(write, _)| write.2.as_str())
    }

    /// What another controller has done, once this one has ended: nothing yet.
    pub(crate) fn of_another(self) -> Self {
        Self { owed: self.owed.of_another(), ..Self::default() }
    }

    /// Whether the running controller has just made an image its own, so that it knows so although EC2 may not show the tags.
    pub(crate) fn has_just_adopted(&self, now: Duration) -> bool {
        self.tagged.iter().any(|((_, key), (_, at))| key == "amiops.dev/owner" && *at + JUST_TAGGED >= now)
    }
}

fn write(call: &Call) -> Write {
    (call.operation.clone(), call.region.clone(), call.subject(&["ImageId", "SnapshotId", "Name"]))
}

/// What is wrong with doing this now.
pub(crate) fn wrong(world: &World, state: &State, call: &Call) -> Option<String> {
    let now = world.elapsed();
    let write = write(call);
    let touched = world.touched_lately(&call.region);
    let mut past = world.past();
    let tried = past.done.tried.entry(write.clone()).or_default();
    tried.push(now);
    tried.retain(|at| now.saturating_sub(*at) <= Duration::from_hours(1));
    if tried.len() > TRIES_IN_AN_HOUR {
        return Some(format!("tried {} times within an hour", tried.len()));
    }
    // A parameter whose value SSM still checked when it was removed comes to light after that.
    let is_back = call.operation == "DeleteParameter"
        && state.parameters.iter().any(|p| p.region == call.region && Some(p.name.as_str()) == call.get("Name"));
    if past.done.removed.contains(&write) && !is_back {
        return Some("it was told that this is done".into());
    }
    if call.operation == "CreateTags" {
        let by_hand = |id: &str| past.by_hand.get(id).map(|(at, _)| *at);
        let told = |((id, key), value): &Pair| {
            let before = past.done.tagged.get(&(id.clone(), key.clone()));
            before.is_some_and(|(written, at)| written == value && by_hand(id).is_none_or(|touched| touched < *at))
        };
        let tags = tags(call);
        let again = tags.iter().all(told).then(|| "it was told that these tags are there".into());
        // If no answer comes, nobody knows.
        tags.iter().for_each(|(of, _)| drop(past.done.tagged.remove(of)));
        return again;
    }
    let of_the_same = |operation: &str| (operation.to_owned(), write.1.clone(), write.2.clone());
    if call.operation == "DeleteParameter" {
        past.done.put.remove(&of_the_same("PutParameter"));
    }
    let value = call.get("Value").filter(|_| call.operation == "PutParameter")?;
    // Even without an answer it may be there again.
    past.done.removed.remove(&of_the_same("DeleteParameter"));
    let before = past.done.put.insert(write, Put { value: value.to_owned(), at: now, told: false });
    let same = before.as_ref().filter(|put| put.value == value);
    // SSM may have taken in between what was written before.
    let shows_another = |put: &Put| {
        let here = |p: &&Parameter| p.region == call.region && Some(p.name.as_str()) == call.get("Name");
        let since = world.now() - now.saturating_sub(put.at);
        state.parameters.iter().find(here).is_some_and(|p| p.value != value && p.modified > since)
    };
    if same.is_some_and(|put| put.is_under_way(now) && !shows_another(put)) && !touched {
        return Some("it was just written".into());
    }
    // SSM may take some time to show what was written without an answer.
    let in_doubt = same.is_some_and(|put| !put.told);
    let mut here =
        state.parameters.iter().filter(|p| p.region == call.region && Some(p.name.as_str()) == call.get("Name"));
    let named = here.find(|p| p.value == value)?;
    // Nor what another process wrote just before it ended: what is to be created then is refused by SSM, and what SSM accepts
    // only after it was read cannot be known.
    let just_now = world.now() - OF_ANOTHER < named.modified;
    let read = past.asked.parameter_read(&call.region, &named.name);
    let unseen = read.is_none_or(|at| world.now() - now.saturating_sub(at) < named.modified);
    let not_created = before.is_none() && call.get("Overwrite") == Some("false");
    let of_another = just_now && (unseen || not_created);
    (!touched && !in_doubt && !of_another).then(|| "the parameter names that image already".into())
}

/// Whether the same is asked too often, or anything of the sort far too often.
pub(crate) fn asked_too_often(world: &World, call: &Call) -> Option<String> {
    if call.get("NextToken").is_some() {
        return None;
    }
    let operation = call.operation.as_str();
    let question = call.parameters.values().map(String::as_str).collect::<Vec<_>>().join(" ");
    let too_often = [(question.as_str(), READS), (operation, READS * 3)].into_iter().find_map(|(what, most)| {
        let count = count_reading(world, &call.region, what);
        (count > most).then_some(count)
    });
    too_often.map(|count| format!("{operation} in {} was asked {count} times within ten minutes", call.region))
}

/// Counts a question; the answer is how often it was asked within ten minutes.
fn count_reading(world: &World, region: &str, what: &str) -> usize {
    let now = world.elapsed();
    let mut past = world.past();
    let read = past.done.read.entry((region.to_owned(), what.to_owned())).or_default();
    read.push_back(now);
    while read.front().is_some_and(|at| now.saturating_sub(*at) > Duration::from_mins(10)) {
        read.pop_front();
    }
    read.len()
}

/// The tags that a call writes, on each of its resources.
fn tags(call: &Call) -> Vec<Pair> {
    let tag = |(name, key): (&String, &String)| {
        let number = name.strip_prefix("Tag.")?.strip_suffix(".Key")?;
        Some((key.clone(), call.get(&format!("Tag.{number}.Value")).unwrap_or_default().to_owned()))
    };
    let tags: Vec<_> = call.parameters.iter().filter_map(tag).collect();
    let on = |id: &str| {
        let of = |(key, value): &(String, String)| ((id.to_owned(), key.clone()), value.clone());
        tags.iter().map(of).collect::<Vec<_>>()
    };
    call.list("ResourceId").into_iter().flat_map(on).collect()
}

/// Whether another attempt to copy comes too soon.
pub(crate) fn copied_too_often(world: &World, copy: &str, token: &str) -> Option<String> {
    let now = world.elapsed();
    let mut past = world.past();
    let attempts = past.done.copies.entry(copy.to_owned()).or_default();
    attempts.entry(token.to_owned()).or_insert(now);
    attempts.retain(|_, at| now.saturating_sub(*at) <= Duration::from_hours(1));
    let count = attempts.len();
    (count > ATTEMPTS_IN_AN_HOUR).then(|| format!("{copy} was tried {count} times within an hour"))
}

/// Notes that a copy came to nothing because its region is in trouble. The answer is whether too many did, with nothing in between.
pub(crate) fn copied_in_vain(
    world: &World,
    call: &Call,
    began: Duration,
    answer: Option<&HttpResponse>,
) -> Option<String> {
    let (owner, name) =
        (tag_of(call, "amiops.dev/owner")?, call.get("Name").filter(|_| call.operation == "CopyImage")?);
    let text = answer.and_then(|answer| answer.body().bytes()).map(String::from_utf8_lossy);
    let mut past = world.past();
    let (last, names) = past.done.in_vain.entry((call.region.clone(), owner.to_owned())).or_default();
    if *last != began && !names.contains(name) {
        names.clear();
    }
    *last = world.elapsed();
    if text.is_some_and(|text| !text.contains("RequestLimitExceeded")) {
        names.clear();
        return None;
    }
    names.insert(name.to_owned());
    (names.len() >= LEFT_ALONE)
        .then(|| format!("{names:?} were copied to {} in vain, one after the other", call.region))
}

/// Notes that AWS refused a write, so that it is not done.
pub(crate) fn refused(world: &World, call: &Call) {
    world.past().done.put.remove(&write(call));
}

/// Notes a write that has succeeded, and that the controller knows to have.
pub(crate) fn note(world: &World, call: &Call) {
    let write = write(call);
    let mut past = world.past();
    match call.operation.as_str() {
        "DeregisterImage" | "DeleteSnapshot" | "DeleteParameter" => {
            past.done.removed.insert(write);
        }
        "CreateTags" => {
            let now = world.elapsed();
            past.done.tagged.extend(tags(call).into_iter().map(|(of, value)| (of, (value, now))));
        }
        "PutParameter" => {
            past.accepted.extend(call.get("Value").map(|value| (call.region.clone(), value.to_owned())));
            if let Some(put) = past.done.put.get_mut(&write) {
                put.told = true;
            }
        }
        _ => {}
    }
}

/// Counts a call. The answer is whether there are so many that the history would never end.
pub(crate) fn too_many(world: &World) -> bool {
    let calls = {
        let mut past = world.past();
        past.calls += 1;
        past.calls
    };
    if calls == CALLS {
        world.violation(format!("more than {CALLS} calls to AWS"));
    }
    calls >= CALLS
}
