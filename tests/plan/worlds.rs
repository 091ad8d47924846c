//! Worlds at random: small, and full of what goes wrong.
//!
//! A [`Case`] is plain data that shrinks well; [`Case::world`] builds the question to the planner from it.

use amiops::api::DeletionPolicy;
use amiops::plan::ids::{ImageId, ImageRef, SnapshotId};
use amiops::plan::tags;
use amiops::plan::{ImageState, Parameter, RegionView, Shown, Sight, Snapshot, Usage, User, Written};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use crate::fixtures::{World, id, listed, manifest_of, minutes, now, source, trouble};

/// The versions that there may be; those that a manifest lists are among the last three.
pub(crate) const VERSIONS: [&str; 5] = ["0.8", "0.9", "1.0", "2.0", "3.0"];
/// The regions; the first is never in the manifest, but may still hold images.
pub(crate) const REGIONS: [&str; 3] = ["ap-south-1", "eu-west-1", "us-east-1"];
/// The parameters of the two channels.
pub(crate) const PARAMETERS: [&str; 2] = ["/golden/web/prod", "/golden/web/next"];

#[derive(Clone, Debug)]
pub(crate) struct Case {
    listed: Vec<&'static str>,
    adopted: bool,
    chained: bool,
    dated: bool,
    regions: Vec<&'static str>,
    channels: Vec<(usize, bool)>,
    keep_last: Option<usize>,
    deletes: bool,
    deleting: bool,
    suspended: bool,
    views: Vec<View>,
    sources: Vec<(ImageState, bool)>,
    claimed: Vec<usize>,
    requested: bool,
}

#[derive(Clone, Debug)]
struct View {
    complete: bool,
    images: Option<Vec<Made>>,
    snapshots_listed: bool,
    loose: Vec<(usize, bool, u64)>,
    in_trouble: bool,
    awaited: Option<(usize, u64, bool)>,
    attempts: Option<(usize, u32)>,
    parameters: Vec<Read>,
}

/// An image, and all that may be odd about it.
#[derive(Clone, Debug)]
struct Made {
    version: usize,
    kind: Kind,
    state: ImageState,
    attempt: u32,
    age: u64,
    protected: bool,
    sight: Sight,
    drift: Option<&'static str>,
    snapshot_pending: bool,
    snapshot_drift: bool,
    usage: Use,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Ours,
    Adopted,
    OfAnotherSource,
    OfAnotherObject,
    Untagged,
    CopiedByHand,
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Unused,
    Used,
    Unknown,
    NotAsked,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Absent,
    Names(usize),
    Foreign,
    Written(usize, u64, bool),
    Denied,
    Unread,
}

fn made() -> impl Strategy<Value = Made> {
    let kind = prop_oneof![
        8 => Just(Kind::Ours), 1 => Just(Kind::Adopted), 1 => Just(Kind::OfAnotherSource),
        1 => Just(Kind::OfAnotherObject), 1 => Just(Kind::Untagged), 1 => Just(Kind::CopiedByHand),
    ];
    let state = prop_oneof![
        6 => Just(ImageState::Available), 2 => Just(ImageState::Pending), 2 => Just(ImageState::Failed),
        1 => Just(ImageState::Disabled), 1 => Just(ImageState::Deregistered),
    ];
    let usage =
        prop_oneof![6 => Just(Use::Unused), 1 => Just(Use::Used), 1 => Just(Use::Unknown), 1 => Just(Use::NotAsked)];
    let drift = weighted(0.3, select(vec!["team", tags::RELEASED_AT, tags::SOURCE, tags::ATTEMPT]));
    let rare = || prop::bool::weighted(0.1);
    let sight = prop_oneof![
        8 => Just(Sight::Listed), 1 => Just(Sight::Assumed), 1 => Just(Sight::Missed), 1 => Just(Sight::Claimed),
    ];
    let what = (0..VERSIONS.len(), kind, state, 1..4_u32, 0..3000_u64);
    (what, drift, usage, rare(), sight, rare(), rare()).prop_map(
        |((version, kind, state, attempt, age), drift, usage, protected, sight, snapshot_pending, snapshot_drift)| {
            Made {
                version,
                kind,
                state,
                attempt,
                age,
                protected,
                sight,
                drift,
                snapshot_pending,
                snapshot_drift,
                usage,
            }
        },
    )
}

