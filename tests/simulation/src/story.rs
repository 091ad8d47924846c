//! A story: what people and fate do, and when.

use std::time::Duration;

use ec2sim::{Fault, ReplayDead};
use fastrand::Rng;

use crate::manifest::Manifest;
use crate::obstacle;

/// What happens at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Somebody applies a manifest.
    Apply(Manifest),
    /// Somebody drops a version, and takes that back after so many calls of the controller: in the middle of a pass, perhaps.
    Regret { edit: Manifest, instead: Manifest, calls: u64 },
    /// Somebody does something by hand after so many calls of the controller: in the middle of a pass, perhaps.
    Amid { calls: u64, what: ByHand, pick: usize },
    /// All copies that are under way end after so many calls of the controller: in the middle of a pass, perhaps.
    CopiesEnd { calls: u64 },
    /// Somebody deletes an object.
    Delete(&'static str),
    /// Somebody does something to an image or parameter by hand; the number picks which.
    ByHand(ByHand, usize),
    /// AWS misbehaves for a while.
    Aws(Box<Fault>, Duration),
    /// The key of a region is disabled for a while.
    KeyDisabled(&'static str, Duration),
    /// EC2 lists late for a while.
    LateListing(Duration, Duration),
    /// The Kubernetes API misbehaves for a while.
    Kube(KubeFault, Duration),
    /// The controller is killed at its n-th call from now, before or after AWS has done it, and started again later.
    Crash { calls: u64, after_commit: bool, restart_after: Duration },
    /// A second controller runs beside the first for a while; its clock may be off.
    SecondController(Duration),
    /// The controller is told to stop, and a new one is started at once.
    Rollout,
    /// The cluster is lost and made anew from the same manifests.
    ClusterLost,
    /// The controllers' clocks jump by so many seconds, and are put right a while later.
    ClockJump(i32, Duration),
    /// An object does not decode for a while.
    Spoil(&'static str, Duration),
    /// Somebody asks for a pass now.
    Request(&'static str),
}

impl Act {
    /// What sort of act it is, to be counted.
    pub(crate) fn sort(&self) -> String {
        let word = |text: String| text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned();
        match self {
            Self::ByHand(what, _) => format!("by hand {what:?}"),
            Self::Aws(fault, _) => format!("AWS {}", word(format!("{:?}", fault.effect))),
            Self::Kube(fault, _) => format!("Kubernetes {fault:?}"),
            other => word(format!("{other:?}")),
        }
    }

    /// The act in a line.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Apply(m) => format!("apply {}", m.to_json()["spec"]),
            Self::Regret { edit, calls, .. } => {
                format!("apply {}, and take it back after {calls} calls", edit.to_json()["spec"])
            }
            Self::ByHand(what, pick) => format!("by hand: {what:?} ({pick})"),
            Self::Aws(fault, a_while) => format!(
                "{:?} of {:?} in {:?}, {:?} times, for {a_while:?}",
                fault.effect, fault.operation, fault.region, fault.times
            ),
            other => format!("{other:?}"),
        }
    }
}

/// What people do by hand in AWS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ByHand {
    ChangeTag,
    ChangeDate,
    ChangeSource,
    RemoveTags,
    /// Takes an image that is about to go out of amiops's hands.
    Disown,
    UntagSnapshot,
    Deregister,
    /// All images of an object, without their snapshots.
    DeregisterAll,
    Launch,
    Stop,
    Terminate,
    MakeTemplate,
    CopyWithTags,
    OverwriteParameter,
    /// Makes the parameter of a channel, which is not there yet.
    GrabParameter,
    DeleteParameter,
    Protect,
    Share,
    Disable,
    LoseSource,
}

/// How the Kubernetes API misbehaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum KubeFault {
    /// Requests are not executed.
    DropBefore,
    /// Requests are executed, but not answered.
    DropAfter,
    /// Answers take long.
    Slow,
    /// Answers come from an old state.
    Stale,
    /// Everything answers 503.
    Down,
    /// Watches are cut, and history compacted.
    Cut,
}

/// A moment of a story.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// How AWS is in a story.
#[derive(Clone, Debug)]
pub(crate) struct Nature {
    pub(crate) copy_time: Duration,
    pub(crate) parameter_delay: Duration,
    pub(crate) stale_listing: Duration,
    pub(crate) name_linger: Duration,
    pub(crate) late_tags: Duration,
    pub(crate) replay_dead: ReplayDead,
    pub(crate) request_limits: bool,
    pub(crate) page: usize,
    pub(crate) begins_empty: bool,
    pub(crate) bare_pending: bool,
}

