//! Objects that are deleted in a quiet world, at a bad moment.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::epilogue::{SOON, now};
use crate::faults::copies_fail;
use crate::manifest::{Manifest, OBJECTS};
use crate::mishaps::LATE;
use crate::obstacle::{STANDS, Scene};
use crate::state::Image;
use crate::{asked, ending};

impl Scene<'_> {
    /// An object is deleted with its images, of which there are many, while each answer takes long; so it may when they are made.
    pub(crate) async fn delete_slowly(&self, manifest: &Manifest, number: u64) {
        let manifest = Manifest { delete: true, ..manifest.with_crowd() };
        let slow = || self.world.aws.add_fault(Fault::new(Effect::Delay(8_000)).operation("*"));
        let early = number.is_multiple_of(2).then(slow);
        self.world.apply(&manifest);
        sleep(SOON + self.aws_takes).await;
        let slow = early.unwrap_or_else(slow);
        self.delete(&manifest).await;
        self.world.aws.clear_fault(slow);
    }

    /// An object is deleted with its images when SSM still checks what a new channel has just published.
    pub(crate) async fn delete_unshown(&self, manifest: &Manifest) {
        let manifest = Manifest { delete: true, ..manifest.with_new_channel() };
        self.world.aws.configure(|config| config.parameter_delay = LATE);
        self.world.apply(&manifest);
        sleep(Duration::from_secs(90)).await;
        self.delete(&manifest).await;
    }

    /// A copy is made, and nobody hears of it: the answer does not come or does not tell, and what is asked for again may be refused. EC2
    /// lists it late, and meanwhile the object is deleted with its images. No copies to other regions keep it. An attempt before it may
    /// have failed under another name, which EC2 lists once more.
    pub(crate) async fn hide_copy(&self, manifest: &Manifest, number: u64) {
        let aws = &self.world.aws;
        let mut manifest = Manifest { delete: true, ..manifest.with_free_version(&mut Rng::with_seed(number)) };
        let is_second = number / 6 % 2 == 1;
        if is_second {
            if !self.fail_first(&manifest).await {
                return;
            }
            manifest.rename_images();
        }
        aws.configure(|config| config.late_listing = LATE);
        let on_copies = |effect| Fault::new(effect).operation("CopyImage");
        let here = |effect| on_copies(effect).region(self.region);
        let first = [Effect::DropReply, Effect::InternalError][(number % 2) as usize].clone();
        let then = [Effect::Throttle, Effect::Deny, first.clone()][(number / 2 % 3) as usize].clone();
        let faults = [here(first).times(1), here(then), on_copies(Effect::Deny)].map(|fault| aws.add_fault(fault));
        self.world.apply(&manifest);
        if is_second {
            self.until_image(&manifest, |image| image.state != "failed").await;
            // A pass over another object has the region listed anew.
            OBJECTS
                .into_iter()
                .filter(|other| *other != manifest.object)
                .for_each(|other| drop(self.world.request(other)));
        }
        sleep(Duration::from_secs(40)).await;
        for fault in faults {
            aws.clear_fault(fault);
        }
        self.delete(&manifest).await;
    }

    /// The first copy of the last version to the region fails, and there is none to others. The answer is whether it came to that.
    async fn fail_first(&self, manifest: &Manifest) -> bool {
        let aws = &self.world.aws;
        let fails = copies_fail().region(self.region);
        let denied = Fault::new(Effect::Deny).operation("CopyImage");
        let faults = [fails, denied].map(|fault| aws.add_fault(fault));
        self.world.apply(manifest);
        let has_failed = self.until_image(manifest, |image| image.state == "failed").await;
        for fault in faults {
            aws.clear_fault(fault);
        }
        has_failed
    }

    /// Waits until the last version has such an image in the region, not for ever. The answer is whether it has.
    async fn until_image(&self, manifest: &Manifest, is_such: impl Fn(&Image) -> bool) -> bool {
        let Some(version) = manifest.versions.last().map(|version| version.name()) else { return false };
        let is_it = |i: &Image| {
            i.region == self.region && i.is_of(manifest.object) && i.version() == Some(&version) && is_such(i)
        };
        let until = Instant::now() + SOON * 2 + self.aws_takes;
        while Instant::now() < until {
            if self.world.state().images.iter().any(is_it) {
                return true;
            }
            sleep(Duration::from_secs(5)).await;
        }
        false
    }

    /// Somebody deregisters an image that is younger than the last listing of snapshots, and its object is deleted with its images. For
    /// a while snapshots cannot be listed.
    pub(crate) async fn delete_blind(&self, manifest: &Manifest, number: u64) {
        let manifest = Manifest { delete: true, ..manifest.clone() };
        let Some(manifest) = self.with_free_version(&manifest, number).await else { return };
        let Some((_, newest)) = self.free(&manifest).pop() else { return };
        let blind = Fault::new(Effect::Deny).operation("DescribeSnapshots").region(self.region);
        let blind = self.world.aws.add_fault(blind);
        self.lose(manifest.object, self.region, &newest).await;
        let see_again = async {
            sleep(STANDS / 2).await;
            self.world.aws.clear_fault(blind);
        };
        tokio::join!(self.delete(&manifest), see_again);
    }

    /// An object is deleted, and goes with all that it has made.
    pub(crate) async fn delete(&self, manifest: &Manifest) {
        let (world, object) = (self.world, manifest.object);
        if manifest.guarded || world.manifest(object).as_ref() != Some(manifest) {
            return;
        }
        world.delete(object);
        let until = Instant::now() + STANDS;
        while Instant::now() < until && now(world, object).is_object() {
            sleep(Duration::from_secs(5)).await;
        }
        let unlisted = |region: &&&str| !asked::was_listed_since(world, region, object);
        if Instant::now() < until
            && let Some(region) = manifest.regions.keys().find(unlisted)
        {
            world.violation(format!("{object} was let go before {region} was listed once more"));
        }
        sleep_until(until).await;
        let found = now(world, object);
        let wrong = match found.is_object() {
            true => ending::deleting(world, &world.state(), object, &found),
            false => ending::gone(world, &world.state(), object),
        };
        wrong.into_iter().for_each(|what| world.violation(format!("{:?}, and {what}", self.obstacle)));
    }
}
