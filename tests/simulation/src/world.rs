//! The world of a history: both simulators, what people have asked for and done, and what has been found wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ec2sim::{Config, SeedImage, SeedKey, Sim};
use jiff::{SignedDuration, Timestamp};
use kubesim::KubeSim;
use tokio::time::Instant;

use crate::again::Done;
use crate::applied::Asking;
use crate::asked::Asked;
use crate::manifest::{
    ACCOUNT, FOREIGN, KEY, LAST, Manifest, NAMESPACE, OBJECTS, OTHER_ACCOUNT, Origin, REGIONS, source_id,
};
use crate::state::State;
use crate::story::{ByHand, Story};
use crate::trace::{Trace, VIOLATION};

/// What somebody has just done may not be known to a controller yet: its watch is cut, its call is under way, its request is
/// retried. Within this time it is not to blame.
pub(crate) const LATELY: Duration = Duration::from_mins(10);

/// A date that the API server takes and the program cannot read: its offset is one of 99 hours.
pub(crate) const SPOILT_DATE: &str = "2026-11-20T09:00:00+99:99";

/// How many days before the beginning each source was baked: not in the order in which versions are listed or copied.
const AGES: [i64; LAST + 1] = [5, 9, 2, 8, 4, 7, 3];

/// By then, an image that a listing has missed was looked at again.
const SECOND_LOOK: Duration = Duration::from_mins(4);

/// The world of a history; clones are the same one.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) aws: Sim,
    pub(crate) kube: KubeSim,
    pub(crate) trace: Trace,
    start: Instant,
    /// Whether EC2 shows tags some time after they were written.
    pub(crate) tags_are_late: bool,
    /// How far the controllers' clocks are off.
    skew: Mutex<SignedDuration>,
    past: Mutex<Past>,
}

/// What has happened.
#[derive(Default)]
pub(crate) struct Past {
    /// What each object asked for.
    pub(crate) manifests: BTreeMap<&'static str, Vec<Asking>>,
    /// The objects that somebody has deleted, since they were last applied.
    pub(crate) deleted: BTreeSet<String>,
    /// The images that versions with [`Origin::Replica`] were found to have as their source, by object.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
    /// The tokens that copies were asked for with, and what each stood for.
    pub(crate) tokens: BTreeMap<String, String>,
    /// The images and snapshots that were handed back.
    pub(crate) handed_back: BTreeSet<String>,
    /// Since when each snapshot has had no image, of those that amiops is to delete.
    pub(crate) left_behind: BTreeMap<String, Duration>,
    /// When that was last looked at.
    pub(crate) looked_after: Duration,
    /// Until when people or fate interfere.
    pub(crate) disturbed: Duration,
    /// What the running controller has done. Another one cannot know of it.
    pub(crate) done: Done,
    /// The controller that called last, if there is an election.
    pub(crate) leader: Option<String>,
    /// How often AWS was called.
    pub(crate) calls: u64,
    /// What the controllers have asked.
    pub(crate) asked: Asked,
    /// When somebody last did something by hand in a region, or to an image or snapshot; and the region.
    pub(crate) by_hand: BTreeMap<String, (Duration, String)>,
    /// When the cluster was last lost.
    pub(crate) cluster_lost: Duration,
    /// Since when objects do not decode, if nobody has written them anew.
    pub(crate) spoilt: BTreeMap<&'static str, Duration>,
    /// When a controller was last given a listing of a region's images.
    pub(crate) listed: BTreeMap<String, Duration>,
    /// When a controller was last given a listing of a region's snapshots, and when somebody last deleted or untagged some there.
    pub(crate) snapshots_listed: BTreeMap<String, Duration>,
    pub(crate) snapshots_deleted: BTreeMap<String, Duration>,
    /// The conditions that each object was last seen with, by its uid, and when by the controllers' clocks.
    pub(crate) told: BTreeMap<String, (serde_json::Value, Timestamp)>,
    /// The images, by their regions, that each object was last seen to tell of, by its uid; and when.
    pub(crate) images_told: BTreeMap<String, (Duration, BTreeSet<(String, String)>)>,
    /// The versions that the channels of each object were last seen to tell, by its uid; and when, and of which generation.
    pub(crate) channels_told: BTreeMap<String, (Timestamp, i64, BTreeMap<String, String>)>,
    /// The images that controllers deregistered, their regions, when, and in which life.
    pub(crate) deregistered: BTreeMap<String, (String, Duration, u64)>,
    /// How many lives there were: a controller that starts, or begins to lead, begins one.
    pub(crate) lives: u64,
    /// The images that EC2 has listed to controllers, and those that it had not when their object was made anew: of such a copy nobody
    /// can know.
    pub(crate) seen: BTreeSet<String>,
    pub(crate) unheard: BTreeSet<String>,
    /// The images that any parameter was ever asked to name, by region.
    pub(crate) published: BTreeSet<(String, String)>,
    /// Those of which SSM has said that it accepts them.
    pub(crate) accepted: BTreeSet<(String, String)>,
    /// Whether two controllers have had clocks that differ.
    pub(crate) clocks_differ: bool,
    /// The regions that the status of each object has told of since it was made, and since the cluster was last lost.
    pub(crate) regions_told: BTreeSet<(String, String)>,
    /// What was found wrong.
    pub(crate) violations: Vec<String>,
    /// The point at which the controller is to be killed.
    pub(crate) crash: Option<Crash>,
    /// What somebody does, and after which calls of the controller.
    pub(crate) second_thought: Option<(When, Thought)>,
    /// After how many calls each image was taken out of amiops's hands.
    pub(crate) disowned: BTreeMap<String, u64>,
    /// The sources that an object of another namespace names.
    pub(crate) claimed: Vec<String>,
}

