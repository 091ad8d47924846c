//! How a story is drawn from a seed.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;

use crate::faults::copies_fail;
use crate::manifest::{Manifest, OBJECTS, REGIONS};
use crate::sagas;
use crate::story::{Act, ByHand, KubeFault, Moment, Nature, Story};

/// How long fate has its way: in most stories, in those that are brief, and in those in which what fails may fail for hours.
const LENGTH: Duration = Duration::from_mins(75);
const BRIEF: Duration = Duration::from_mins(15);
const LONG: Duration = Duration::from_hours(4);

impl Story {
    /// The story of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let length = if seed.is_multiple_of(32) { LONG } else { LENGTH };
        let mut manifests = OBJECTS.map(|object| Manifest::first(object, &mut rng));
        let mut moments: Vec<_> = manifests
            .iter()
            .map(|m| Moment { at: Duration::from_secs(rng.u64(..600)), act: Act::Apply(m.clone()) })
            .collect();
        moments.sort_by_key(|m| m.at);
        if Self::is_brief(seed) {
            return Self { seed, nature: Nature::draw(&mut rng), length: BRIEF, moments };
        }
        for at in times(&mut rng, length) {
            moments.extend(acts(&mut rng, &mut manifests).into_iter().map(|act| Moment { at, act }));
        }
        let nature = Nature::draw(&mut rng);
        if rng.bool() {
            let at = Duration::from_secs(rng.u64(1200..length.as_secs() - 600));
            moments.extend(sagas::draw(&mut rng, &mut manifests, at));
        }
        if rng.bool() {
            moments.extend(last_acts(&mut rng, &manifests, length));
        }
        moments.sort_by_key(|m| m.at);
        Self { seed, nature, length, moments }
    }
}

/// When something happens. In half of the stories much of it comes in bursts, since it is the second blow that finds a program
/// in the middle of something.
fn times(rng: &mut Rng, length: Duration) -> Vec<Duration> {
    let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut times: Vec<_> = (0..rng.usize(4..20)).map(|_| Duration::from_millis(rng.u64(600_000..length))).collect();
    times.sort();
    if rng.bool() {
        for later in 1..times.len() {
            let soon = times[later - 1] + Duration::from_millis(rng.u64(..90_000));
            if rng.bool() {
                times[later] = times[later].min(soon);
            }
        }
    }
    times
}

/// What happens at a moment, sometimes more than one thing.
fn acts(rng: &mut Rng, manifests: &mut [Manifest; 2]) -> Vec<Act> {
    match rng.u8(..100) {
        0..=4 => cleaning(rng, manifests),
        5 => blunder(rng, manifests),
        6 => disowning(rng, manifests),
        _ => vec![act(rng, manifests)],
    }
}

/// Somebody cleans up: the last edit, an image that goes by hand and a removal that is refused come with the deletion.
fn cleaning(rng: &mut Rng, manifests: &mut [Manifest; 2]) -> Vec<Act> {
    let which = rng.usize(..OBJECTS.len());
    let mut acts = Vec::new();
    if rng.bool() {
        manifests[which] = manifests[which].let_go(rng);
        acts.push(Act::Apply(manifests[which].clone()));
    }
    match rng.u8(..6) {
        0..=1 => acts.push(Act::ByHand(ByHand::Deregister, rng.usize(..64))),
        2 => acts.push(Act::ByHand(ByHand::DeregisterAll, which)),
        _ => {}
    }
    if rng.bool() {
        let operations = [
            "DeregisterImage",
            "DeleteSnapshot",
            "DeleteParameter",
            "CreateTags",
            "DescribeSnapshots",
            "GetParameters",
            "ListTagsForResource",
        ];
        let effects = [Effect::Deny, Effect::Throttle, Effect::DropReply];
        let refusal = Fault::new(effects[rng.usize(..3)].clone()).operation(operations[rng.usize(..operations.len())]);
        acts.push(Act::Aws(Box::new(refusal), a_while(rng)));
    }
    acts.push(Act::Delete(OBJECTS[which]));
    acts
}

/// Somebody deregisters an image by hand, and edits the manifest at the same time, in the belief that it is there.
fn blunder(rng: &mut Rng, manifests: &mut [Manifest; 2]) -> Vec<Act> {
    let manifest = &mut manifests[rng.usize(..OBJECTS.len())];
    if rng.bool() {
        *manifest = manifest.without_one(0, rng);
    } else {
        manifest.move_channel(rng);
    }
    vec![Act::ByHand(ByHand::Deregister, rng.usize(..64)), Act::Apply(manifest.clone())]
}

/// Somebody wants to keep an image that has just left the list, and takes the tag off that makes it amiops's.
fn disowning(rng: &mut Rng, manifests: &mut [Manifest; 2]) -> Vec<Act> {
    let manifest = &mut manifests[rng.usize(..OBJECTS.len())];
    *manifest = manifest.without_one(0, rng);
    vec![Act::Amid { calls: rng.u64(..16), what: ByHand::Disown, pick: rng.usize(..64) }, Act::Apply(manifest.clone())]
}

