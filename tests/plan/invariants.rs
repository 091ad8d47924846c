//! What every plan must keep to, said once more without the planner's own words.

use std::collections::BTreeSet;

use amiops::plan::ids::{ImageRef, RegionName};
use amiops::plan::tags::{ADOPTED, OWNER, SOURCE, Tags, VERSION};
use amiops::plan::{Action, Image, ImageState, Plan, Reason, RegionView, Snapshot, Usage};

use crate::fixtures::World;

const US: &str = "default/images/web";

impl World {
    fn view(&self, region: &RegionName) -> &RegionView {
        self.observed.regions.get(region).expect("a plan acts only in regions that were looked at")
    }

    /// The images that are ours: tagged as ours, and made by us or handed over.
    fn ours(&self, region: &RegionName) -> Vec<&Image> {
        let ours = |image: &&Image| {
            let listed = || image.tags.get(VERSION).and_then(|v| self.desired.version(&v.as_str().into()));
            let tagged = image.tags.get(SOURCE).and_then(|s| ImageRef::parse(s));
            let source = tagged.or_else(|| listed().map(|v| v.source.clone()));
            let handed_over = source == Some(ImageRef { region: region.clone(), id: image.id.clone() });
            let carries = image.tags.get(OWNER).is_some_and(|owner| owner == US) && image.tags.contains_key(VERSION);
            let made = source.is_some() && image.made_from == source;
            let left_alone = self.desired.versions.iter().any(|v| v.source.id == image.id && !v.adopt);
            let handed_over = handed_over && !left_alone;
            let handed_back = image.tags.get(ADOPTED).is_some_and(|adopted| adopted == "false");
            carries && !handed_back && image.state != ImageState::Deregistered && (handed_over || made)
        };
        self.view(region).images.iter().flatten().filter(ours).collect()
    }

    fn is_listed(&self, image: &Image) -> bool {
        self.desired.version(&image.tags[VERSION].as_str().into()).is_some()
    }

    fn available(&self, region: &RegionName, version: &str) -> Vec<&Image> {
        let holds = |i: &&Image| i.tags[VERSION] == version && i.state == ImageState::Available;
        self.ours(region).into_iter().filter(holds).collect()
    }
}

/// Panics with a sentence if a plan breaks a rule.
pub(crate) fn check(world: &World, plan: &Plan) {
    let stands_still = world.desired.suspended || (world.desired.deleting && !world.desired.retires_all());
    assert!(!stands_still || plan.steps.is_empty(), "a suspended or retained object changes nothing");
    let mut told = BTreeSet::new();
    for replica in &plan.replicas {
        assert!(
            told.insert((&replica.version, &replica.region)),
            "told twice, which the status cannot hold: {replica:?}"
        );
    }
    let mut keys = BTreeSet::new();
    for step in &plan.steps {
        assert!(keys.insert(step.action.key()), "two steps do the same: {}", step.action);
        let region = step.action.region();
        match &step.action {
            Action::Copy(_) => check_copy(world, &step.action),
            Action::Tag { image, resources, tags, .. } => {
                sees(world, region);
                check_tag(world, region, image.as_str(), resources, tags, &step.reason);
            }
            Action::Publish { .. } => check_publish(world, &step.action),
            Action::Unpublish { .. } => assert!(world.desired.retires_all(), "a parameter goes only with its object"),
            Action::Deregister { image, .. } => {
                sees(world, region);
                let ours = world.ours(region);
                let image = ours.into_iter().find(|i| i.id == *image).expect("only what is ours is deregistered");
                check_deregister(world, region, image);
            }
            Action::DeleteSnapshot { snapshot, .. } => {
                sees(world, region);
                let view = world.view(region);
                let found = view.snapshots.iter().flatten().find(|s| s.id == *snapshot).expect("it exists");
                assert_eq!(found.tags.get(OWNER).map(String::as_str), Some(US), "only our snapshots are deleted");
                let held = view.images.iter().flatten().any(|i| i.snapshots.contains(snapshot));
                assert!(!held, "a snapshot that an image has is never deleted by itself");
            }
        }
    }
    check_last_images(world, plan);
    check_words(world, plan, stands_still);
    if plan.all_gone {
        check_all_gone(world);
    }
}

