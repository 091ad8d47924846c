//! What happens in a quiet world by one hand or another, and what must have become of it soon after.

use std::collections::BTreeSet;
use std::time::Duration;

use ec2sim::{Effect, Fault};
use fastrand::Rng;
use jiff::SignedDuration;
use kubesim::{Verb, Verdict};
use serde_json::json;
use tokio::time::sleep;

use crate::coherent::entries;
use crate::epilogue::{SOON, now};
use crate::faults::copies_fail;
use crate::manifest::{Manifest, NAMESPACE, REGIONS};
use crate::obstacle::{LISTING, STANDS, Scene, last};
use crate::state::Image;
use crate::{ending, hands};

/// For so long, at most, EC2 goes on showing what is gone.
const LISTED_STALE: Duration = Duration::from_secs(70);

/// How late EC2 and SSM show something, where they are late.
pub(crate) const LATE: SignedDuration = SignedDuration::from_mins(4);

impl Scene<'_> {
    /// Somebody writes another image into a parameter, and asks for a pass: that one reads the parameter anew.
    pub(crate) async fn overwrite(&self, manifest: &Manifest, ssm_takes: Duration) {
        let parameters = || self.world.state().parameters.into_iter().filter(|p| p.region == self.region);
        let published: Vec<_> = manifest.channels.keys().filter_map(|channel| manifest.published(channel)).collect();
        let Some(before) = parameters().find(|p| published.contains(&p.name)) else { return };
        hands::overwrite(self.by_hand, self.region, &before.name).await;
        let _ = self.world.request(manifest.object);
        sleep(SOON + ssm_takes).await;
        if !parameters().any(|p| p.name == before.name && p.value == before.value) {
            self.world.violation(format!("{} in {} was changed, and is not put right", before.name, self.region));
        }
    }

    /// All copies of a version fail, and somebody names another source for it: nothing holds the former one.
    pub(crate) async fn correct_source(&self, more: &Manifest, number: u64) {
        let fault = self.world.aws.add_fault(copies_fail());
        self.world.apply(more);
        sleep(SOON + self.aws_takes).await;
        self.world.aws.clear_fault(fault);
        let corrected = more.with_other_source_of_last(&mut Rng::with_seed(number));
        let source = corrected.versions.last().map(|version| version.source(more.object));
        let state = self.world.state();
        let is_there =
            |(region, id): (String, String)| state.image(&region, &id).is_some_and(|i| i.state == "available");
        let is_source_there = source.is_some_and(is_there);
        if !is_source_there {
            return;
        }
        self.world.apply(&corrected);
        if self.world.manifest(more.object).as_ref() != Some(&corrected) {
            return;
        }
        sleep(STANDS + self.aws_takes * 2).await;
        self.check_arrived(&corrected);
    }

    /// A version gets another source while the copies of the first are under way, and a region that has none yet gets no copy of the
    /// second. It gets one of the first when that is the source again.
    pub(crate) async fn contradict(&self, more: &Manifest, number: u64) {
        if more.regions.len() < 2 {
            return;
        }
        let aws = &self.world.aws;
        aws.configure(|config| config.copy_time = SignedDuration::from_mins(20));
        let denied = aws.add_fault(Fault::new(Effect::Deny).operation("CopyImage").region(self.region));
        self.world.apply(more);
        sleep(SOON).await;
        self.world.apply(&more.with_other_source_of_last(&mut Rng::with_seed(number)));
        aws.clear_fault(denied);
        sleep(SOON).await;
        self.world.apply(more);
        if self.world.manifest(more.object).as_ref() == Some(more) {
            sleep(STANDS + SOON).await;
            self.check_arrived(more);
        }
    }

    /// A channel is moved and at once moved back, of an object whose passes are a day apart. SSM may come to take the value in between.
    pub(crate) async fn move_back(&self, manifest: &Manifest, ssm_takes: Duration) {
        let mut manifest = manifest.clone();
        manifest.set("/interval", json!("24h"));
        let channels = manifest.channels.iter().filter(|(channel, _)| manifest.published(channel).is_some());
        let Some((channel, here)) = channels.map(|(channel, number)| (*channel, *number)).next() else { return };
        let Some(there) = manifest.versions.iter().map(|v| v.number).find(|number| *number != here) else { return };
        self.world.apply(&manifest);
        sleep(SOON).await;
        let mut moved = manifest.clone();
        moved.channels.insert(channel, there);
        self.world.apply(&moved);
        sleep(Duration::from_secs(2)).await;
        self.world.apply(&manifest);
        if self.world.manifest(manifest.object).as_ref() == Some(&manifest) {
            sleep(SOON + ssm_takes * 2).await;
            self.check_arrived(&manifest);
        }
    }

    /// A channel is moved, SSM does what it is told and its answers are lost; then the channel is moved back, and the version leaves the
    /// list. As long as SSM may come to show its images they stay.
    pub(crate) async fn lose_value(&self, manifest: &Manifest, ssm_takes: Duration, number: u64) {
        let Some(manifest) = &self.with_free_version(manifest, number).await else { return };
        let Some((_, there)) = self.free(manifest).pop() else { return };
        let published = manifest.channels.keys().copied().find(|channel| manifest.published(channel).is_some());
        let there = manifest.versions.iter().find(|version| version.name() == there);
        let (Some(channel), Some(there)) = (published, there) else { return };
        let mut moved = manifest.clone();
        moved.channels.insert(channel, there.number);
        let mut back = Manifest { keep_last: Some(0), ..manifest.clone() };
        back.versions.retain(|version| version != there);
        let effect = if number.is_multiple_of(2) { Effect::DropReply } else { Effect::InternalError };
        let lost = self.world.aws.add_fault(Fault::new(effect).operation("PutParameter"));
        self.world.apply(&moved);
        sleep(Duration::from_secs(5)).await;
        self.world.aws.clear_fault(lost);
        self.world.apply(&back);
        if self.world.manifest(manifest.object).as_ref() == Some(&back) {
            // What was not answered is looked for during ten minutes.
            sleep(LISTING + SOON + ssm_takes * 2).await;
            self.check_arrived(&back);
        }
    }

    /// A version leaves the list and is back at once. What EC2 was told in between to deregister has not reached it; or it has, EC2 still
    /// shows the image, and a channel moves to it.
    pub(crate) async fn keep_after_all(&self, manifest: &Manifest, number: u64) {
        let Some(mut manifest) = self.with_free_version(manifest, number).await else { return };
        let Some((_, leaves)) = self.free(&manifest).pop() else { return };
        let Some(index) = manifest.versions.iter().position(|version| version.name() == leaves) else { return };
        let mut without = Manifest { keep_last: Some(0), ..manifest.clone() };
        let left = without.versions.remove(index);
        let effect = if number.is_multiple_of(2) { Effect::DropRequest } else { Effect::DropReply };
        if effect == Effect::DropReply {
            self.world.aws.configure(|config| config.stale_listing = LATE);
            manifest.channels.insert("prod", left.number);
        }
        let lost = self.world.aws.add_fault(Fault::new(effect).operation("DeregisterImage"));
        self.world.apply(&without);
        sleep(Duration::from_secs(20)).await;
        self.world.apply(&manifest);
        sleep(SOON).await;
        self.world.aws.clear_fault(lost);
        // A source that amiops made may have gone together with the version.
        let (region, source) = left.source(manifest.object);
        let has_source = self.world.state().image(&region, &source).is_some();
        if !has_source || self.world.manifest(manifest.object).as_ref() != Some(&manifest) {
            return;
        }
        sleep(LISTING + SOON * 2 + self.aws_takes).await;
        self.check_arrived(&manifest);
        let status = &now(self.world, manifest.object)["status"];
        if !ending::is_ready(status) {
            self.world
                .violation(format!("{leaves} was to stay after all, and {} is not Ready: {status}", manifest.object));
        }
    }

    /// The API server takes no status for a while. What was to be written is written soon after.
    pub(crate) async fn refuse_status(&self, more: &Manifest) {
        self.world.kube.set_hook(|request| match (&request.verb, request.subresource.as_str()) {
            (Verb::Get | Verb::List | Verb::Watch, _) => Verdict::Pass,
            (_, "status") => Verdict::Fail(500),
            _ => Verdict::Pass,
        });
        self.world.apply(more);
        sleep(STANDS.max(SOON + self.aws_takes)).await;
        self.world.kube.clear_hook();
        if self.world.manifest(more.object).as_ref() != Some(more) {
            return;
        }
        self.check_arrived(more);
        sleep(SOON).await;
        let status = &now(self.world, more.object)["status"];
        if !ending::is_ready(status) || !entries(status, "versions").any(|v| v["version"] == last()) {
            self.world.violation(format!("the status of {} is told no more: {status}", more.object));
        }
    }

    /// The status is lost, by somebody's hand or a restored backup: it tells the truth again at the next pass.
    pub(crate) async fn wipe(&self, manifest: &Manifest) {
        let nothing = json!({"status": null});
        let patched = self.world.kube.patch_status("machineimages", NAMESPACE, manifest.object, &nothing);
        if let Err(error) = patched {
            self.world.violation(format!("the status cannot be taken away: {error:?}"));
        }
        sleep(LISTING + SOON).await;
        let status = &now(self.world, manifest.object)["status"];
        if !ending::is_ready(status) || entries(status, "versions").next().is_none() {
            self.world
                .violation(format!("the status of {} was wiped, and is not told anew: {status}", manifest.object));
        }
    }

    /// The newest version that has left the list, which retention keeps, is gone by somebody's hand, and no listing has told so yet
    /// when an older one leaves. Then that one is the newest. The former is in a region only where the other is not any more, so that
    /// nothing else leads there, and often nobody can look there just then.
    pub(crate) async fn lose_kept(&self, manifest: &Manifest, number: u64) {
        let Some(manifest) = &self.with_two_free_versions(manifest, number).await else { return };
        let Some((older, newest)) = self.two_that_may_leave(manifest) else { return };
        let (object, elsewhere) = (manifest.object, manifest.regions.keys().filter(|region| **region != self.region));
        let mut left = Manifest { keep_last: Some(1), ..manifest.clone() };
        left.regions.remove(self.region);
        left.versions.retain(|version| version.name() != newest);
        self.world.apply(&left);
        if self.world.manifest(object).as_ref() != Some(&left) {
            return;
        }
        sleep(SOON).await;
        self.lose(object, self.region, &older).await;
        for region in REGIONS.into_iter().filter(|region| *region != self.region) {
            self.lose(object, region, &newest).await;
        }
        sleep(LISTING + SOON).await;
        self.lose(object, self.region, &newest).await;
        sleep(LISTED_STALE).await;
        left.versions.retain(|version| version.name() != older);
        let blind = Fault::new(Effect::Deny).operation("DescribeImages").region(self.region);
        let blind = number.is_multiple_of(2).then(|| self.world.aws.add_fault(blind));
        self.world.apply(&left);
        sleep(SOON).await;
        blind.into_iter().for_each(|fault| _ = self.world.aws.clear_fault(fault));
        sleep(SOON).await;
        let state = self.world.state();
        for region in elsewhere.filter(|region| !self.is_there(&state, manifest, region, &older)) {
            self.world.violation(format!("{older} in {region} was to stay: {newest} is gone, which was newer"));
        }
    }

    /// Two versions leave the list whose images are in use, and EC2 tells of the users of one on a later page than of those of the other.
    pub(crate) async fn use_both(&self, manifest: &Manifest, number: u64) {
        let Some(manifest) = &self.with_two_free_versions(manifest, number).await else { return };
        let Some((older, newest)) = self.two_that_may_leave(manifest) else { return };
        let state = self.world.state();
        let live =
            |version| state.live(self.region, manifest.object, version).into_iter().map(|image| image.id.clone());
        let used: BTreeSet<_> = live(&older).chain(live(&newest)).collect();
        for (image, users) in used.iter().zip([2, 1]) {
            hands::launch(self.by_hand, self.region, image, users).await;
        }
        self.world.aws.configure(|config| config.page = 2);
        sleep(LISTING + SOON).await;
        let mut left = Manifest { keep_last: Some(0), ..manifest.clone() };
        left.versions.retain(|version| version.name() != older && version.name() != newest);
        self.world.apply(&left);
        sleep(SOON).await;
        let state = self.world.state();
        for image in used.iter().filter(|image| state.image(self.region, image).is_none()) {
            self.world.violation(format!("{image} in {} is gone, and was in use", self.region));
        }
    }

    /// Two versions that can leave the list, if there are, the older one first.
    fn two_that_may_leave(&self, manifest: &Manifest) -> Option<(String, String)> {
        let has_left = |i: &Image| i.is_of(manifest.object) && i.version().is_some_and(|v| !manifest.lists(v));
        if self.world.state().images.iter().any(has_left) {
            return None;
        }
        match &self.free(manifest)[..] {
            [.., (earlier, older), (later, newest)] if earlier < later => Some((older.clone(), newest.clone())),
            _ => None,
        }
    }

    /// The versions that can leave the list, with their dates, the oldest first: each has a copy in each region, which nobody needs.
    pub(crate) fn free(&self, manifest: &Manifest) -> Vec<(String, String)> {
        let state = self.world.state();
        let is_free = |i: &Image| {
            let is_used = state.uses.iter().any(|u| u.image == i.id) || i.shared || i.protected;
            i.state == "available" && i.made_from.is_some() && !is_used && !ending::is_sourced(self.world, &i.id, None)
        };
        let date = |version: &String| {
            let copies: Vec<_> =
                manifest.regions.keys().flat_map(|r| state.live(r, manifest.object, version)).collect();
            let are_free = copies.len() == manifest.regions.len() && copies.iter().all(|i| is_free(i));
            copies.first().filter(|_| are_free)?.tags.get("amiops.dev/released-at").cloned()
        };
        let pointed_to = |number| manifest.channels.values().any(|to| *to == number);
        let unpointed = manifest.versions.iter().filter(|v| !pointed_to(v.number)).map(|v| v.name());
        let mut dated: Vec<_> = unpointed.filter_map(|version| Some((date(&version)?, version))).collect();
        dated.sort();
        dated
    }

    /// The manifest with one more version, if that can be had, once it is there.
    pub(crate) async fn with_free_version(&self, manifest: &Manifest, number: u64) -> Option<Manifest> {
        let more = manifest.with_free_version(&mut Rng::with_seed(number));
        self.world.apply(&more);
        sleep(SOON + self.aws_takes).await;
        ending::lacking(&self.world.state(), &more).is_none().then_some(more)
    }

    /// The manifest with two more versions, made one after the other.
    async fn with_two_free_versions(&self, manifest: &Manifest, number: u64) -> Option<Manifest> {
        let one = self.with_free_version(manifest, number).await?;
        self.with_free_version(&one, number).await
    }

    /// Somebody deregisters the copy of a version.
    pub(crate) async fn lose(&self, object: &str, region: &str, version: &str) {
        for image in self.world.state().live(region, object, version) {
            hands::deregister(self.by_hand, region, &image.id).await;
        }
    }
}
