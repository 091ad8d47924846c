//! Manifests from short YAML, and worlds in which everything is as it should be until a test changes it.

use std::time::Duration;

use amiops::api::{MachineImage, MachineImageSpec};
use amiops::plan::ids::{ImageId, ImageRef, ParameterName, RegionName, SnapshotId, VersionName};
use amiops::plan::tags::{self, Ownership, Tags};
use amiops::plan::{
    Class, Departure, Desired, Failure, Image, ImageState, Key, Landing, Observed, Parameter, Plan, Problem,
    RegionView, Replica, Shown, Sight, Snapshot, Trouble, Usage, plan,
};
use jiff::Timestamp;

/// One version in two regions; the second has a key of its own.
pub(crate) const WEB: &str = "
versions:
- {version: 1.4.2, releasedAt: '2026-11-20T09:00:00Z', source: {image: {region: us-east-1, id: ami-src-1.4.2}}}
regions: [{region: us-east-1}, {region: eu-west-1, kmsKeyId: alias/golden}]
tags: {team: web}
";

/// The account of all images that amiops may change.
pub(crate) const ACCOUNT: &str = "111111111111";

/// The time of every plan, unless a test moves it.
pub(crate) fn now() -> Timestamp {
    at("2026-11-24T12:00:00Z")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) const fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// The object `images/web` with this spec.
pub(crate) fn manifest(spec: &str) -> MachineImage {
    manifest_of(serde_saphyr::from_str(spec).unwrap())
}

pub(crate) fn manifest_of(spec: MachineImageSpec) -> MachineImage {
    let mut object = MachineImage::new("web", spec);
    object.metadata.namespace = Some("images".into());
    object
}

pub(crate) fn desired(spec: &str) -> Desired {
    Desired::parse(&manifest(spec), "default").unwrap()
}

/// A question to the planner, built up by a test.
pub(crate) struct World {
    pub(crate) desired: Desired,
    pub(crate) observed: Observed,
    pub(crate) now: Timestamp,
}

/// What a case of a table does to a world that is in order.
pub(crate) type Change = fn(&mut World);

/// A world without images of ours: every region was listed, every source found, no parameter exists.
pub(crate) fn world(spec: &str) -> World {
    let observed = Observed { account: Some(Ok(ACCOUNT.into())), ..Observed::default() };
    let mut world = World { desired: desired(spec), observed, now: now() };
    for region in world.desired.regions.clone().keys() {
        world.region(region.as_str());
    }
    for version in &world.desired.versions {
        world.observed.sources.insert(version.source.clone(), Ok(source(&version.source)));
    }
    world
}

/// The same, with an available image of every listed version in every region.
pub(crate) fn complete(spec: &str) -> World {
    let mut world = world(spec);
    for version in world.desired.versions.clone() {
        for region in world.desired.regions.clone().keys() {
            world.hold(region.as_str(), version.name.as_str());
        }
    }
    world
}

/// A region that was listed and holds nothing.
pub(crate) fn listed() -> RegionView {
    RegionView { images: Some(Vec::new()), snapshots: Some(Vec::new()), ..RegionView::default() }
}

/// An image that nobody has tagged, as a build makes it.
pub(crate) fn source(source: &ImageRef) -> Image {
    Image {
        id: source.id.clone(),
        name: format!("build-{}", source.id),
        account: ACCOUNT.into(),
        state: ImageState::Available,
        state_reason: None,
        created: Some(at("2026-11-19T06:00:00Z")),
        made_from: None,
        snapshots: vec![SnapshotId::new(format!("snap-of-{}", source.id))],
        tags: Tags::new(),
        protected: false,
        sight: Sight::Listed,
    }
}

/// The id that [`World::hold`] gives to an image.
pub(crate) fn id(region: &str, version: &str) -> String {
    format!("ami-{version}-{region}")
}

pub(crate) fn trouble(code: &str, message: &str) -> Trouble {
    Trouble::new(Class::NeedsPerson, code, message)
}