fn sees(world: &World, region: &RegionName) {
    assert!(world.view(region).is_current(), "{region} was not seen just now");
}

fn check_copy(world: &World, action: &Action) {
    let Action::Copy(copy) = action else { return };
    sees(world, &copy.region);
    assert!(!world.desired.deleting && world.desired.regions.contains_key(&copy.region));
    let live = world
        .ours(&copy.region)
        .into_iter()
        .find(|i| i.tags[VERSION] == copy.version.as_str() && i.state != ImageState::Failed);
    assert_eq!(live, None, "there is an image already");
    assert_eq!(copy.tags.get(OWNER).map(String::as_str), Some(US), "a copy is born with its owner");
    assert_eq!(copy.tags[SOURCE], copy.source.to_string());
    let earlier = world.ours(&copy.region).into_iter().filter(|i| i.tags[VERSION] == copy.version.as_str());
    let attempts = earlier.filter_map(|i| i.tags.get("amiops.dev/attempt")?.parse::<u32>().ok());
    assert!(attempts.max().is_none_or(|last| last < copy.attempt), "each attempt has a token of its own");
}

fn check_tag(world: &World, region: &RegionName, image: &str, resources: &[String], tags: &Tags, reason: &Reason) {
    let snapshots = if *reason == Reason::HandedOver {
        let adopts =
            |v: &&amiops::plan::Version| v.adopt && v.source.id.as_str() == image && v.source.region == *region;
        let version = world.desired.versions.iter().find(adopts).expect("only what is handed over is taken over");
        let unlisted = world.view(region).may_list(&version.name);
        let earlier = world.observed.begun_earlier.contains(&version.name) && !world.observed.listed_late_for.is_zero();
        assert!(unlisted.is_none() && !earlier, "a copy of {} in {region} may be there as well", version.name);
        let source = world.observed.sources[&version.source].as_ref().unwrap();
        assert!(source.tags.get(OWNER).is_none_or(|owner| owner == US));
        &source.snapshots
    } else if *reason == Reason::TakenBack {
        assert_eq!(
            *tags,
            Tags::from([(ADOPTED.into(), "false".into())]),
            "nothing else is written to what is given back"
        );
        let adopting = world.desired.versions.iter().any(|v| v.adopt && v.source.id.as_str() == image);
        assert!(!adopting, "only what is not handed over is given back");
        let image = world.view(region).images.iter().flatten().find(|i| i.id.as_str() == image).expect("it exists");
        assert_eq!(image.tags.get(OWNER).map(String::as_str), Some(US), "only what was ours is given back");
        &image.snapshots
    } else {
        let ours = world.ours(region);
        &ours.into_iter().find(|i| i.id.as_str() == image).expect("only what is ours is tagged").snapshots
    };
    for resource in resources {
        assert!(resource == image || snapshots.iter().any(|s| s.as_str() == resource), "{resource} is not of {image}");
    }
    for key in tags.keys() {
        assert!(key.starts_with("amiops.dev/") || world.desired.tags.contains_key(key), "{key} is somebody else's");
    }
}

fn check_publish(world: &World, action: &Action) {
    let Action::Publish { region, channel, version, parameter, image } = action else { return };
    sees(world, region);
    let pointed = world.desired.channels.iter().find(|c| c.name == *channel).expect("the channel exists");
    assert_eq!((&pointed.version, pointed.parameter.as_ref()), (version, Some(parameter)));
    assert!(world.available(region, version.as_str()).iter().any(|i| i.id == *image), "it names an available image");
    for region in world.desired.regions.keys() {
        assert!(!world.available(region, version.as_str()).is_empty(), "{version} is not available in {region}");
    }
}