fn view() -> impl Strategy<Value = View> {
    let read = prop_oneof![
        3 => Just(Read::Absent), 4 => (0..5_usize).prop_map(Read::Names), 1 => Just(Read::Foreign),
        2 => (0..3_usize, select(vec![0, 5, 15]), any::<bool>())
            .prop_map(|(image, ago, answered)| Read::Written(image, ago, answered)),
        1 => Just(Read::Denied), 1 => Just(Read::Unread),
    ];
    (
        any::<bool>(),
        weighted(0.95, vec(made(), 0..6)),
        prop::bool::weighted(0.9),
        vec((0..VERSIONS.len(), any::<bool>(), 0..120_u64), 0..2),
        prop::bool::weighted(0.1),
        weighted(0.15, (0..VERSIONS.len(), 0..20_u64, any::<bool>())),
        weighted(0.15, (0..VERSIONS.len(), 1..4_u32)),
        vec(read, PARAMETERS.len()),
    )
        .prop_map(|(complete, images, snapshots_listed, loose, in_trouble, awaited, attempts, parameters)| View {
            complete,
            images,
            snapshots_listed,
            loose,
            in_trouble,
            awaited,
            attempts,
            parameters,
        })
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let source =
        prop_oneof![8 => Just(ImageState::Available), 1 => Just(ImageState::Pending), 1 => Just(ImageState::Failed)];
    let manifest = (
        subsequence(VERSIONS[2..].to_vec(), 1..=3),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2)),
        any::<bool>(),
        subsequence(REGIONS[1..].to_vec(), 1..=2),
        vec((0..3_usize, prop::bool::weighted(0.9)), 0..=2),
        weighted(0.8, 0..3_usize),
    );
    let fate = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (manifest, fate, vec(view(), REGIONS.len()), vec((source, prop::bool::weighted(0.1)), 3), vec(0..20_usize, 0..2))
        .prop_map(
            |(
                (listed, (adopted, chained), dated, regions, channels, keep_last),
                (deletes, deleting, suspended, requested),
                views,
                sources,
                claimed,
            )| {
                Case {
                    listed,
                    adopted,
                    chained,
                    dated,
                    regions,
                    channels,
                    keep_last,
                    deletes,
                    deleting,
                    suspended,
                    views,
                    sources,
                    claimed,
                    requested,
                }
            },
        )
}

impl Case {
    pub(crate) fn world(&self) -> World {
        let mut world = World { desired: self.desired(), observed: Default::default(), now: now() };
        world.observed.account = Some(Ok(crate::fixtures::ACCOUNT.into()));
        world.observed.requested = self.requested;
        for (version, (state, taken)) in world.desired.versions.clone().iter().zip(&self.sources) {
            let mut found = source(&version.source);
            found.state = *state;
            if *taken {
                found.tags = world.tags("another version", 1);
            }
            world.observed.sources.insert(version.source.clone(), Ok(found));
        }
        for (region, view) in REGIONS.iter().zip(&self.views) {
            view.build(&mut world, region);
        }
        if self.chained {
            chain(&mut world);
        }
        let images: Vec<_> = world.observed.regions.values().flat_map(|v| v.images.iter().flatten()).collect();
        let claimed = self.claimed.iter().filter_map(|n| images.get(*n)).map(|image| image.id.clone()).collect();
        world.observed.claimed = claimed;
        world
    }

    fn desired(&self) -> amiops::plan::Desired {
        let version = |name: &&str| {
            let adopt = self.adopted && self.regions.contains(&"us-east-1");
            let source = json!({"image": {"region": "us-east-1", "id": format!("ami-src-{name}"), "adopt": adopt}});
            let mut version = json!({"version": name, "source": source});
            if self.dated {
                version["releasedAt"] = json!(format!("2026-01-0{}T00:00:00Z", &name[..1]));
            }
            version
        };
        let channel = |(n, (version, publishes)): (usize, &(usize, bool))| {
            let version = self.listed[version % self.listed.len()];
            let name = ["prod", "next"][n];
            let mut channel = json!({"name": name, "version": version});
            if *publishes {
                channel["publish"] = json!({"ssmParameter": PARAMETERS[n]});
            }
            channel
        };
        let mut spec = json!({
            "versions": self.listed.iter().map(version).collect::<Vec<_>>(),
            "regions": self.regions.iter().map(|r| json!({"region": r})).collect::<Vec<_>>(),
            "channels": self.channels.iter().enumerate().map(channel).collect::<Vec<_>>(),
            "tags": {"team": "web"},
            "suspend": self.suspended,
        });
        if let Some(keep_last) = self.keep_last {
            spec["retention"] = json!({"keepLast": keep_last});
        }
        let mut desired =
            amiops::plan::Desired::parse(&manifest_of(serde_json::from_value(spec).unwrap()), "default").unwrap();
        desired.deletion_policy = if self.deletes { DeletionPolicy::Delete } else { DeletionPolicy::Retain };
        desired.deleting = self.deleting;
        desired
    }
}

/// Makes an image that may be ours the source of the last version.
fn chain(world: &mut World) {
    let Some(image) = world.region("us-east-1").images.iter().flatten().next_back().cloned() else { return };
    let source = ImageRef { region: "us-east-1".into(), id: image.id.clone() };
    let Some((version, others)) = world.desired.versions.split_last_mut() else { return };
    // The schema refuses a manifest in which an adopted image is the source of another version too.
    if !others.iter().any(|other| other.adopt && other.source == source) {
        (version.source, version.adopt) = (source.clone(), false);
        world.observed.sources.insert(source, Ok(image));
    }
}