/// After which calls of the controller something happens.
pub(crate) enum When {
    /// After so many.
    Calls(u64),
    /// After calls of these operations, one after the other.
    Operations(Vec<&'static str>),
}

impl When {
    /// Counts a call. The answer is whether it was the last one.
    pub(crate) fn has_come(&mut self, operation: &str) -> bool {
        match self {
            Self::Calls(0) => true,
            Self::Calls(left) => {
                *left -= 1;
                false
            }
            Self::Operations(left) => {
                if left.first().is_some_and(|next| *next == operation) {
                    left.remove(0);
                }
                left.is_empty()
            }
        }
    }
}

/// What comes to somebody's mind while the controller is at work.
pub(crate) enum Thought {
    /// Back to this manifest.
    TakeBack(Manifest),
    /// To do this by hand; the number picks to what.
    ByHand(ByHand, usize),
    /// Nobody's: copies end.
    CopiesEnd,
}

/// A point at which the controller is to be killed.
pub(crate) struct Crash {
    pub(crate) calls_left: u64,
    pub(crate) after_commit: bool,
    pub(crate) kill: Arc<tokio::sync::Notify>,
}

/// The date on which every history begins.
pub(crate) fn birth() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap_or_default()
}

impl std::ops::Deref for World {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl World {
    /// The world at the beginning of a story.
    pub(crate) fn new(story: &Story, trace: Trace) -> Result<Self, String> {
        let start = Instant::now();
        let now = move || birth() + start.elapsed();
        let signed = |d: Duration| SignedDuration::try_from(d).unwrap_or_default();
        let nature = &story.nature;
        let config = Config {
            seed: story.seed,
            copy_time: signed(nature.copy_time),
            parameter_delay: signed(nature.parameter_delay),
            stale_listing: signed(nature.stale_listing),
            name_linger: signed(nature.name_linger),
            late_tags: signed(nature.late_tags),
            replay_dead: nature.replay_dead,
            request_limits: nature.request_limits,
            page: nature.page,
            begins_empty: nature.begins_empty,
            early_snapshots: signed(nature.copy_time / 2),
            bare_pending: nature.bare_pending,
            ..Config::default()
        };
        let world = Self(Arc::new(Inner {
            aws: Sim::new(config, Arc::new(now)),
            kube: KubeSim::new(Arc::new(now))?,
            trace,
            start,
            tags_are_late: !nature.late_tags.is_zero(),
            skew: Mutex::default(),
            past: Mutex::default(),
        }));
        world.kube.ensure_namespace(NAMESPACE);
        world.seed();
        if story.has_neighbour() {
            world.settle_neighbour();
        }
        Ok(world)
    }