fn check_deregister(world: &World, region: &RegionName, image: &Image) {
    let (view, id) = (world.view(region), &image.id);
    assert!(!image.protected, "{id} is protected");
    assert!(!image.sight.is_unlisted(), "{id} is not listed yet");
    assert!(!world.observed.claimed.contains(id), "{id} is the source of another object");
    let is_source = world.desired.versions.iter().any(|v| v.source.id == *id);
    assert!(!is_source || world.desired.retires_all(), "{id} is the source of a listed version");
    if image.state == ImageState::Failed {
        return;
    }
    assert!(world.observed.unreadable.is_empty(), "a manifest that cannot be read may name {id}");
    assert_eq!(world.observed.usage.get(id), Some(&Usage::Unused), "{id} is not known to be unused");
    for name in world.desired.channels.iter().filter_map(|c| c.parameter.as_ref()) {
        let read = view.parameters.get(name).expect("every parameter was read").as_ref().expect("and could be read");
        let named = read.as_ref().is_some_and(|p| p.names(id) || p.written.as_ref().is_some_and(|w| w.image == *id));
        assert!(!named, "{name} names {id}");
    }
    if !world.desired.retires_all() {
        assert!(!world.is_listed(image), "{id} holds a listed version");
        assert!(
            world.desired.channels.iter().all(|c| c.version.as_str() != image.tags[VERSION]),
            "a channel points to {id}"
        );
        assert!(world.desired.keep_last.is_some(), "without retention nothing goes");
    }
}

fn check_last_images(world: &World, plan: &Plan) {
    let goes = |image: &Image| {
        plan.steps.iter().any(|s| matches!(&s.action, Action::Deregister { image: id, .. } if *id == image.id))
    };
    for region in world.observed.regions.keys().filter(|_| !world.desired.retires_all()) {
        let ours = world.ours(region);
        let available: Vec<_> = ours.into_iter().filter(|i| i.state == ImageState::Available).collect();
        let stays = available.iter().any(|image| !goes(image));
        assert!(available.is_empty() || stays, "{region} loses its last available image");
    }
}

/// Nothing stands still without a word.
fn check_words(world: &World, plan: &Plan, stands_still: bool) {
    for departure in &plan.departures {
        let acts = plan.steps.iter().any(|s| match &s.action {
            Action::Deregister { image, .. } => image.as_str() == departure.id,
            Action::DeleteSnapshot { snapshot, .. } => snapshot.as_str() == departure.id,
            _ => false,
        });
        assert!(stands_still || acts == departure.blocked_by.is_none(), "{} neither goes nor is kept", departure.id);
        assert!(departure.blocked_by.as_ref().is_none_or(|sentence| !sentence.is_empty()));
    }
    for replica in plan.replicas.iter().filter(|r| r.wanted && !stands_still) {
        let image = world.ours(&replica.region).into_iter().find(|i| Some(&i.id) == replica.image.as_ref());
        let settled = image.is_some_and(|i| matches!(i.state, ImageState::Available | ImageState::Pending));
        let acts = plan
            .steps
            .iter()
            .any(|s| s.action.region() == &replica.region && s.action.version() == Some(&replica.version));
        let unseen = world.view(&replica.region).images.is_none();
        assert!(settled || acts || unseen || replica.error.is_some(), "{replica:?} without a word");
    }
    for landing in plan.landings.iter().filter(|_| !stands_still) {
        let pointed = world.desired.channels.iter().find(|c| c.name == landing.channel).unwrap();
        let landed = landing.version.as_ref() == Some(&pointed.version);
        let acts = plan.steps.iter().any(|s| s.action.verb() == "Publish" && s.action.region() == &landing.region);
        assert!(landed || acts || landing.error.is_some(), "{landing:?} without a word");
    }
}

fn check_all_gone(world: &World) {
    assert!(world.desired.retires_all());
    for (region, view) in &world.observed.regions {
        sees(world, region);
        assert!(world.ours(region).is_empty(), "{region} still has images of ours");
        assert!(view.awaited.is_empty() && view.unanswered.is_empty(), "{region} may come to list a copy");
        let held = |s: &Snapshot| view.images.iter().flatten().any(|image| image.snapshots.contains(&s.id));
        let tagged = |s: &Snapshot| s.tags.get(OWNER).is_some_and(|owner| owner == US) && s.tags.contains_key(VERSION);
        let ours = |s: &&Snapshot| tagged(s) && !held(s);
        assert_eq!(view.snapshots.as_ref().expect("snapshots were listed").iter().find(ours), None);
        for name in world.desired.channels.iter().filter_map(|c| c.parameter.as_ref()) {
            assert_eq!(view.parameters.get(name), Some(&Ok(None)), "{name} is left in {region}");
        }
    }
}