impl View {
    fn build(&self, world: &mut World, region: &str) {
        *world.region(region) = listed();
        for version in world.desired.versions.clone().iter().filter(|_| self.complete) {
            let image = world.hold(region, version.name.as_str()).id.clone();
            world.observed.usage.insert(image, Usage::Unused);
        }
        for (n, made) in self.images.iter().flatten().enumerate() {
            made.build(world, region, n);
        }
        for (n, (version, ours, age)) in self.loose.iter().enumerate() {
            let tags = if *ours { world.tags(VERSIONS[*version], 1) } else { Default::default() };
            let id = SnapshotId::new(format!("snap-loose-{region}-{n}"));
            let snapshot = Snapshot { id, started: Some(now() - minutes(*age)), pending: false, tags };
            world.region(region).snapshots.as_mut().unwrap().push(snapshot);
        }
        let names: Vec<_> = world.desired.channels.iter().filter_map(|c| c.parameter.clone()).collect();
        let view = world.region(region);
        for (name, read) in names.into_iter().zip(&self.parameters) {
            if let Some(answer) = read.answer(view) {
                view.parameters.insert(name, answer);
            }
        }
        view.trouble = self.in_trouble.then(|| trouble("Timeout", "no answer"));
        if let Some((version, wait, exists)) = self.awaited {
            let copies = if exists { &mut view.awaited } else { &mut view.unanswered };
            copies.insert(VERSIONS[version].into(), minutes(wait));
        }
        view.attempts.extend(self.attempts.map(|(v, n)| (VERSIONS[v].into(), n)));
        if !self.snapshots_listed {
            view.snapshots = None;
        }
        if self.images.is_none() {
            view.images = None;
        }
    }
}

impl Made {
    fn build(&self, world: &mut World, region: &str, n: usize) {
        let version = VERSIONS[self.version];
        let adopted = matches!(self.kind, Kind::Adopted);
        let source = ImageId::new(format!("ami-src-{version}"));
        let exists = world.region(region).images.iter().flatten().any(|image| image.id == source);
        if adopted && (region != "us-east-1" || exists) {
            return;
        }
        if adopted
            && let Some(Ok(found)) =
                world.observed.sources.get_mut(&ImageRef { region: region.into(), id: source.clone() })
        {
            // Looked up or listed, it is one image.
            found.state = self.state;
        }
        let id = if adopted { source.to_string() } else { format!("{}-{n}", id(region, version)) };
        let image = world.hold_as(region, version, &id, self.attempt);
        image.created = Some(now() - minutes(self.age));
        (image.state, image.protected, image.sight) = (self.state, self.protected, self.sight);
        let another = ImageRef { region: "us-east-1".into(), id: "ami-src-another".into() };
        match self.kind {
            Kind::Ours => {}
            Kind::Adopted => image.made_from = None,
            Kind::OfAnotherSource => {
                image.tags.insert(tags::SOURCE.into(), another.to_string());
                image.made_from = Some(another);
            }
            Kind::OfAnotherObject => _ = image.tags.insert(tags::OWNER.into(), "default/images/db".into()),
            Kind::Untagged => image.tags.clear(),
            Kind::CopiedByHand => image.made_from = Some(another),
        }
        self.drift.map(|key| image.tags.remove(key));
        let (id, tags) = (image.id.clone(), image.tags.clone());
        let snapshot = world.snapshot(region, &format!("snap-{id}"));
        (snapshot.pending, snapshot.tags) = (self.snapshot_pending, tags);
        if self.snapshot_drift {
            snapshot.tags.remove("team");
        }
        let usage = match self.usage {
            Use::Unused => Some(Usage::Unused),
            Use::Used => Some(Usage::Used(vec![User::Other("instance i-1".into())])),
            Use::Unknown => Some(Usage::Unknown(trouble("UnauthorizedOperation", "not allowed to look"))),
            Use::NotAsked => None,
        };
        world.observed.usage.extend(usage.map(|usage| (id, usage)));
    }
}

impl Read {
    fn answer(self, view: &RegionView) -> Option<Result<Option<Parameter>, amiops::plan::Trouble>> {
        let image = |n: usize| view.images.iter().flatten().nth(n).map(|image| image.id.clone());
        let shown = |value: String| Some(Shown { value, modified: Some(now()), is_image: true });
        let named = |shown, written| Some(Ok(Some(Parameter { shown, written })));
        match self {
            Self::Absent => Some(Ok(None)),
            Self::Names(n) => named(shown(image(n)?.to_string()), None),
            Self::Foreign => named(shown("ami-foreign".into()), None),
            Self::Written(n, ago, answered) => {
                let written = Written { image: image(n)?, ago: minutes(ago), answered };
                named(None, Some(written))
            }
            Self::Denied => Some(Err(trouble("AccessDenied", "not allowed to read"))),
            Self::Unread => None,
        }
    }
}
