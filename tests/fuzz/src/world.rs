//! What could have been seen in AWS: images and parameters of ours, of others, and in every odd state.

use std::time::Duration;

use amiops::plan::ids::{ImageId, ImageRef, ParameterName, RegionName, SnapshotId, VersionName};
use amiops::plan::tags::{self, Tags};
use amiops::plan::{
    Class, Desired, Failure, Image, ImageState, Observed, Parameter, Plan, RegionView, Shown, Sight, Snapshot, Trouble,
    Usage, User, Written,
};
use jiff::Timestamp;

use crate::draw::Draw;
use crate::text;

/// The account of the credentials.
const ACCOUNT: &str = "111111111111";
/// More regions and versions than these are not filled with images.
const FILLED: usize = 5;

/// The time of every plan.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap_or_default()
}

/// What is seen of the regions of a manifest, and of one that it does not name. `neighbour` is another object.
pub(crate) fn observed(desired: &Desired, neighbour: Option<&Desired>, draw: &mut Draw) -> Observed {
    let listed_late_for = Duration::ZERO;
    let mut scribe = Scribe { desired, neighbour, made: 0, is_bare: draw.one_in(6), listed_late_for };
    let mut observed = Observed {
        account: Some(if draw.below(8) == 7 {
            Err(Trouble::new(Class::Transient, "Timeout", "no answer"))
        } else {
            Ok(ACCOUNT.into())
        }),
        requested: draw.one_in(4),
        ..Observed::default()
    };
    let former = RegionName::new("ap-south-1");
    for (number, region) in desired.regions.keys().chain([&former]).enumerate() {
        let view = if number < FILLED || draw.one_in(8) { scribe.view(region, draw) } else { listed() };
        observed.regions.insert(region.clone(), view);
    }
    for version in &desired.versions {
        if draw.one_in(10) {
            continue;
        }
        let source = scribe.source(&observed, &version.source, draw);
        observed.sources.insert(version.source.clone(), source);
    }
    let images: Vec<_> =
        observed.regions.values().flat_map(|v| v.images.iter().flatten()).map(|i| i.id.clone()).collect();
    for image in &images {
        observed.usage.extend(usage(draw).map(|usage| (image.clone(), usage)));
    }
    if draw.one_in(16) {
        observed.unreadable.insert("images/odd".to_owned());
    }
    if draw.one_in(4) && !images.is_empty() {
        observed.claimed.insert(draw.pick(&images));
    }
    observed.listed_late_for = scribe.listed_late_for;
    if draw.one_in(3) {
        observed.begun_earlier.extend(desired.versions.iter().map(|v| v.name.clone()));
    }
    observed
}

/// Some steps of a plan, as they failed before.
pub(crate) fn failures(plan: &Plan, observed: &mut Observed, draw: &mut Draw) {
    for step in &plan.steps {
        if !draw.one_in(3) {
            continue;
        }
        let wait = wait(draw).unwrap_or_default();
        let failure = Failure { trouble: trouble(draw), wait };
        observed.failures.insert(step.action.key(), failure);
    }
}

fn listed() -> RegionView {
    RegionView { images: Some(vec![]), snapshots: Some(vec![]), ..RegionView::default() }
}

fn trouble(draw: &mut Draw) -> Trouble {
    let class = draw.pick(&[Class::Transient, Class::Throttled, Class::NeedsPerson, Class::Terminal]);
    Trouble::new(class, "Trouble", "something is wrong")
}

/// A moment: some minutes ago or to come, or as far away as can be told.
pub(crate) fn at(draw: &mut Draw) -> Timestamp {
    match draw.below(40) {
        39 => draw.pick(&[Timestamp::MAX, Timestamp::MIN, Timestamp::UNIX_EPOCH]),
        n if n % 4 == 3 => now() + Duration::from_mins(draw.below(100) as u64),
        _ => now() - Duration::from_mins(draw.below(6000) as u64),
    }
}

/// For how long something is waited for: until a moment, if that is to come.
fn wait(draw: &mut Draw) -> Option<Duration> {
    Duration::try_from(at(draw).duration_since(now())).ok().filter(|wait| !wait.is_zero())
}

fn usage(draw: &mut Draw) -> Option<Usage> {
    match draw.below(10) {
        0..=5 => Some(Usage::Unused),
        6 => Some(Usage::Used(vec![User::Other("instance i-1".into())])),
        7 => Some(Usage::Used(vec![User::Parameter(ParameterName::new("/some/parameter"))])),
        8 => Some(Usage::Unknown(trouble(draw))),
        _ => None,
    }
}

/// How many of 30 objects need not wait for what EC2 lists late.
const LISTED: u64 = 26;

/// Writes worlds for a manifest; counts what it has made, so that ids are unique.
struct Scribe<'a> {
    desired: &'a Desired,
    neighbour: Option<&'a Desired>,
    made: usize,
    /// Whether nothing is left of the object, or not made yet.
    is_bare: bool,
    /// For how long a deletion waits, by the region that was drawn last.
    listed_late_for: Duration,
}

