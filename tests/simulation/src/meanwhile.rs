//! What changes just when amiops is about to act on it, in a quiet world.

use ec2sim::{Effect, Fault};
use fastrand::Rng;
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::epilogue::SOON;
use crate::manifest::Manifest;
use crate::obstacle::{LISTING, STANDS, Scene};
use crate::world::{Thought, When};
use crate::{ending, hands};

/// What copies take that are to be under way for a while.
const LONG: SignedDuration = SignedDuration::from_mins(20);

impl Scene<'_> {
    /// All versions are replaced while they are copied to a region that has no other images. When it has been asked who uses them, before
    /// they are removed, their copies end. Then the last one stays.
    pub(crate) async fn end_copies(&self, manifest: &Manifest, number: u64) {
        let renewed = manifest.renewed(&mut Rng::with_seed(number));
        self.empty_region(manifest).await;
        let aws = &self.world.aws;
        aws.configure(|config| config.copy_time = LONG);
        self.world.apply(manifest);
        sleep(SOON).await;
        let denied = aws.add_fault(Fault::new(Effect::Deny).operation("CopyImage").region(self.region));
        let when = When::Operations(vec!["CopyImage", "DescribeImageReferences"]);
        self.world.past().second_thought = Some((when, Thought::CopiesEnd));
        self.world.apply(&renewed);
        sleep(SOON).await;
        self.world.past().second_thought = None;
        aws.clear_fault(denied);
        let excused = ending::excused(&self.world.state(), &renewed);
        if self.world.manifest(manifest.object).as_ref() == Some(&renewed) && !excused {
            sleep(STANDS + SOON).await;
            self.check_arrived(&renewed);
        }
    }

    /// The object leaves the region, and somebody deregisters what it had there.
    async fn empty_region(&self, manifest: &Manifest) {
        let mut without = manifest.clone();
        without.regions.remove(self.region);
        self.world.apply(&without);
        sleep(SOON).await;
        let state = self.world.state();
        for image in state.images.iter().filter(|i| i.region == self.region && i.is_of(manifest.object)) {
            hands::deregister(self.by_hand, self.region, &image.id).await;
        }
        sleep(LISTING + SOON).await;
    }
}
