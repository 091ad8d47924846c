//! Several steps, one soon after the other, that belong together. Drawn one by one, they would seldom meet.

mod channels;

use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;

use crate::faults::copies_fail;
use crate::manifest::{FOREIGN, Manifest, OBJECTS, source_id};
use crate::story::{Act, ByHand, Moment};

/// A saga, from a moment on.
pub(crate) fn draw(rng: &mut Rng, manifests: &mut [Manifest; 2], at: Duration) -> Vec<Moment> {
    let mut saga = Saga { at, moments: Vec::new() };
    if rng.u8(..24) == 0 {
        saga.rivals(rng, manifests);
        return saga.moments;
    }
    let manifest = &mut manifests[rng.usize(..OBJECTS.len())];
    match rng.u8(..42) {
        0..=3 => saga.renewal(rng, manifest),
        4..=9 => saga.leaving(rng, manifest),
        10..=14 => saga.haste(rng, manifest),
        15..=17 => saga.hidden(rng, manifest),
        18..=19 => saga.failure(rng, manifest),
        20..=21 => saga.twins(rng, manifest),
        22 | 39 => saga.remains(rng),
        23 => saga.return_of(rng, manifest),
        24..=26 => saga.doubt(rng, manifest),
        27..=28 => saga.ageing(rng, manifest),
        29 => saga.handover(rng, manifest),
        30 => saga.crowd(rng, manifest),
        31..=33 => saga.amid(rng, manifest),
        34 => saga.swap(rng, manifest),
        35 => saga.overtaken(rng, manifest),
        36..=38 => saga.fickle(rng, manifest),
        _ => saga.eager(rng, manifest),
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
        match rng.u8(..4) {
            0 => {
                let lost = Fault::new(Effect::DropReply).operation("CopyImage").times(rng.u32(1..4));
                self.step(Act::Aws(Box::new(lost), Duration::from_mins(5)));
            }
            1 => self.step(crash(rng)),
            2 => self.step(refusal(rng)),
            _ => {}
        }
        let begun = match rng.u8(..3) {
            0 => manifest.edited(rng),
            1 => manifest.renewed(rng),
            _ => manifest.with_new_channel(),
        };
        self.apply(manifest, begun);
        self.wait(rng);
        if rng.u8(..3) == 0 {
            self.step(crash(rng));
            self.wait(rng);
        }
        self.delete(rng, manifest);
    }

    /// Copies are begun that EC2 lists late, and nobody hears of them: the controller dies, or no answer comes or none that tells, and what
    /// is asked for again may be refused. Before they are listed the object is deleted with its images, a source is handed over or a region left,
    /// perhaps before a deletion: who goes by what is listed knows nothing of them.
    fn hidden(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        self.step(Act::LateListing(Duration::from_secs(rng.u64(120..600)), Duration::from_mins(15)));
        if rng.u8(..3) == 0 {
            let effect = if rng.bool() { Effect::DropReply } else { Effect::InternalError };
            let lost = Fault::new(effect).operation("CopyImage");
            if rng.bool() {
                // What is asked for again is refused.
                let a_while = Duration::from_secs(rng.u64(5..40));
                let denied = Fault::new(Effect::Deny).operation("CopyImage");
                self.step(Act::Aws(Box::new(lost), a_while));
                let at = self.at + a_while;
                self.moments.push(Moment { at, act: Act::Aws(Box::new(denied), Duration::from_mins(20)) });
            } else {
                self.step(Act::Aws(Box::new(lost), Duration::from_mins(rng.u64(1..10))));
            }
        } else {
            let restart_after = Duration::from_secs(30);
            self.step(Act::Crash { calls: rng.u64(2..16), after_commit: rng.bool(), restart_after });
        }
        let begun = Manifest { delete: true, ..manifest.with_free_version(rng) };
        self.apply(manifest, begun);
        self.at += Duration::from_millis(rng.u64(..40_000));
        match rng.u8(..6) {
            0 => self.apply(manifest, manifest.with_last_handed_over()),
            1 => {
                self.apply(manifest, manifest.without_region(rng));
                // Drawn from a copy, so that what comes later stays the same.
                let mut rng = rng.clone();
                if rng.bool() {
                    self.wait(&mut rng);
                    self.step(Act::Delete(manifest.object));
                }
            }
            _ => self.step(Act::Delete(manifest.object)),
        }
    }

    /// An image goes by hand without its snapshots, and somebody keeps one of them just before amiops would delete it, or what EC2 says
    /// to that is lost.
    fn remains(&mut self, rng: &mut Rng) {
        self.step(Act::ByHand(ByHand::Deregister, rng.usize(..32) * 2 + 1));
        self.at += Duration::from_mins(rng.u64(50..65));
        if rng.bool() {
            let lost = Fault::new(Effect::DropReply).operation("DeleteSnapshot");
            self.step(Act::Aws(Box::new(lost), Duration::from_mins(30)));
            return;
        }
        self.step(Act::ByHand(ByHand::UntagSnapshot, rng.usize(..16) * 4 + 1));
    }

    /// A version leaves the list, and is back while EC2 still shows the image that went.
    fn return_of(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let before = manifest.clone();
        self.apply(manifest, manifest.without_one(0, rng));
        self.at += Duration::from_millis(rng.u64(..60_000));
        self.apply(manifest, before);
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
        match rng.bool() {
            true => self.apply(manifest, left),
            false => self.apply(manifest, manifest.without_region(rng)),
        }
    }

    /// AWS is slow, so that the controller is in the middle of a pass when it is told to stop.
    fn handover(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let slow = Fault::new(Effect::Delay(rng.u32(1_000..8_000))).operation("*");
        self.step(Act::Aws(Box::new(slow), Duration::from_mins(5)));
        let begun = if rng.bool() { manifest.with_free_version(rng) } else { manifest.without_one(0, rng) };
        self.apply(manifest, begun);
        self.at += Duration::from_millis(rng.u64(..20_000));
        self.step(Act::Rollout);
    }

    /// Versions pile up, and all leave the list but those that channels point to: of the others retention keeps the newest.
    fn ageing(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let all = (0..3).fold(manifest.clone(), |manifest, _| manifest.with_free_version(rng));
        self.apply(manifest, Manifest { keep_last: Some(rng.u32(1..3)), ..all });
        self.at += Duration::from_mins(rng.u64(2..40));
        let mut left = manifest.clone();
        left.versions.retain(|v| left.channels.values().any(|to| *to == v.number));
        self.apply(manifest, left);
    }

    /// Two versions name one source, and one or both hand it over, or a version that hands its source over gets another name; perhaps
    /// while STS does not tell whose account it is.
    fn twins(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        if rng.bool() {
            // What a process has to ask once is asked in bad times.
            let effect = [Effect::Deny, Effect::DropReply, Effect::Throttle][rng.usize(..3)].clone();
            let unknown = Fault::new(effect).operation("GetCallerIdentity");
            self.step(Act::Aws(Box::new(unknown), Duration::from_mins(rng.u64(1..10))));
            self.step(crash(rng));
        }
        match rng.u8(..3) {
            0 => self.apply(manifest, manifest.renamed(rng)),
            _ => self.apply(manifest, manifest.with_twin(rng)),
        }
        for _ in 0..rng.usize(..3) {
            self.wait(rng);
            match rng.bool() {
                true => self.apply(manifest, manifest.handed_over_or_taken_back(rng)),
                false => self.apply(manifest, manifest.without_one(0, rng)),
            }
        }
    }

    /// Two objects want the same new source handed over, at once or one soon after the other.
    fn rivals(&mut self, rng: &mut Rng, manifests: &mut [Manifest; 2]) {
        let is_new = |number: &usize| manifests.iter().all(|manifest| manifest.lacks(*number));
        let new: Vec<_> = (0..FOREIGN).filter(is_new).collect();
        let Some(number) = rng.choice(new) else { return };
        let source = source_id(OBJECTS[rng.usize(..OBJECTS.len())], number);
        for manifest in manifests {
            self.apply(manifest, manifest.with_adopted(number, &source));
            self.at += Duration::from_millis([0, 0, rng.u64(..5_000)][rng.usize(..3)]);
        }
    }

    /// While amiops is about to do something, somebody does something by hand about it: the parameter that is not there yet is made,
    /// or what is about to go changes.
    fn amid(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let (what, edited) = match rng.u8(..6) {
            0..=2 => (ByHand::GrabParameter, manifest.with_new_channel()),
            3 => (ByHand::UntagSnapshot, manifest.without_one(0, rng)),
            4 => (ByHand::Deregister, manifest.without_one(0, rng)),
            _ => (ByHand::Protect, manifest.without_one(0, rng)),
        };
        self.step(Act::Amid { calls: rng.u64(..12), what, pick: rng.usize(..64) });
        self.apply(manifest, edited);
    }

    /// All versions are replaced while they are copied to a region that has no others yet, and the copies end while amiops is about to
    /// let them go.
    fn overtaken(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let regions = manifest.regions.clone();
        self.apply(manifest, manifest.without_region(rng).renewed(rng));
        self.at += Duration::from_mins(rng.u64(20..60));
        self.apply(manifest, Manifest { regions, ..manifest.clone() });
        self.at += Duration::from_millis(rng.u64(..60_000));
        self.step(Act::CopiesEnd { calls: rng.u64(..24) });
        self.apply(manifest, manifest.renewed(rng));
    }

    /// A source is handed over or taken back, and somebody asks for pass after pass: each lists the images anew, while EC2 may not
    /// show the tags yet.
    fn eager(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        self.apply(manifest, manifest.handed_over_or_taken_back(rng));
        for _ in 0..3 {
            self.at += Duration::from_millis(rng.u64(500..6_000));
            self.step(Act::Request(manifest.object));
        }
    }

    /// A new version gets another source while it is being copied to some regions, and is asked for in one more.
    fn swap(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let before = manifest.clone();
        self.apply(manifest, manifest.without_region(rng).with_free_version(rng));
        self.at += Duration::from_millis(rng.u64(..120_000));
        let swapped = Manifest { regions: before.regions, ..manifest.with_other_source_of_last(rng) };
        self.apply(manifest, swapped);
    }

    /// Many versions come, perhaps while copies are not answered, and go at once.
    fn crowd(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        if rng.bool() {
            let effect = [Effect::RegionDown, Effect::DropReply, Effect::Throttle][rng.usize(..3)].clone();
            let trouble = Fault::new(effect).operation("CopyImage");
            self.step(Act::Aws(Box::new(trouble), Duration::from_mins(rng.u64(1..10))));
        }
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
    let operations =
        ["CreateTags", "GetParameters", "ListTagsForResource", "DescribeSnapshots", "DescribeImages", "PutParameter"];
    let effects = [Effect::Deny, Effect::DropReply, Effect::RegionDown];
    let refusal = Fault::new(effects[rng.usize(..3)].clone()).operation(operations[rng.usize(..operations.len())]);
    Act::Aws(Box::new(refusal), Duration::from_mins(rng.u64(2..30)))
}

/// The controller dies soon, and is there again at once.
pub(crate) fn crash(rng: &mut Rng) -> Act {
    Act::Crash { calls: rng.u64(..12), after_commit: rng.bool(), restart_after: Duration::from_secs(1) }
}
