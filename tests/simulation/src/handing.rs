//! What is handed over in a quiet world (`adopt: true`), and what is not to become of it.

use std::time::Duration;

use ec2sim::{Effect, Fault, SeedImage};
use fastrand::Rng;
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::coherent::entries;
use crate::epilogue::{SOON, arrived, now};
use crate::hands;
use crate::manifest::{Manifest, OBJECTS, REGIONS};
use crate::obstacle::{Scene, last};
use crate::state::owner_of;

/// An image of another installation, and its owner.
const OWNED: &str = "ami-000000000000e15e0";
const ELSEWHERE: &str = "elsewhere/images/web";

/// How late EC2 shows tags, where it is late.
const LATE_TAGS: SignedDuration = SignedDuration::from_secs(30);

impl Scene<'_> {
    /// A version is asked for that hands over an image of another installation, perhaps of one that has the same versions. That keeps it, and
    /// the status says why.
    pub(crate) async fn hand_over_owned(&self, manifest: &Manifest, number: u64) {
        let region = REGIONS[0];
        if !manifest.regions.contains_key(region) {
            return;
        }
        let source = format!("{region}/{OWNED}");
        let version = if number.is_multiple_of(2) { last() } else { "1.0".to_owned() };
        let tags = [("owner", ELSEWHERE), ("version", &version), ("source", &source), ("adopted", "true")];
        let image = SeedImage {
            region: region.into(),
            id: Some(OWNED.into()),
            name: Some("elsewhere".into()),
            tags: tags.map(|(key, value)| (format!("amiops.dev/{key}"), value.to_owned())).into(),
            ..Default::default()
        };
        self.world.expect("an image of another installation", self.world.aws.seed_image(image));
        let more = manifest.with_more_handed_over(region, OWNED);
        self.world.apply(&more);
        if self.world.manifest(more.object).as_ref() != Some(&more) {
            return;
        }
        sleep(SOON + self.aws_takes).await;
        let status = &now(self.world, more.object)["status"];
        let state = self.world.state();
        let owner = state.image(region, OWNED).and_then(|image| image.tags.get("amiops.dev/owner"));
        if owner.is_none_or(|owner| owner != ELSEWHERE) {
            self.world.violation(format!("{OWNED} in {region} was taken from {ELSEWHERE} by {owner:?}"));
        }
        if !entries(status, "problems").any(|problem| problem["region"] == region && problem["version"] == last()) {
            self.world
                .violation(format!("{} does not tell that {OWNED} belongs to {ELSEWHERE}: {status}", more.object));
        }
        self.world.apply(manifest);
        sleep(SOON).await;
    }

    /// An image is handed over and tagged, and nobody hears of it, nor shows EC2 the tags yet; meanwhile its object is deleted with its
    /// images. No copies to other regions keep it.
    pub(crate) async fn hide_adoption(&self, manifest: &Manifest, number: u64) {
        let (aws, region) = (&self.world.aws, REGIONS[0]);
        let mut manifest = Manifest { delete: true, ..manifest.with_free_version(&mut Rng::with_seed(number)) };
        manifest.versions.last_mut().into_iter().for_each(|last| last.adopt = true);
        if !manifest.regions.contains_key(region) {
            return;
        }
        aws.configure(|config| config.late_tags = LATE_TAGS);
        let lost = Fault::new(Effect::DropReply).operation("CreateTags").region(region);
        let faults = [lost, Fault::new(Effect::Deny).operation("CopyImage")].map(|fault| aws.add_fault(fault));
        self.world.apply(&manifest);
        sleep(Duration::from_secs(10)).await;
        self.delete(&manifest).await;
        for fault in faults {
            aws.clear_fault(fault);
        }
    }

    /// Somebody registers another image with the snapshot of a copy, and another object hands that image over. The snapshot stays with
    /// whose copy it was made for.
    pub(crate) async fn share_snapshot(&self, manifest: &Manifest) {
        let state = self.world.state();
        let mut others = OBJECTS.into_iter().filter(|object| *object != manifest.object);
        let Some(other) = others.find_map(|object| arrived(self.world, &state, object)) else { return };
        let is_copy = |version: &str| {
            let mut live = state.live(self.region, manifest.object, version).into_iter();
            live.find(|image| image.made_from.is_some()).and_then(|image| image.snapshots.first())
        };
        let Some(snapshot) = manifest.versions.iter().find_map(|version| is_copy(&version.name())) else { return };
        if !other.regions.contains_key(self.region) {
            return;
        }
        let Some(image) = hands::register(self.by_hand, self.region, snapshot).await else { return };
        let mut handing = other.with_more_handed_over(self.region, &image);
        for adopt in [true, false] {
            handing.versions.last_mut().into_iter().for_each(|last| last.adopt = adopt);
            self.world.apply(&handing);
            sleep(SOON * 2 + self.aws_takes).await;
            let state = self.world.state();
            let owner = state.snapshots.iter().find(|s| s.id == *snapshot).and_then(|s| owner_of(&s.tags));
            if owner != Some(manifest.object) {
                let (region, former) = (self.region, manifest.object);
                self.world.violation(format!("{snapshot} in {region} was {former}'s and is {owner:?}'s"));
            }
        }
        self.world.apply(&other);
        sleep(SOON).await;
    }
}