impl Scribe<'_> {
    fn view(&mut self, region: &RegionName, draw: &mut Draw) -> RegionView {
        let mut view = listed();
        let mut images = Vec::new();
        if !self.is_bare && draw.one_in(2) {
            for version in self.desired.versions.iter().take(FILLED) {
                images.push(self.replica(&version.name, region, draw));
            }
        }
        let more = if self.is_bare { 0 } else { draw.below(6) };
        for _ in 0..more {
            let image = self.image(region, draw);
            if images.iter().all(|other: &Image| other.id != image.id) {
                images.push(image);
            }
        }
        view.snapshots = (!draw.one_in(16)).then(|| self.snapshots(&images, draw));
        view.parameters = self.parameters(&images, draw);
        view.images = (!draw.one_in(24)).then_some(images);
        view.trouble = (view.images.is_none() || draw.one_in(12)).then(|| trouble(draw));
        view.snapshot_trouble = draw.one_in(12).then(|| trouble(draw));
        if !draw.one_in(3) {
            self.listed_late_for = Duration::from_mins((draw.below(30) as u64).saturating_sub(LISTED));
        }
        if draw.one_in(6) {
            let version = self.version(draw);
            let copies = if draw.one_in(2) { &mut view.awaited } else { &mut view.unanswered };
            copies.extend(wait(draw).map(|wait| (version, wait)));
        }
        if draw.one_in(6) {
            let attempt = draw.pick(&[1, 2, 30, 1_000_001]);
            view.attempts.insert(self.version(draw), attempt);
        }
        view
    }

    fn version(&self, draw: &mut Draw) -> VersionName {
        let listed = self.desired.versions.iter().chain(self.neighbour.iter().flat_map(|n| &n.versions));
        let mut names: Vec<_> = listed.take(FILLED * 2).map(|v| v.name.clone()).collect();
        names.extend(["0.8", "0.9", "left", ""].map(VersionName::new));
        draw.pick(&names)
    }

    fn sources(&self) -> Vec<ImageRef> {
        let versions = self.desired.versions.iter().chain(self.neighbour.iter().flat_map(|n| &n.versions));
        let mut sources: Vec<_> = versions.take(FILLED * 2).map(|v| v.source.clone()).collect();
        sources.push(ImageRef { region: "us-east-1".into(), id: "ami-0000000000elsewhere".into() });
        sources
    }

    fn next_id(&mut self) -> String {
        self.made += 1;
        format!("{:08x}", self.made)
    }

    /// An image of a version as it should be.
    fn replica(&mut self, version: &VersionName, region: &RegionName, draw: &mut Draw) -> Image {
        let elsewhere = || ImageRef { region: "us-east-1".into(), id: "ami-0000000000elsewhere".into() };
        let source = self.desired.version(version).map_or_else(elsewhere, |v| v.source.clone());
        let adopted = self.desired.version(version).is_some_and(|v| v.adopt && &v.source.region == region);
        let number = self.next_id();
        let tags = Tags::from([
            (tags::OWNER.to_owned(), self.desired.owner.to_string()),
            (tags::VERSION.to_owned(), version.to_string()),
            (tags::SOURCE.to_owned(), source.to_string()),
            (tags::ATTEMPT.to_owned(), "1".to_owned()),
            (tags::RELEASED_AT.to_owned(), format!("2026-01-{:02}T00:00:00Z", 1 + draw.below(9))),
        ]);
        Image {
            id: if adopted { source.id.clone() } else { ImageId::new(format!("ami-{number}")) },
            name: format!("image-{number}"),
            account: ACCOUNT.into(),
            state: ImageState::Available,
            state_reason: None,
            created: Some(at(draw)),
            made_from: (!adopted).then_some(source),
            snapshots: vec![SnapshotId::new(format!("snap-{number}"))],
            tags,
            protected: false,
            sight: Sight::Listed,
        }
    }

    /// An image of any version, with anything odd about it.
    fn image(&mut self, region: &RegionName, draw: &mut Draw) -> Image {
        let version = self.version(draw);
        let mut image = self.replica(&version, region, draw);
        image.state = draw.pick(&[
            ImageState::Available,
            ImageState::Available,
            ImageState::Available,
            ImageState::Failed,
            ImageState::Pending,
            ImageState::Disabled,
            ImageState::Deregistered,
        ]);
        image.state_reason = draw.one_in(2).then(|| text::odd(draw));
        image.protected = draw.one_in(10);
        image.sight = match (draw.one_in(10), draw.one_in(10)) {
            (false, false) => Sight::Listed,
            (true, false) => Sight::Assumed,
            (true, true) => Sight::Claimed,
            (false, true) => Sight::Missed,
        };
        if draw.one_in(8) {
            image.made_from = draw.one_in(2).then(|| draw.pick(&self.sources()));
        }
        if draw.one_in(8) {
            let mut sources = self.sources().into_iter().filter(|source| &source.region == region);
            image.id = sources.next_back().map_or(image.id, |source| source.id);
        }
        if draw.one_in(8) {
            image.account = "222222222222".into();
        }
        for _ in 0..draw.below(3) {
            self.retag(&mut image.tags, &ImageRef { region: region.clone(), id: image.id.clone() }, draw);
        }
        if draw.one_in(12) {
            image.snapshots.clear();
        }
        if draw.one_in(16) {
            image.created = None;
        }
        image
    }

    /// Somebody has changed a tag.
    fn retag(&self, tags: &mut Tags, itself: &ImageRef, draw: &mut Draw) {
        let owner = || self.neighbour.map_or_else(|| "default/images/db".to_owned(), |n| n.owner.to_string());
        let (key, value) = match draw.below(12) {
            0 => (tags::OWNER, Some(owner())),
            1 => (tags::OWNER, Some(format!("other{}", self.desired.owner))),
            2 => (tags::OWNER, Some(text::odd(draw))),
            3 => (tags::VERSION, Some(self.version(draw).to_string())),
            4 => (tags::SOURCE, Some(draw.pick(&self.sources()).to_string())),
            5 => (tags::SOURCE, Some(itself.to_string())),
            6 => (tags::SOURCE, Some(text::odd(draw))),
            7 => (tags::ATTEMPT, Some(draw.pick(&["0", "2", "30", "4294967295", "4294967296", "-1", ""]).to_owned())),
            8 => (tags::RELEASED_AT, Some(at(draw).to_string())),
            9 => (tags::ADOPTED, Some(draw.pick(&["true", "false"]).to_owned())),
            10 => (draw.pick(&[tags::OWNER, tags::VERSION, tags::SOURCE, tags::ATTEMPT, tags::RELEASED_AT]), None),
            _ => {
                tags.clear();
                return;
            }
        };
        match value {
            Some(value) => _ = tags.insert(key.to_owned(), value),
            None => _ = tags.remove(key),
        }
    }

    fn snapshots(&mut self, images: &[Image], draw: &mut Draw) -> Vec<Snapshot> {
        let mut snapshots = Vec::new();
        for image in images {
            for id in &image.snapshots {
                let mut tags = image.tags.clone();
                if draw.one_in(8) {
                    self.retag(&mut tags, &ImageRef { region: "us-east-1".into(), id: image.id.clone() }, draw);
                }
                snapshots.push(Snapshot { id: id.clone(), started: image.created, pending: draw.one_in(10), tags });
            }
        }
        let loose = if self.is_bare { 0 } else { draw.below(3) };
        for _ in 0..loose {
            let (version, number) = (self.version(draw), self.next_id());
            let mut tags = self.replica(&version, &"us-east-1".into(), draw).tags;
            if draw.one_in(3) {
                self.retag(&mut tags, &ImageRef { region: "us-east-1".into(), id: "ami-gone".into() }, draw);
            }
            let started = (!draw.one_in(8)).then(|| at(draw));
            let id = SnapshotId::new(format!("snap-loose-{number}"));
            snapshots.push(Snapshot { id, started, pending: draw.one_in(10), tags });
        }
        snapshots
    }

    fn parameters(
        &self,
        images: &[Image],
        draw: &mut Draw,
    ) -> std::collections::BTreeMap<ParameterName, Result<Option<Parameter>, Trouble>> {
        let mut values: Vec<_> = images.iter().map(|i| i.id.to_string()).collect();
        values.extend(["ami-foreign".to_owned(), String::new()]);
        let mut parameters = std::collections::BTreeMap::new();
        for name in self.desired.channels.iter().filter_map(|c| c.parameter.clone()) {
            let written = draw.one_in(6).then(|| {
                let image = ImageId::new(draw.pick(&values));
                let ago = draw.below(15) as u64;
                Written { image, ago: Duration::from_mins(ago), answered: ago != 3 }
            });
            let value = draw.pick(&values);
            let answer = match draw.below(16) {
                15 => continue,
                14 => Err(trouble(draw)),
                n if self.is_bare || n % 3 == 0 => Ok(None),
                _ => {
                    let shown = Shown { value, modified: Some(at(draw)), is_image: true };
                    Ok(Some(Parameter { shown: Some(shown).filter(|shown| !shown.value.is_empty()), written }))
                }
            };
            parameters.insert(name, answer);
        }
        parameters
    }

    /// A source as it is found: the image that is listed, if it is.
    fn source(&mut self, observed: &Observed, source: &ImageRef, draw: &mut Draw) -> Result<Image, Trouble> {
        if draw.one_in(12) {
            return Err(trouble(draw));
        }
        let view = observed.regions.get(&source.region);
        let listed = view.and_then(|v| v.images.iter().flatten().find(|i| i.id == source.id)).cloned();
        if let Some(image) = listed {
            return Ok(image);
        }
        let version = self.version(draw);
        let mut image =
            Image { id: source.id.clone(), made_from: None, ..self.replica(&version, &source.region, draw) };
        image.tags.clear();
        image.state =
            draw.pick(&[ImageState::Available, ImageState::Available, ImageState::Pending, ImageState::Failed]);
        if draw.one_in(8) {
            image.account = "222222222222".into();
        }
        if draw.one_in(8) {
            image.tags = self.replica(&version, &source.region, draw).tags;
            self.retag(&mut image.tags, source, draw);
        }
        Ok(image)
    }
}
