//! What no plan may do, said without the planner's own words, by what the manifest's JSON says.

use std::collections::BTreeSet;

use amiops::plan::tags::Tags;
use amiops::plan::{Action, Copy, Image, ImageState, Observed, Plan, RegionView, Usage};

use crate::facts::Facts;

const OWNER: &str = "amiops.dev/owner";
const VERSION: &str = "amiops.dev/version";
const SOURCE: &str = "amiops.dev/source";
const ADOPTED: &str = "amiops.dev/adopted";

/// The question that a plan answers.
pub(crate) struct Question<'a> {
    pub(crate) facts: &'a Facts,
    /// What other manifests say.
    pub(crate) others: &'a [Facts],
    pub(crate) observed: &'a Observed,
}

/// Panics with a sentence if a plan breaks a rule.
pub(crate) fn check(question: &Question, plan: &Plan) {
    let facts = question.facts;
    assert!(!facts.stands_still() || plan.steps.is_empty(), "a suspended or retained object changes nothing");
    let mut keys = BTreeSet::new();
    for step in &plan.steps {
        let action = &step.action;
        assert!(keys.insert(action.key()), "two steps do the same: {action}");
        assert!(!action.to_string().is_empty() && !step.reason.to_string().is_empty(), "a step without a sentence");
        match action {
            Action::Copy(copy) => question.copy(copy),
            Action::Tag { region, image, resources, tags, version } => {
                question.tag(region.as_str(), image.as_str(), resources, tags, version.as_str());
            }
            Action::Publish { region, channel, version, parameter, image } => {
                let asked = (channel.to_string(), version.to_string(), Some(parameter.to_string()));
                assert!(facts.channels.contains(&asked), "no channel asks for: {action}");
                question.publish(region.as_str(), version.as_str(), image.as_str());
            }
            Action::Unpublish { region, .. } => {
                question.view(region.as_str());
                assert!(facts.goes(), "a parameter goes only with its object");
            }
            Action::Deregister { region, image, .. } => question.deregister(region.as_str(), image.as_str()),
            Action::DeleteSnapshot { region, snapshot, .. } => {
                question.delete_snapshot(region.as_str(), snapshot.as_str());
            }
        }
    }
    question.last_images(plan);
    question.channels(plan);
    let sentences =
        plan.problems.iter().map(|p| &p.message).chain(plan.departures.iter().filter_map(|d| d.blocked_by.as_ref()));
    sentences.for_each(|sentence| assert!(!sentence.is_empty(), "something stands in the way without a word"));
    assert!(!plan.all_gone || question.all_gone(), "not everything is gone");
}

fn tag<'i>(tags: &'i Tags, key: &str) -> &'i str {
    tags.get(key).map_or("", String::as_str)
}