    fn seed(&self) {
        for region in REGIONS {
            let key = SeedKey { region: region.into(), alias: Some(KEY.into()), ..Default::default() };
            self.expect("a key", self.aws.seed_key(key));
        }
        for object in OBJECTS {
            for (number, days) in AGES.into_iter().enumerate() {
                let age = SignedDuration::from_hours(24 * days);
                let image = SeedImage {
                    creation_date: Some(birth() - age),
                    region: REGIONS[0].into(),
                    id: Some(source_id(object, number)),
                    name: Some(format!("baked-{object}-{number}")),
                    account: (number == FOREIGN).then(|| OTHER_ACCOUNT.to_owned()),
                    volumes: if number.is_multiple_of(2) { 1 } else { 2 },
                    shared_with: if number == FOREIGN { vec![ACCOUNT.to_owned()] } else { Vec::new() },
                    ..Default::default()
                };
                self.expect("a source", self.aws.seed_image(image));
            }
        }
    }

    pub(crate) fn expect<T, E: std::fmt::Debug>(&self, what: &str, result: Result<T, E>) {
        if let Err(error) = result {
            self.violation(format!("the world could not be set up: {what}: {error:?}"));
        }
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The date.
    pub(crate) fn now(&self) -> Timestamp {
        birth() + self.elapsed()
    }

    /// The date by the controllers' clocks.
    pub(crate) fn wrong_time(&self) -> Timestamp {
        self.now() + *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, the controllers' clocks are so far off.
    pub(crate) fn set_skew(&self, skew: SignedDuration) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        self.past().told.clear();
    }

    /// What exists in AWS.
    pub(crate) fn state(&self) -> State {
        State::of(&self.aws)
    }

    /// What has happened.
    pub(crate) fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on another controller runs, which knows nothing of what the one before has done.
    pub(crate) fn begin_life(&self) {
        let mut past = self.past();
        past.done = std::mem::take(&mut past.done).of_another();
        past.lives += 1;
    }

    /// A controller calls; what the one that led before has done, it does not know.
    pub(crate) fn called_by(&self, candidate: Option<&str>) {
        let last = std::mem::replace(&mut self.past().leader, candidate.map(str::to_owned));
        if last.as_deref() != candidate {
            self.begin_life();
        }
    }

    /// Notes something wrong.
    pub(crate) fn violation(&self, what: String) {
        self.trace.line(self.elapsed(), VIOLATION, &what);
        self.past().violations.push(what);
    }

    /// Writes down what people or fate do.
    pub(crate) fn note(&self, what: &str) {
        self.trace.line(self.elapsed(), "fate", what);
    }

    /// Whether somebody did something by hand in a region, or to an image or snapshot, so that controllers cannot know of it: it
    /// was lately, or the region could not be listed since. One listing that misses an image is not enough to give it up.
    pub(crate) fn touched_lately(&self, what: &str) -> bool {
        let since = self.elapsed().saturating_sub(LATELY);
        let past = self.past();
        let Some((at, region)) = past.by_hand.get(what) else { return false };
        *at >= since || past.listed.get(region).is_none_or(|listed| *listed < *at + SECOND_LOOK)
    }

    /// People or fate interfere for a while from now on.
    pub(crate) fn disturb(&self, a_while: Duration) {
        let until = self.elapsed() + a_while;
        let mut past = self.past();
        past.disturbed = past.disturbed.max(until);
    }

    /// An object that has not decoded for so long that controllers know of it.
    pub(crate) fn spoilt_long(&self) -> Option<&'static str> {
        let since = self.elapsed().checked_sub(LATELY)?;
        OBJECTS.into_iter().find(|object| {
            let long = self.past().spoilt.get(object).is_some_and(|at| *at <= since);
            long && self
                .kube
                .get("machineimages", NAMESPACE, object)
                .is_some_and(|o| o.to_string().contains(SPOILT_DATE))
        })
    }

    /// Disables the key of a region, or enables it.
    pub(crate) fn set_key(&self, region: &str, disabled: bool) {
        let key = SeedKey { region: region.into(), alias: Some(KEY.into()), disabled, ..Default::default() };
        self.expect("the key", self.aws.seed_key(key));
    }

    /// Everything in the cluster is gone, whatever finalizers hold it.
    pub(crate) fn wipe_cluster(&self) {
        let release = serde_json::json!({"metadata": {"finalizers": null}});
        for resource in ["machineimages", "leases", "events"] {
            for object in self.kube.list(resource, "") {
                let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
                let (namespace, name) = (text("namespace"), text("name"));
                // One of the two removes it, depending on whether it was being deleted.
                let _ = self.kube.merge_patch(resource, &namespace, &name, &release);
                let _ = self.kube.delete(resource, &namespace, &name);
            }
        }
    }
}
