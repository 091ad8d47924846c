//! Sagas of channels and what they publish.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;

use super::Saga;
use crate::manifest::Manifest;
use crate::story::Act;

impl Saga {
    /// A parameter is written, and whether SSM has it is not known for a while: the answer is late, or nobody can read it.
    pub(super) fn doubt(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let (operation, effect) = match rng.u8(..4) {
            0 => ("PutParameter", Effect::Delay(rng.u32(11_000..60_000))),
            1 => ("PutParameter", not_told(rng)),
            _ => ("GetParameters", [Effect::Throttle, Effect::Deny, Effect::DropReply][rng.usize(..3)].clone()),
        };
        let doubt = Act::Aws(Box::new(Fault::new(effect).operation(operation)), Duration::from_secs(rng.u64(5..60)));
        let published = manifest.with_new_channel();
        if operation == "PutParameter" {
            self.step(doubt);
            self.apply(manifest, published);
        } else {
            self.apply(manifest, published);
            self.at += Duration::from_millis(rng.u64(..5_000));
            self.step(doubt);
        }
    }

    /// A channel moves or comes, and before SSM has checked the image it moves on or back, the version leaves the list, or the object
    /// is deleted with its images. Perhaps no answer comes to what is written.
    pub(super) fn fickle(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        if rng.u8(..3) == 0 {
            let lost = Fault::new(not_told(rng)).operation("PutParameter");
            self.step(Act::Aws(Box::new(lost), Duration::from_secs(rng.u64(5..60))));
        }
        if rng.u8(..3) == 0 {
            self.give_up(rng, manifest);
            return;
        }
        for _ in 0..rng.usize(1..3) {
            let mut moved = manifest.with_new_channel();
            moved.move_channel(rng);
            self.apply(manifest, moved);
            self.at += Duration::from_millis(rng.u64(..20_000));
        }
        match rng.u8(..3) {
            0 => self.apply(manifest, manifest.renewed(rng)),
            1 => {
                self.apply(manifest, Manifest { delete: true, ..manifest.clone() });
                self.step(Act::Delete(manifest.object));
            }
            _ => {
                let mut moved = manifest.clone();
                moved.move_channel(rng);
                self.apply(manifest, moved);
            }
        }
    }

    /// A channel moves to a version that none points to, and is moved back soon after, when that version is taken off the list.
    fn give_up(&mut self, rng: &mut Rng, manifest: &mut Manifest) {
        let is_free = |number: &usize| !manifest.channels.values().any(|to| to == number);
        let free: Vec<_> = manifest.versions.iter().map(|version| version.number).filter(is_free).collect();
        let Some(given_up) = rng.choice(free) else { return };
        let mut back = Manifest { keep_last: Some(0), ..manifest.clone() };
        back.versions.retain(|version| version.number != given_up);
        let mut moved = manifest.clone();
        moved.channels.insert("prod", given_up);
        self.apply(manifest, moved);
        self.at += Duration::from_millis(rng.u64(..20_000));
        self.apply(manifest, back);
    }
}

/// What is done, and no answer tells so. Drawn from a copy, so that what comes later stays the same.
fn not_told(rng: &Rng) -> Effect {
    if rng.clone().bool() { Effect::DropReply } else { Effect::InternalError }
}
