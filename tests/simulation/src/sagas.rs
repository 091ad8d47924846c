//! Several steps, one soon after the other, that belong together. Drawn one by one, they would seldom meet.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;

use crate::faults::copies_fail;
use crate::manifest::{Manifest, OBJECTS};
use crate::story::{Act, Moment};

/// A saga, from a moment on.
pub(crate) fn draw(rng: &mut Rng, manifests: &mut [Manifest; 2], at: Duration) -> Vec<Moment> {
    let manifest = &mut manifests[rng.usize(..OBJECTS.len())];
    let mut saga = Saga { at, moments: Vec::new() };
    match rng.u8(..20) {
        0..=3 => saga.renewal(rng, manifest),
        4..=9 => saga.leaving(rng, manifest),
        10..=15 => saga.haste(rng, manifest),
        16..=17 => saga.failure(rng, manifest),
        18 => saga.twins(rng, manifest),
        _ => saga.crowd(rng, manifest),
    }
    saga.moments
}

/// What has been told so far, and when the next step comes.
struct Saga {
    at: Duration,
    moments: Vec<Moment>,
}

impl Saga {
    fn step(&mut self, act: Act) {
        self.moments.push(Moment { at: self.at, act });
    }

    fn apply(&mut self, manifest: &mut Manifest, edited: Manifest) {
        *manifest = edited;
        self.step(Act::Apply(manifest.clone()));
    }

    /// Time passes: no more than seconds, or minutes.
    fn wait(&mut self, rng: &mut Rng) {
        let longest = [5_000, 60_000, 900_000][rng.usize(..3)];
        self.at += Duration::from_millis(rng.u64(..longest));
    }

    /// A region is left, often, and then all versions are replaced by others: what is in the former region is of versions that
    /// have left the list.
    fn renewal(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        if rng.u8(..3) != 0 {
            self.apply(manifest, manifest.without_region(rng));
            self.wait(rng);
        }
        let renewed = manifest.renewed(rng);
        let new = renewed.versions.iter().filter(|v| !manifest.lists(&v.name()));
        let both = Manifest {
            versions: manifest.versions.iter().chain(new).cloned().collect(),
            keep_last: manifest.keep_last,
            ..renewed.clone()
        };
        self.apply(manifest, both);
        self.at += Duration::from_mins(rng.u64(1..40));
        self.apply(manifest, renewed);
    }

    /// A region is left, and cannot be reached soon after, or is forgotten by a controller that starts anew. Often the object is
    /// deleted then.
    fn leaving(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let left = manifest.without_region(rng);
        let gone = manifest.regions.keys().copied().find(|region| !left.regions.contains_key(region));
        self.apply(manifest, left);
        for _ in 0..rng.usize(1..4) {
            self.wait(rng);
            match (rng.u8(..4), gone) {
                (0, Some(gone)) => {
                    let down = Fault::new(Effect::RegionDown).operation("*").region(gone);
                    self.step(Act::Aws(Box::new(down), Duration::from_mins(rng.u64(2..40))));
                }
                (1, _) => self.step(crash(rng)),
                (2, _) => self.apply(manifest, manifest.with_other_source(rng)),
                _ => self.apply(manifest, manifest.without_one(0, rng)),
            }
        }
        if rng.bool() {
            self.wait(rng);
            self.delete(rng, manifest);
        }
    }

    /// Something is begun, in bad times mostly, and the object is deleted before it can be done.
    fn haste(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let trouble = rng.u8(..5);
        match trouble {
            0 => self.step(Act::LateListing(Duration::from_secs(rng.u64(60..400)), Duration::from_mins(15))),
            1 => {
                let lost = Fault::new(Effect::DropReply).operation("CopyImage").times(rng.u32(1..4));
                self.step(Act::Aws(Box::new(lost), Duration::from_mins(5)));
            }
            2 => self.step(crash(rng)),
            3 => self.step(refusal(rng)),
            _ => {}
        }
        let begun = match rng.u8(..3) {
            0 => manifest.edited(rng),
            1 => manifest.renewed(rng),
            _ => manifest.with_new_channel(),
        };
        self.apply(manifest, begun);
        self.wait(rng);
        if trouble == 0 || rng.u8(..3) == 0 {
            self.step(crash(rng));
            self.wait(rng);
        }
        self.delete(rng, manifest);
    }

    /// A version cannot be copied, and is given up together with one that can.
    fn failure(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let good = manifest.with_free_version(rng);
        self.apply(manifest, good.clone());
        self.at += Duration::from_mins(rng.u64(5..50));
        self.step(Act::Aws(Box::new(copies_fail()), Duration::from_mins(10)));
        self.apply(manifest, good.with_free_version(rng));
        self.wait(rng);
        let given_up: Vec<_> = manifest.versions.iter().rev().take(2).map(|v| v.number).collect();
        let mut left = manifest.clone();
        left.versions.retain(|v| !given_up.contains(&v.number) || left.channels.values().any(|to| *to == v.number));
        left.keep_last = Some(1);
        self.apply(manifest, left);
    }

    /// Two versions name one source, and one or both hand it over.
    fn twins(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        self.apply(manifest, manifest.with_twin(rng));
        for _ in 0..rng.usize(..3) {
            self.wait(rng);
            match rng.bool() {
                true => self.apply(manifest, manifest.handed_over_or_taken_back(rng)),
                false => self.apply(manifest, manifest.without_one(0, rng)),
            }
        }
    }

    /// Many versions come, and go at once.
    fn crowd(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        self.apply(manifest, manifest.with_crowd());
        self.at += Duration::from_mins(rng.u64(2..40));
        match rng.bool() {
            true => self.apply(manifest, manifest.without_crowd()),
            false => self.delete(rng, manifest),
        }
    }

    fn delete(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        if rng.bool() {
            self.apply(manifest, manifest.let_go(rng));
            self.wait(rng);
        }
        self.step(Act::Delete(manifest.object));
    }
}

/// AWS refuses for some time what is needed to let an object go, or does not answer.
fn refusal(rng: &mut Rng) -> Act {
    let operations = ["CreateTags", "GetParameters", "DescribeSnapshots", "DescribeImages", "PutParameter"];
    let effects = [Effect::Deny, Effect::DropReply, Effect::RegionDown];
    let refusal = Fault::new(effects[rng.usize(..3)].clone()).operation(operations[rng.usize(..5)]);
    Act::Aws(Box::new(refusal), Duration::from_mins(rng.u64(2..30)))
}

/// The controller dies soon, and is there again at once.
pub(crate) fn crash(rng: &mut Rng) -> Act {
    Act::Crash { calls: rng.u64(..12), after_commit: rng.bool(), restart_after: Duration::from_secs(1) }
}
