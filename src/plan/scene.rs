//! What the concerns share: the question that is being answered, and views of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::action::{Action, Problem, Reason, Step};
use super::desired::{Desired, Version};
use super::ids::{ImageRef, RegionName, VersionName};
use super::observed::{Image, ImageState, Observed, Trouble, Usage};
use super::tags::{Ownership, Tags};
use super::{Concern, Plan};

/// How long until something is asked for again that could not be had.
pub(super) const LOOK: Duration = Duration::from_mins(1);

/// The moment a while after `at`. Dates come from outside, and can be too late for anything to come after them.
pub(super) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The question: what is wanted, what was seen, and when.
pub(super) struct Scene<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) now: Timestamp,
    /// What is ours, found once: every concern asks for it, for every version in every region.
    owned: BTreeMap<&'a RegionName, Vec<Owned<'a>>>,
    /// The earliest release date that the images of each version tell.
    tagged_releases: BTreeMap<VersionName, Timestamp>,
}

/// An image of this object, with what its tags say.
#[derive(Clone)]
pub(super) struct Owned<'a> {
    pub(super) image: &'a Image,
    pub(super) ownership: Ownership,
}

impl<'a> Scene<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &'a Observed, now: Timestamp) -> Self {
        let regions = observed.regions.iter();
        let owned: BTreeMap<_, _> =
            regions.map(|(region, view)| (region, owned(desired, region, view.images.iter().flatten()))).collect();
        let mut tagged_releases = BTreeMap::new();
        for ownership in owned.values().flatten().map(|o| &o.ownership) {
            if let Some(at) = ownership.released_at {
                let earliest = tagged_releases.entry(ownership.version.clone()).or_insert(at);
                *earliest = at.min(*earliest);
            }
        }
        Self { desired, observed, now, owned, tagged_releases }
    }

    /// The images of this object in a region, oldest first. An image that merely carries the tags, because
    /// somebody copied an image of ours together with its tags, is not among them.
    pub(super) fn owned(&self, region: &RegionName) -> &[Owned<'a>] {
        self.owned.get(region).map_or(&[], Vec::as_slice)
    }

    /// The images of this object that hold a version in a region, oldest first.
    pub(super) fn holding(&self, region: &RegionName, version: &VersionName) -> Vec<&Owned<'a>> {
        self.owned(region).iter().filter(|owned| &owned.ownership.version == version).collect()
    }

    /// Whether an image holds other content than the manifest now says of its version.
    pub(super) fn is_contradicted(&self, owned: &Owned) -> bool {
        let listed = self.desired.version(&owned.ownership.version);
        let differs = |source: &ImageRef| listed.is_some_and(|version| version.source != *source);
        owned.ownership.source.as_ref().is_some_and(differs)
    }

    /// When a version was released: as the manifest says, else as its images say, else when its source was created.
    pub(super) fn released_at(&self, version: &VersionName) -> Option<Timestamp> {
        let listed = self.desired.version(version);
        listed
            .and_then(|v| v.released_at)
            .or_else(|| self.tagged_releases.get(version).copied())
            .or_else(|| self.source(&listed?.source)?.as_ref().ok()?.created)
    }

    /// What was found out about a source, if it was looked up.
    pub(super) fn source(&self, source: &ImageRef) -> Option<&'a Result<Image, Trouble>> {
        self.observed.sources.get(source)
    }

    /// The source of a version that was adopted and is not handed over any more, as long as its tags still say that it is ours.
    pub(super) fn taken_back(&self, source: &ImageRef) -> Option<&'a Image> {
        let lists = |adopt: bool| self.desired.versions.iter().any(|v| v.source == *source && v.adopt == adopt);
        let itself = |o: &Ownership| o.source.as_ref().map_or(o.adopted, |of| of == source);
        let held = |o: Ownership| o.owner == self.desired.owner && itself(&o);
        let images = self.observed.regions.get(&source.region)?.images.as_ref()?;
        let image = images.iter().find(|i| i.id == source.id && i.state != ImageState::Deregistered)?;
        (lists(false) && !lists(true) && image.ownership().is_some_and(held)).then_some(image)
    }

    /// The tags that an image of a version must carry: a copy of its source, or the source itself, adopted.
    pub(super) fn tags(&self, version: &Version, attempt: u32, adopted: bool) -> Tags {
        let ownership = Ownership {
            adopted,
            owner: self.desired.owner.clone(),
            version: version.name.clone(),
            source: Some(version.source.clone()),
            released_at: self.released_at(&version.name),
            attempt,
        };
        let mut tags = self.desired.tags.clone();
        tags.extend(ownership.write());
        tags
    }

    /// Plans an action, unless it failed before and its time has not come: then that failure is the problem,
    /// and its sentence is given back.
    pub(super) fn want(&self, plan: &mut Plan, action: Action, reason: Reason) -> Option<String> {
        let failure = self.observed.failures.get(&action.key());
        let Some(failure) = failure.filter(|failure| !failure.wait.is_zero()) else {
            plan.steps.push(Step { action, reason });
            return None;
        };
        plan.look_again_at(after(self.now, failure.wait));
        let concern = action.concern();
        self.trouble(plan, concern, Some(action.region()), action.version(), &failure.trouble);
        Some(failure.trouble.message.clone())
    }

    /// What could not be read is asked for again before long: nothing tells when it can be. A region is listed again by itself.
    pub(super) fn read_again(&self, plan: &mut Plan) {
        let views = || self.observed.regions.values();
        let parameters = views().flat_map(|view| view.parameters.values()).filter_map(|read| read.as_ref().err());
        let usage =
            self.observed.usage.values().filter_map(|u| if let Usage::Unknown(why) = u { Some(why) } else { None });
        parameters.chain(usage).for_each(|trouble| self.try_again(plan, trouble));
        if views().any(|view| view.trouble.is_some()) {
            plan.look_again_at(self.now + LOOK * 5);
        }
    }

    /// Has an answer asked for again: soon if the trouble passes by itself, else when somebody may have done something.
    pub(super) fn try_again(&self, plan: &mut Plan, trouble: &Trouble) {
        plan.look_again_at(self.now + if trouble.class.passes() { LOOK } else { LOOK * 5 });
    }

    /// Notes an error as a problem.
    pub(super) fn trouble(
        &self,
        plan: &mut Plan,
        concern: Concern,
        region: Option<&RegionName>,
        version: Option<&VersionName>,
        trouble: &Trouble,
    ) {
        let problem = Problem {
            concern,
            class: trouble.class,
            code: trouble.code.clone(),
            region: region.cloned(),
            version: version.cloned(),
            message: trouble.message.clone(),
        };
        if !plan.problems.contains(&problem) {
            plan.problems.push(problem);
        }
    }
}