/// The last edit, and mostly a controller that was started anew after it: nothing that comes later hides what it leads to.
fn last_acts(rng: &mut Rng, manifests: &[Manifest; 2], length: Duration) -> Vec<Moment> {
    let which = rng.usize(..OBJECTS.len());
    let before = Duration::from_secs(rng.u64(..600));
    let at = length - before;
    let manifest = &manifests[which];
    let acts = match rng.u8(..8) {
        0..=1 => vec![Act::Apply(manifest.let_go(rng)), Act::Delete(OBJECTS[which])],
        2 => vec![Act::Apply(manifest.without_one(0, rng)), Act::Delete(OBJECTS[which])],
        3 => vec![Act::Apply(manifest.without_one(rng.u32(..2), rng))],
        4 => vec![Act::Apply(manifest.without_region(rng))],
        5..=6 => vec![Act::Apply(manifest.with_other_source(rng))],
        _ => vec![Act::Apply(manifest.edited(rng))],
    };
    let mut moments: Vec<_> = acts.into_iter().map(|act| Moment { at, act }).collect();
    if rng.u8(..3) != 0 {
        moments.push(Moment { at: at + before / 2, act: sagas::crash(rng) });
    }
    moments
}

fn a_while(rng: &mut Rng) -> Duration {
    Duration::from_secs([20, 300, 3600, 4 * 3600][rng.usize(..4)])
}

fn act(rng: &mut Rng, manifests: &mut [Manifest; 2]) -> Act {
    let which = rng.usize(..OBJECTS.len());
    let a_while = a_while(rng);
    let region = REGIONS[rng.usize(..REGIONS.len())];
    match rng.u8(..100) {
        0..=36 => {
            manifests[which] = manifests[which].edited(rng);
            Act::Apply(manifests[which].clone())
        }
        37 => Act::Delete(OBJECTS[which]),
        38 => Act::Request(OBJECTS[which]),
        39..=58 => Act::ByHand(by_hand(rng), rng.usize(..64)),
        59..=74 => Act::Aws(Box::new(fault(rng, region)), a_while),
        75..=76 => Act::KeyDisabled(region, a_while),
        77..=78 => Act::LateListing(Duration::from_secs(rng.u64(1..300)), a_while),
        79 => Act::ClockJump([-10_800, -600, -30, 30, 600, 10_800][rng.usize(..6)], a_while),
        80 => Act::Spoil(OBJECTS[which], a_while),
        // Shorter than what a controller may be behind, together with finding the way back.
        81..=86 => Act::Kube(kube_fault(rng), a_while.min(Duration::from_mins(8))),
        87..=94 => Act::Crash {
            calls: rng.u64(..12),
            after_commit: rng.bool(),
            restart_after: Duration::from_secs([1, 30, 1200][rng.usize(..3)]),
        },
        95..=96 if rng.bool() => Act::Rollout,
        95..=96 => Act::SecondController(a_while),
        97 => Act::ClusterLost,
        98 => regret(rng, &manifests[which]),
        _ => Act::Request(OBJECTS[which]),
    }
}

/// What is dropped here would be pruned at once.
fn regret(rng: &mut Rng, manifest: &Manifest) -> Act {
    Act::Regret { edit: manifest.without_one(0, rng), instead: manifest.clone(), calls: rng.u64(..12) }
}

fn by_hand(rng: &mut Rng) -> ByHand {
    use ByHand::*;
    let all = [
        ChangeTag,
        ChangeDate,
        RemoveTags,
        UntagSnapshot,
        Deregister,
        Launch,
        Launch,
        Launch,
        Stop,
        Terminate,
        MakeTemplate,
        CopyWithTags,
        OverwriteParameter,
        DeleteParameter,
        Protect,
        Share,
        Disable,
    ];
    match rng.u8(..60) {
        0 => LoseSource,
        1 => ChangeSource,
        2..=3 => GrabParameter,
        _ => all[rng.usize(..all.len())],
    }
}

fn kube_fault(rng: &mut Rng) -> KubeFault {
    use KubeFault::*;
    [DropBefore, DropAfter, Slow, Stale, Down, Cut][rng.usize(..6)]
}

/// How many milliseconds late an answer comes; some come when nobody waits any more.
fn delay(rng: &mut Rng) -> u32 {
    match rng.u32(100..30_000) {
        25_000.. => 600_000,
        millis => millis,
    }
}

/// AWS has trouble of its own.
fn out_of_service() -> Effect {
    Effect::Error { code: "ServiceUnavailable".into(), message: "try again later".into(), status: 503 }
}

fn fault(rng: &mut Rng, region: &str) -> Fault {
    let operations = [
        "CopyImage",
        "CopyImage",
        "DescribeImages",
        "DescribeSnapshots",
        "DescribeImageReferences",
        "CreateTags",
        "DeregisterImage",
        "DeleteSnapshot",
        "PutParameter",
        "PutParameter",
        "DeleteParameter",
        "GetParameters",
        "DescribeImageAttribute",
        "ListTagsForResource",
        "GetCallerIdentity",
        "*",
    ];
    let operation = operations[rng.usize(..operations.len())];
    let effect = match rng.u8(..10) {
        0..=1 => Effect::Throttle,
        2 => Effect::Delay(delay(rng)),
        3 => Effect::DropRequest,
        4 => Effect::DropReply,
        5 => [Effect::DropReply, Effect::InternalError][rng.usize(..2)].clone(),
        6..=7 => Effect::Deny,
        8 if rng.bool() => out_of_service(),
        8 => Effect::RegionDown,
        _ => {
            return copies_fail().region(region);
        }
    };
    let fault = Fault::new(effect).operation(operation);
    let fault = if rng.u8(..4) == 0 { fault } else { fault.region(region) };
    if rng.bool() { fault.times(rng.u32(1..6)) } else { fault }
}