impl Nature {
    /// An AWS that is quick and holds no surprises.
    pub(crate) fn quick() -> Self {
        Self {
            copy_time: Duration::from_secs(5),
            parameter_delay: Duration::ZERO,
            stale_listing: Duration::ZERO,
            name_linger: Duration::ZERO,
            late_tags: Duration::ZERO,
            replay_dead: ReplayDead::SameId,
            request_limits: false,
            page: 1000,
            begins_empty: false,
            bare_pending: false,
        }
    }

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut seconds = |choices: [u64; 4]| Duration::from_secs(choices[rng.usize(..4)]);
        let mut nature = Self {
            copy_time: seconds([5, 120, 600, 1800]),
            parameter_delay: seconds([0, 2, 30, 300]),
            stale_listing: seconds([0, 0, 5, 60]),
            name_linger: seconds([0, 0, 0, 300]),
            late_tags: seconds([0, 0, 2, 20]),
            replay_dead: [ReplayDead::SameId, ReplayDead::NewCopy, ReplayDead::Mismatch][rng.usize(..3)],
            request_limits: rng.bool(),
            ..Self::quick()
        };
        (nature.page, nature.begins_empty) = match rng.u8(..8) {
            0 => (2, false),
            1 => (1000, true),
            _ => (1000, false),
        };
        nature.bare_pending = rng.bool();
        nature
    }
}

/// The seeds of brief stories, by what is left when they are divided by 36. No seed that ever failed is among them.
const BRIEF: [u64; 3] = [4, 12, 17];
/// How far apart the obstacles of a brief story are: they have little in common then.
const APART: u64 = 11;

/// What comes when the world is quiet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Epilogue {
    /// More is asked for.
    More,
    /// Something stands in the way of an object for a while; the number picks what.
    Obstacle(u64),
    /// Likewise of one object, and then of the other.
    Obstacles([u64; 2]),
}

/// A story.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) nature: Nature,
    /// How long fate has its way; after that the world falls quiet.
    pub(crate) length: Duration,
    pub(crate) moments: Vec<Moment>,
}

impl Story {
    /// Whether controllers stand for election: where there are two, and in some others. Renewing costs much over many hours.
    pub(crate) fn elects(&self) -> bool {
        let two = self.moments.iter().any(|m| matches!(m.act, Act::SecondController(_) | Act::Rollout));
        two || self.seed.is_multiple_of(8)
    }

    /// How many seconds the clock of the second controller is off: longer than a lease lasts, where it is.
    pub(crate) fn second_is_off(&self) -> i64 {
        [0, -3600, 3600][(self.seed / 8 % 3) as usize]
    }

    /// Whether the story may end as soon as everything has arrived: most may, since waiting takes time.
    pub(crate) fn may_end_early(&self) -> bool {
        !self.seed.is_multiple_of(16)
    }

    /// Whether there is an object in another namespace.
    pub(crate) fn has_neighbour(&self) -> bool {
        self.seed % 6 == 5
    }

    /// What comes when the world is quiet: in some stories only, since it takes time.
    pub(crate) fn epilogue(&self) -> Option<Epilogue> {
        let brief = BRIEF.iter().position(|rest| self.seed % 36 == *rest);
        match (brief, self.seed % 12) {
            (Some(which), _) => {
                let first = self.seed / 36 * 3 + which as u64;
                let mut rng = Rng::with_seed(self.seed);
                Some(Epilogue::Obstacles([first, first + APART].map(|which| obstacle::number(which, &mut rng))))
            }
            (_, 2 | 7) => Some(Epilogue::Obstacle(self.seed / 6)),
            (_, 1) => Some(Epilogue::More),
            _ => None,
        }
    }

    /// Whether the story of a seed is brief: objects are made, and what matters comes when the world is quiet.
    pub(crate) fn is_brief(seed: u64) -> bool {
        BRIEF.contains(&(seed % 36))
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.nature)?;
        self.moments.iter().try_for_each(|m| writeln!(f, "  {} {}", crate::trace::clock(m.at), m.act.describe()))
    }
}