impl Question<'_> {
    fn view(&self, region: &str) -> &RegionView {
        self.observed.regions.get(&region.into()).expect("a plan acts only in regions that were looked at")
    }

    /// The region, which must have been seen just now, because something is changed there.
    fn seen(&self, region: &str) -> &RegionView {
        let view = self.view(region);
        assert!(view.images.is_some() && view.trouble.is_none(), "{region} was not seen just now");
        view
    }

    fn images(&self, region: &str) -> impl Iterator<Item = &Image> {
        let view = self.view(region);
        view.images.iter().flatten().filter(move |image| self.is_ours(image, region))
    }

    /// Whether an image is this object's: it carries our tags, and was made by us or handed over.
    fn is_ours(&self, image: &Image, region: &str) -> bool {
        let handed_back = tag(&image.tags, ADOPTED) == "false";
        if handed_back || tag(&image.tags, OWNER) != self.facts.owner || !image.tags.contains_key(VERSION) {
            return false;
        }
        let listed = self.facts.versions.get(tag(&image.tags, VERSION)).map(|v| format!("{}/{}", v.region, v.id));
        let tagged = Some(tag(&image.tags, SOURCE)).filter(|s| s.contains('/')).map(str::to_owned);
        let Some(source) = tagged.or(listed) else { return false };
        let itself = format!("{region}/{}", image.id);
        let by_us = match source == itself {
            true => !self.facts.versions.values().any(|v| format!("{}/{}", v.region, v.id) == itself && !v.adopt),
            false => {
                let adopted = image.tags.contains_key(ADOPTED);
                !adopted && image.made_from.as_ref().is_some_and(|from| from.to_string() == source)
            }
        };
        image.state != ImageState::Deregistered && by_us
    }

    /// Whether an image can be launched now and holds what the manifest says of its version.
    fn holds(&self, image: &Image, version: &str) -> bool {
        let Some(listed) = self.facts.versions.get(version) else { return false };
        let source = tag(&image.tags, SOURCE);
        let same = !source.contains('/') || source == format!("{}/{}", listed.region, listed.id);
        tag(&image.tags, VERSION) == version
            && image.state == ImageState::Available
            && !image.sight.is_doubtful()
            && same
    }

    fn copy(&self, copy: &Copy) {
        let (region, version) = (copy.region.as_str(), copy.version.as_str());
        let view = self.seen(region);
        assert!(!self.facts.deleting && self.facts.regions.contains(region), "nobody asked for {version} in {region}");
        let listed = self.facts.versions.get(version).expect("only what is listed is copied");
        let source = format!("{}/{}", listed.region, listed.id);
        assert_eq!(copy.source.to_string(), source, "the copy is of another image");
        let found = self.observed.sources.get(&copy.source).expect("the source was looked up");
        assert!(found.as_ref().is_ok_and(|image| image.state == ImageState::Available), "the source is not available");
        let mut ours = self.images(region).filter(|image| tag(&image.tags, VERSION) == version);
        assert!(
            ours.all(|image| image.state == ImageState::Failed),
            "there is a live copy of {version} in {region} already"
        );
        assert!(!view.awaited.contains_key(&copy.version), "a copy of {version} in {region} is under way");
        let (owner, origin) = (tag(&copy.tags, OWNER), tag(&copy.tags, SOURCE));
        assert_eq!((owner, origin, tag(&copy.tags, VERSION)), (self.facts.owner.as_str(), source.as_str(), version));
    }

    fn tag(&self, region: &str, image: &str, resources: &[String], tags: &Tags, version: &str) {
        self.seen(region);
        if !self.images(region).any(|other| other.id.as_str() == image) {
            match tag(tags, ADOPTED) {
                "false" => self.taken_back(region, image, tags),
                _ => self.handed_over(region, image, version),
            }
        }
        for resource in resources {
            let has = |told: &Image| told.snapshots.iter().any(|snapshot| snapshot.as_str() == resource);
            let its_own = resource == image || self.told(region, image).any(has);
            assert!(its_own, "{resource} is not a part of {image}");
        }
        for key in tags.keys() {
            assert!(key.starts_with("amiops.dev/") || self.facts.tags.contains(key), "{key} is somebody else's tag");
        }
    }

    /// All that was told of an image: by a listing, and as a source. The two can differ, where one is stale.
    fn told<'i>(&'i self, region: &'i str, id: &'i str) -> impl Iterator<Item = &'i Image> {
        let sources = self.observed.sources.iter().filter(move |(source, _)| source.region.as_str() == region);
        let sources = sources.filter_map(|(_, found)| found.as_ref().ok());
        let listed = self.view(region).images.iter().flatten();
        listed.chain(sources).filter(move |image| image.id.as_str() == id)
    }

    /// A source that was ours and is to be somebody else's again.
    fn taken_back(&self, region: &str, id: &str, tags: &Tags) {
        assert_eq!(tags.len(), 1, "nothing else is written to what is given back");
        let lists = |adopt| self.facts.versions.values().any(|v| v.id == id && v.region == region && v.adopt == adopt);
        assert!(lists(false) && !lists(true), "{id} is not taken back");
        let image = self.view(region).images.iter().flatten().find(|image| image.id.as_str() == id);
        let image = image.expect("what is given back exists");
        assert_eq!(tag(&image.tags, OWNER), self.facts.owner, "only what was ours is given back");
    }

    /// A source that becomes ours.
    fn handed_over(&self, region: &str, id: &str, version: &str) {
        let listed = self.facts.versions.get(version).expect("only a listed version takes an image over");
        let asked = listed.adopt && listed.id == id && listed.region == region;
        assert!(asked && !self.facts.deleting, "{id} is not handed over");
        let (name, late) = (version.into(), !self.observed.listed_late_for.is_zero());
        let earlier = late && self.observed.begun_earlier.contains(&name);
        assert!(!earlier && self.view(region).may_list(&name).is_none(), "a copy of {id} may be there as well");
        let source = self
            .observed
            .sources
            .iter()
            .find(|(source, _)| source.id.as_str() == id && source.region.as_str() == region);
        let image = source.expect("the source was looked up").1.as_ref().expect("and found");
        assert!(
            self.observed.account.as_ref().is_some_and(|known| known.as_ref() == Ok(&image.account)),
            "{id} is of another account"
        );
        let legible = tag(&image.tags, ADOPTED) != "false"
            && tag(&image.tags, OWNER).split('/').count() == 3
            && image.tags.contains_key(VERSION);
        let same = tag(&image.tags, OWNER) == self.facts.owner && tag(&image.tags, VERSION) == version;
        assert!(!legible || same, "{id} is another's: {:?}", image.tags);
    }

    fn publish(&self, region: &str, version: &str, id: &str) {
        self.seen(region);
        let named =
            self.images(region).find(|image| image.id.as_str() == id).expect("a parameter names an image of ours");
        assert!(self.holds(named, version), "{id} is no available image of {version}");
        self.available_everywhere(version);
    }

    /// A channel without a parameter is its status: it may say only what is so.
    fn channels(&self, plan: &Plan) {
        for landing in &plan.landings {
            let found = self.facts.channels.iter().find(|(name, _, _)| landing.channel.as_str() == name);
            let (_, version, parameter) = found.expect("only channels of the manifest land");
            if parameter.is_none() && landing.version.is_some() {
                self.available_everywhere(version);
            }
        }
    }

    fn available_everywhere(&self, version: &str) {
        for region in &self.facts.regions {
            let available = self.images(region).any(|image| self.holds(image, version));
            assert!(available, "the channel moves although {version} is not available in {region}");
        }
    }

    fn deregister(&self, region: &str, id: &str) {
        let view = self.seen(region);
        let image =
            self.images(region).find(|image| image.id.as_str() == id).expect("only what is ours is deregistered");
        assert!(!image.protected, "{id} is protected");
        assert!(!image.sight.is_unlisted(), "{id} is not listed yet");
        assert!(!self.others.iter().any(|other| other.has_source(id)), "{id} is the source of another object");
        assert!(!self.observed.claimed.contains(&id.into()), "{id} is claimed");
        assert!(self.facts.goes() || !self.facts.has_source(id), "{id} is the source of a listed version");
        if image.state == ImageState::Failed {
            return;
        }
        assert!(self.observed.unreadable.is_empty(), "a manifest that cannot be read may name {id}");
        assert_eq!(self.observed.usage.get(&id.into()), Some(&Usage::Unused), "{id} is not known to be unused");
        for name in self.facts.parameters() {
            let read =
                view.parameters.get(&amiops::plan::ids::ParameterName::new(name)).expect("every parameter was read");
            let parameter = read.as_ref().expect("every parameter can be read").as_ref();
            let named = parameter
                .is_some_and(|p| p.names(&id.into()) || p.written.as_ref().is_some_and(|w| w.image.as_str() == id));
            assert!(!named, "{name} points to {id}");
        }
        if !self.facts.goes() {
            let version = tag(&image.tags, VERSION);
            assert!(!self.facts.deleting && self.facts.has_retention, "nobody asked for {id} to go");
            assert!(!self.facts.versions.contains_key(version), "{id} holds the listed version {version}");
            assert!(
                self.facts.channels.iter().all(|(_, pointed, _)| pointed != version),
                "a channel points to {version}"
            );
        }
    }

    fn delete_snapshot(&self, region: &str, id: &str) {
        let view = self.seen(region);
        let snapshot = view.snapshots.iter().flatten().find(|s| s.id.as_str() == id).expect("the snapshot exists");
        assert_eq!(tag(&snapshot.tags, OWNER), self.facts.owner, "{id} is not ours");
        assert_ne!(tag(&snapshot.tags, ADOPTED), "false", "{id} was given back");
        let held = view.images.iter().flatten().any(|image| image.snapshots.iter().any(|s| s.as_str() == id));
        assert!(!held, "an image has {id}");
    }

    fn last_images(&self, plan: &Plan) {
        for region in self.observed.regions.keys().filter(|_| !self.facts.goes()) {
            let goes = |image: &Image| {
                let leaves = |action: &Action| matches!(action, Action::Deregister { region: place, image: id, .. } if place == region && *id == image.id);
                plan.steps.iter().any(|step| leaves(&step.action))
            };
            let sound = |image: &&Image| image.state == ImageState::Available && !image.sight.is_doubtful();
            let loses = self.images(region.as_str()).any(|image| image.state == ImageState::Available && goes(image));
            let keeps = self.images(region.as_str()).filter(sound).any(|image| !goes(image));
            assert!(!loses || keeps, "{region} loses its last available image");
        }
    }

    fn all_gone(&self) -> bool {
        let nothing = |(region, view): (&amiops::plan::ids::RegionName, &RegionView)| {
            let current = view.images.is_some() && view.trouble.is_none();
            let absent =
                |name: &str| view.parameters.get(&amiops::plan::ids::ParameterName::new(name)) == Some(&Ok(None));
            let listed = view.awaited.is_empty() && view.unanswered.is_empty();
            current && listed && self.images(region.as_str()).next().is_none() && self.facts.parameters().all(absent)
        };
        self.facts.goes() && self.observed.regions.iter().all(nothing)
    }
}
