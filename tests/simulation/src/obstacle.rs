//! Something stands in the way in a quiet world, and goes again. It holds up what it touches and nothing else, the status tells of
//! it, and what waited for its end is not late.

use std::time::Duration;

use aws_config::SdkConfig;
use clap::ValueEnum;
use ec2sim::{Effect, Fault, SeedImage};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::coherent::entries;
use crate::epilogue::{SOON, arrived, now};
use crate::faults::copies_fail;
use crate::manifest::{LAST, Manifest, NAMESPACE, REGIONS};
use crate::state::{INSTALLATION, Image, State};
use crate::story::ByHand;
use crate::world::World;
use crate::{ending, hands};

/// How long it stands there. By then the next try is minutes away.
pub(crate) const STANDS: Duration = Duration::from_mins(40);
/// A region is listed every ten minutes, and no less often while that fails; what is denied is tried again as often.
pub(crate) const LISTING: Duration = Duration::from_mins(10);
/// An image of somebody else.
const STRANGER: &str = "ami-0000000000000bad0";

/// What stands in the way of a copy to one region, or is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Obstacle {
    CopiesFail,
    CopiesAreDenied,
    RegionIsDown,
    TagIsChanged,
    NameIsTaken,
    /// By a copy that somebody made of an image of amiops's, tags and all.
    NameIsTakenByTwin,
    ParameterIsChanged,
    StatusIsWiped,
    StatusIsRefused,
    /// A version whose copies all fail gets another source.
    SourceIsCorrected,
    /// A channel is moved, and back before SSM can have taken the value.
    ChannelIsMovedBack,
    /// AWS takes seconds for each answer, so that no listing is quick, and an object is deleted with its images.
    AwsIsSlow,
    /// The newest version that retention keeps is gone, and an older one leaves the list.
    KeptIsGone,
    /// SSM has a value, and nobody knows whether.
    ValueIsLost,
    /// What was to be deregistered is there, and nobody knows whether.
    RemovalIsLost,
    /// An object is deleted before SSM shows what it has published.
    ParameterIsLate,
    /// An object is deleted before EC2 lists a copy that nobody knows of.
    CopyIsHidden,
    /// Versions leave the list whose images are in use.
    BothAreUsed,
    /// A version hands over what belongs to another installation.
    SourceIsOwned,
    /// An object is deleted before EC2 shows that an image was adopted for it.
    AdoptionIsHidden,
    /// Images of two objects have one snapshot; or copies end that are about to be removed.
    SnapshotIsShared,
    /// An object is deleted while nobody can list the snapshots that an image has left.
    SnapshotsAreHidden,
}

/// The scene of an obstacle.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) by_hand: &'a SdkConfig,
    pub(crate) obstacle: Obstacle,
    pub(crate) region: &'static str,
    /// What a copy takes.
    pub(crate) aws_takes: Duration,
}

/// A number that picks an obstacle, one after the other, in whatever way it comes.
pub(crate) fn number(which: u64, rng: &mut Rng) -> u64 {
    let count = Obstacle::value_variants().len() as u64;
    which % count + rng.u64(..1000) * count
}