fn owned<'a>(desired: &Desired, region: &RegionName, images: impl Iterator<Item = &'a Image>) -> Vec<Owned<'a>> {
    let mut owned: Vec<_> = images
        .filter(|image| image.state != ImageState::Deregistered)
        .filter_map(|image| Some(Owned { image, ownership: image.ownership()? }))
        .filter(|owned| owned.ownership.owner == desired.owner && is_made_by_us(desired, owned, region))
        .collect();
    owned.sort_by(|a, b| (a.image.created, &a.image.id).cmp(&(b.image.created, &b.image.id)));
    owned
}

/// Whether EC2's own record of where an image came from agrees with its tag `amiops.dev/source`. Tags can be
/// copied along with an image (CopyImageTags); that record cannot. A source that was adopted is ours as long as
/// the manifest does not list it as a source that is to be left alone.
fn is_made_by_us(desired: &Desired, owned: &Owned, region: &RegionName) -> bool {
    let by_manifest = || desired.version(&owned.ownership.version).map(|v| v.source.clone());
    let Some(source) = owned.ownership.source.clone().or_else(by_manifest) else {
        return false;
    };
    let adopted = source.id == owned.image.id && &source.region == region;
    let taken_back = || desired.versions.iter().any(|v| v.source == source && !v.adopt);
    let copied = || !owned.ownership.adopted && owned.image.made_from.as_ref() == Some(&source);
    if adopted { !taken_back() } else { copied() }
}