impl World {
    pub(crate) fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, self.now)
    }

    /// The steps as a person reads them, each with its reason.
    pub(crate) fn steps(&self) -> Vec<String> {
        sentences(&self.plan())
    }

    pub(crate) fn region(&mut self, region: &str) -> &mut RegionView {
        let parameters = self.desired.channels.iter().filter_map(|c| c.parameter.clone()).map(|p| (p, Ok(None)));
        let view = || RegionView { parameters: parameters.collect(), ..listed() };
        self.observed.regions.entry(region.into()).or_insert_with(view)
    }

    /// The tags that our image of a version carries: as the manifest says, or as an earlier one said.
    pub(crate) fn tags(&self, version: &str, attempt: u32) -> Tags {
        let listed = self.desired.version(&version.into());
        let elsewhere = || ImageRef { region: "us-east-1".into(), id: ImageId::new(format!("ami-src-{version}")) };
        let ownership = Ownership {
            owner: self.desired.owner.clone(),
            version: version.into(),
            source: Some(listed.map_or_else(elsewhere, |v| v.source.clone())),
            released_at: listed.and_then(|v| v.released_at).or(Some(at("2026-11-01T00:00:00Z"))),
            attempt,
            adopted: false,
        };
        let mut tags = self.desired.tags.clone();
        tags.extend(ownership.write());
        tags
    }

    /// Adds a copy of a version that amiops made two days ago, with its snapshot, all in order.
    pub(crate) fn hold(&mut self, region: &str, version: &str) -> &mut Image {
        self.hold_as(region, version, &id(region, version), 1)
    }

    /// The same under an id, made by a certain attempt.
    pub(crate) fn hold_as(&mut self, region: &str, version: &str, id: &str, attempt: u32) -> &mut Image {
        let tags = self.tags(version, attempt);
        let created = Some(at("2026-11-22T12:00:00Z"));
        let snapshot = Snapshot { id: format!("snap-{id}").as_str().into(), started: created, pending: false, tags };
        let image = Image {
            id: id.into(),
            name: format!("web-{version}"),
            created,
            made_from: tags::Ownership::read(&snapshot.tags).and_then(|o| o.source),
            snapshots: vec![snapshot.id.clone()],
            tags: snapshot.tags.clone(),
            ..source(&ImageRef { region: region.into(), id: id.into() })
        };
        let view = self.region(region);
        view.snapshots.as_mut().unwrap().push(snapshot);
        let images = view.images.as_mut().unwrap();
        images.push(image);
        images.last_mut().unwrap()
    }

    /// Adds an image of a version that the manifest no longer lists and that nobody uses.
    pub(crate) fn hold_left(&mut self, region: &str, version: &str, released: &str) {
        let image = self.hold(region, version);
        image.tags.insert(tags::RELEASED_AT.into(), released.into());
        let id = image.id.clone();
        self.observed.usage.insert(id, Usage::Unused);
    }

    /// Adds a failed copy, made `age` ago.
    pub(crate) fn hold_failed(&mut self, region: &str, version: &str, attempt: u32, age: Duration) -> &mut Image {
        let created = self.now - age;
        let image = self.hold_as(region, version, &format!("ami-failed-{attempt}"), attempt);
        image.state = ImageState::Failed;
        image.state_reason = Some("Given key ID is not accessible".into());
        image.created = Some(created);
        image
    }

    pub(crate) fn image(&mut self, region: &str, id: &str) -> &mut Image {
        let images = self.region(region).images.as_mut().unwrap();
        images.iter_mut().find(|image| image.id.as_str() == id).unwrap()
    }

    pub(crate) fn snapshot(&mut self, region: &str, id: &str) -> &mut Snapshot {
        let snapshots = self.region(region).snapshots.as_mut().unwrap();
        snapshots.iter_mut().find(|snapshot| snapshot.id.as_str() == id).unwrap()
    }

    /// A parameter names an image since yesterday.
    pub(crate) fn parameter(&mut self, region: &str, name: &str, value: &str) -> &mut Parameter {
        let shown = Shown { value: value.into(), modified: Some(at("2026-11-23T12:00:00Z")), is_image: true };
        let parameter = Parameter { shown: Some(shown), written: None };
        let parameters = &mut self.region(region).parameters;
        parameters.insert(ParameterName::new(name), Ok(Some(parameter)));
        parameters.get_mut(&ParameterName::new(name)).unwrap().as_mut().unwrap().as_mut().unwrap()
    }

    /// An action failed before, and is not tried again for a while.
    pub(crate) fn failed_before(&mut self, key: Key, message: &str, wait: Duration) {
        let trouble = trouble("UnauthorizedOperation", message);
        self.observed.failures.insert(key, Failure { trouble, wait });
    }
}

/// The steps of a plan as a person reads them.
pub(crate) fn sentences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| format!("{} ({})", step.action, step.reason)).collect()
}

pub(crate) fn replica<'p>(plan: &'p Plan, region: &str, version: &str) -> &'p Replica {
    let found = plan.replicas.iter().find(|r| r.region.as_str() == region && r.version.as_str() == version);
    found.expect("the plan tells of this replica")
}

pub(crate) fn landing<'p>(plan: &'p Plan, channel: &str, region: &str) -> &'p Landing {
    let found = plan.landings.iter().find(|l| l.region.as_str() == region && l.channel.as_str() == channel);
    found.expect("the plan tells of this channel")
}

pub(crate) fn departure<'p>(plan: &'p Plan, id: &str) -> &'p Departure {
    plan.departures.iter().find(|d| d.id == id).expect("the plan tells of this departure")
}

/// The only problem with this code.
pub(crate) fn problem<'p>(plan: &'p Plan, code: &str) -> &'p Problem {
    let mut found = plan.problems.iter().filter(|p| p.code == code);
    let problem = found.next().unwrap_or_else(|| panic!("no problem {code} among {:?}", plan.problems));
    assert!(found.next().is_none(), "more than one problem {code}");
    problem
}

pub(crate) fn key(verb: &'static str, region: &str, subject: &str) -> Key {
    Key { verb, region: RegionName::new(region), subject: subject.into() }
}

pub(crate) fn version(name: &str) -> VersionName {
    VersionName::new(name)
}