/// Plays what the number picks with the first of `objects` that has arrived; `aws_takes` is what a copy takes, and `ssm_takes` the
/// check of a parameter.
pub(crate) async fn play(
    world: &World,
    by_hand: &SdkConfig,
    aws_takes: Duration,
    ssm_takes: Duration,
    number: u64,
    objects: &[&'static str],
) {
    use Obstacle::*;
    let (obstacles, number) = (Obstacle::value_variants(), number as usize);
    let (obstacle, number) = (obstacles[number % obstacles.len()], (number / obstacles.len()) as u64);
    let state = world.state();
    let Some(manifest) = objects.iter().find_map(|object| arrived(world, &state, object)) else { return };
    let Some(region) = manifest.regions.keys().copied().find(|region| *region != REGIONS[0]) else { return };
    let scene = Scene { world, by_hand, obstacle, region, aws_takes };
    match obstacle {
        TagIsChanged => {
            hands::act(world, by_hand, ByHand::ChangeTag, number as usize | 1).await;
            sleep(LISTING + SOON).await;
            scene.check_arrived(&manifest);
        }
        ParameterIsChanged => scene.overwrite(&manifest, ssm_takes).await,
        StatusIsWiped => scene.wipe(&manifest).await,
        StatusIsRefused => scene.refuse_status(&manifest.with_more()).await,
        SourceIsCorrected if number % 2 == 1 => scene.contradict(&manifest.with_more(), number).await,
        SourceIsCorrected => scene.correct_source(&manifest.with_more(), number).await,
        ChannelIsMovedBack => scene.move_back(&manifest, ssm_takes).await,
        AwsIsSlow => scene.delete_slowly(&manifest, number).await,
        KeptIsGone => scene.lose_kept(&manifest, number).await,
        ValueIsLost => scene.lose_value(&manifest, ssm_takes, number).await,
        RemovalIsLost => scene.keep_after_all(&manifest, number).await,
        ParameterIsLate => scene.delete_unshown(&manifest).await,
        CopyIsHidden => scene.hide_copy(&manifest, number).await,
        BothAreUsed => scene.use_both(&manifest, number).await,
        SourceIsOwned => scene.hand_over_owned(&manifest, number).await,
        AdoptionIsHidden => scene.hide_adoption(&manifest, number).await,
        SnapshotIsShared if number % 2 == 1 => scene.end_copies(&manifest, number).await,
        SnapshotIsShared => scene.share_snapshot(&manifest).await,
        SnapshotsAreHidden => scene.delete_blind(&manifest, number).await,
        _ => {
            let mut more = manifest.with_more();
            if number % 2 == 0 {
                // What has to be done is not left to the next regular pass.
                more.set("/interval", json!("24h"));
            }
            scene.hold_up(&more, number / 2 % 4).await;
        }
    }
}

impl Scene<'_> {
    /// The obstacle stands in the way of a version that is asked for, and ends; what follows may be an edit, a request, or nothing, or
    /// the object is made anew, as it was before.
    async fn hold_up(&self, more: &Manifest, what_follows: u64) {
        let fault = match self.obstacle {
            Obstacle::CopiesFail => Some(copies_fail()),
            Obstacle::CopiesAreDenied => Some(Fault::new(Effect::Deny).operation("CopyImage")),
            Obstacle::RegionIsDown => Some(Fault::new(Effect::RegionDown).operation("*")),
            _ => None,
        };
        let fault = fault.map(|fault| self.world.aws.add_fault(fault.region(self.region)));
        if fault.is_none() {
            self.take_name(more);
        }
        let denied = self.obstacle == Obstacle::CopiesAreDenied;
        let anew = denied && what_follows == 3 && !more.delete && !more.guarded;
        if anew {
            self.let_go(more).await;
        }
        self.world.apply(more);
        if self.world.manifest(more.object).as_ref() != Some(more) {
            // It asks for more than there may be.
            return;
        }
        sleep(STANDS.max(SOON + self.aws_takes)).await;
        self.check_told(more);
        match fault {
            Some(fault) => drop(self.world.aws.clear_fault(fault)),
            None => {
                self.lose_another(more).await;
                hands::deregister(self.by_hand, self.region, STRANGER).await;
            }
        }
        if self.obstacle == Obstacle::CopiesFail {
            // What is under way by then breaks off as well.
            sleep(self.aws_takes).await;
        }
        if anew {
            self.let_go(more).await;
            self.world.apply(more);
        }
        match (self.obstacle, what_follows) {
            _ if anew => {}
            (Obstacle::RegionIsDown, _) | (Obstacle::CopiesAreDenied, 2) => sleep(LISTING).await,
            (Obstacle::CopiesAreDenied, 0) => self.world.apply(&Manifest { keep_last: Some(9), ..more.clone() }),
            _ => drop(self.world.request(more.object)),
        }
        sleep(SOON + self.aws_takes).await;
        if let Some(now) = self.world.manifest(more.object) {
            self.check_arrived(&now);
        }
    }

    /// The object is deleted, and its images stay.
    async fn let_go(&self, more: &Manifest) {
        self.world.delete(more.object);
        sleep(SOON).await;
    }

    /// Somebody else's image has the name of the copy that is to come; its tags may be those that the copy will have.
    fn take_name(&self, more: &Manifest) {
        let source = more.versions.iter().find(|v| v.name() == last()).map(|v| v.source(more.object));
        let (region, id) = source.unwrap_or_default();
        let tags = [
            ("amiops.dev/owner", format!("{INSTALLATION}/{NAMESPACE}/{}", more.object)),
            ("amiops.dev/version", last()),
            ("amiops.dev/source", format!("{region}/{id}")),
        ];
        let tags = tags.into_iter().filter(|_| self.obstacle == Obstacle::NameIsTakenByTwin);
        let stranger = SeedImage {
            region: self.region.into(),
            id: Some(STRANGER.into()),
            name: Some(more.image_name(&last())),
            tags: tags.map(|(key, value)| (key.to_owned(), value)).collect(),
            ..Default::default()
        };
        if let Err(error) = self.world.aws.seed_image(stranger) {
            self.world.violation(format!("a name cannot be taken: {error:?}"));
        }
    }

    /// What is lost of another version in the region is there again, although the one still waits.
    async fn lose_another(&self, more: &Manifest) {
        let state = self.world.state();
        let is_copy = |i: &&&Image| i.version().is_some_and(|v| v != last() && more.lists(v)) && i.made_from.is_some();
        let here: Vec<_> = self.ours(&state, more).collect();
        let Some(lost) =
            here.iter().filter(is_copy).find(|i| !i.protected && !ending::is_sourced(self.world, &i.id, None))
        else {
            return;
        };
        hands::deregister(self.by_hand, self.region, &lost.id).await;
        sleep(LISTING + SOON * 2 + self.aws_takes).await;
        let version = lost.version().unwrap_or_default();
        if !self.is_there(&self.world.state(), more, self.region, version) {
            let name = self.obstacle;
            self.world.violation(format!("{name:?} of another version keeps {version} from {}", self.region));
        }
    }

    pub(crate) fn check_arrived(&self, manifest: &Manifest) {
        let Self { world, obstacle, .. } = self;
        if let Some(lacking) = ending::lacking(&world.state(), manifest) {
            let object = manifest.object;
            world.violation(format!("{obstacle:?} was over in a quiet world, and {object} is late: {lacking}"));
        }
    }

    fn ours<'s>(&self, state: &'s State, manifest: &Manifest) -> impl Iterator<Item = &'s Image> {
        let (region, object) = (self.region, manifest.object);
        state.images.iter().filter(move |i| i.region == region && i.is_of(object) && i.state == "available")
    }

    pub(crate) fn is_there(&self, state: &State, manifest: &Manifest, region: &str, version: &str) -> bool {
        state.live(region, manifest.object, version).iter().any(|i| i.state == "available")
    }

    /// Checks that whatever else was asked for is there, and that the status tells what is known of what is not.
    fn check_told(&self, manifest: &Manifest) {
        let Self { world, obstacle, region, .. } = self;
        let object = manifest.object;
        let state = world.state();
        let mut others = manifest.regions.keys().filter(|other| *other != region);
        if let Some(other) = others.find(|other| !self.is_there(&state, manifest, other, &last())) {
            world.violation(format!("{obstacle:?} in {region} holds up {} of {object} in {other}", last()));
        }
        let listed = |i: &&Image| i.version().is_some_and(|version| manifest.lists(version));
        let untagged = |i: &&Image| manifest.tags.iter().any(|(key, value)| i.tags.get(key) != Some(value));
        let late = self.ours(&state, manifest).filter(listed).find(untagged);
        if let Some(image) = late.filter(|_| *obstacle != Obstacle::RegionIsDown) {
            world.violation(format!("{obstacle:?} in {region} holds up the tags of {}", image.id));
        }
        let status = &now(world, object)["status"];
        if !self.is_told(manifest, status) {
            world.violation(format!("{object} does not tell that {obstacle:?} in {region}: {status}"));
        }
    }

    fn is_told(&self, manifest: &Manifest, status: &Value) -> bool {
        let wanted =
            entries(status, "versions").filter(|v| v["version"].as_str().is_some_and(|name| manifest.lists(name)));
        let mut replicas = wanted.flat_map(|v| entries(v, "regions")).filter(|r| r["region"] == self.region);
        let problem = entries(status, "problems").any(|problem| problem["region"] == self.region);
        match self.obstacle {
            Obstacle::RegionIsDown => problem && replicas.all(|replica| replica["error"].is_string()),
            Obstacle::CopiesAreDenied => {
                problem && ending::condition(status, "Stalled").is_some_and(|condition| condition["status"] == "True")
            }
            // The next attempt may be under way.
            _ => problem || replicas.any(|replica| replica["state"] == "Pending"),
        }
    }
}

/// The version that is asked for.
pub(crate) fn last() -> String {
    format!("1.{LAST}")
}
