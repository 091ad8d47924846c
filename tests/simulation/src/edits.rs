//! How a seed draws a manifest, and how people edit one.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::json;

use crate::manifest::{FOREIGN, LAST, Manifest, OBJECTS, Origin, REGIONS, SOURCES, Version, source_id};

/// The number of the version that is copied from an image of amiops's.
const CHAINED: usize = SOURCES - 1;

/// The numbers of versions that come by the dozen.
const CROWD: std::ops::Range<usize> = 20..31;

/// Channels that stay where they are.
const MANY: [&str; 10] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];
/// A date before all others, and one after them.
const DATES: [&str; 2] = ["2020-02-29T23:59:59Z", "2031-01-01T00:00:00Z"];

impl Manifest {
    /// A manifest as a team would begin with.
    pub(crate) fn first(object: &'static str, rng: &mut Rng) -> Self {
        let versions = (0..rng.usize(1..4)).map(|number| version(number, rng)).collect::<Vec<_>>();
        let mut manifest = Self {
            object,
            regions: REGIONS.into_iter().map(|r| (r, rng.u8(..4) == 0)).collect(),
            tags: BTreeMap::from([("team".into(), object.into())]),
            channels: BTreeMap::from([("prod", versions[0].number)]),
            silent: [None, None, Some("staging"), Some("prod")][rng.usize(..4)],
            versions,
            keep_last: [None, Some(0), Some(0), Some(1)][rng.usize(..4)],
            delete: rng.bool(),
            suspend: false,
            guarded: false,
            released: BTreeMap::new(),
            fields: Vec::new(),
        };
        manifest.draw_particulars(&mut Rng::with_seed(!rng.clone().u64(..)));
        if rng.u8(..3) == 0 {
            manifest.regions.remove(REGIONS[2]);
        }
        manifest.mend_adoption();
        manifest
    }

    /// What stays as it is for as long as the object lives: dates of release, and how images are named.
    fn draw_particulars(&mut self, rng: &mut Rng) {
        if rng.u8(..4) == 0 {
            for _ in 0..2 {
                self.released.insert(rng.usize(..SOURCES), DATES[rng.usize(..2)]);
            }
        }
        if rng.u8(..4) == 0 {
            self.set("/nameTemplate", json!("{namespace}.{name}.{version}"));
        }
        self.guarded = rng.u8(..6) == 0;
        // More parameters than SSM reads at once.
        if rng.u8(..20) == 0 {
            self.channels.extend(MANY.map(|channel| (channel, self.versions[0].number)));
        }
    }

    /// The manifest after somebody has edited it.
    pub(crate) fn edited(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        match rng.u8(..24) {
            0..=3 => manifest.add_version(rng),
            4..=7 => manifest.drop_version(rng),
            8..=12 => manifest.move_channel(rng),
            13 => manifest.keep_last = [None, Some(0), Some(1), Some(2)][rng.usize(..4)],
            14 | 22 => {
                let key = format!("key{}", rng.u8(..3));
                manifest.tags.insert(key, rng.u8(..3).to_string());
            }
            15 => manifest.toggle_region(rng),
            16 => manifest.suspend = !manifest.suspend,
            21 => manifest = self.with_other_source(rng),
            17..=20 => manifest = self.without_one([0, 0, 1][rng.usize(..3)], rng),
            _ if rng.bool() => manifest = self.handed_over_or_taken_back(rng),
            _ => manifest.delete = !manifest.delete,
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with a channel that there was never before, to a version that there is already.
    pub(crate) fn with_new_channel(&self) -> Self {
        let mut manifest = self.clone();
        manifest.channels.extend(self.versions.first().map(|version| ("canary", version.number)));
        manifest
    }

    /// The manifest with one more version, if there is one that it does not have.
    pub(crate) fn with_free_version(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let free: Vec<_> = (0..FOREIGN).filter(|number| self.lacks(*number)).collect();
        let number = rng.choice(free);
        manifest.versions.extend(number.map(|number| Version { number, adopt: false, origin: Origin::Baked }));
        manifest
    }

    /// The manifest with more versions than EC2 tells the users of at once, all of one source.
    pub(crate) fn with_crowd(&self) -> Self {
        let mut manifest = self.clone();
        let origin = Origin::Image(REGIONS[0].to_owned(), source_id(self.object, 0));
        let new = CROWD.filter(|number| self.lacks(*number));
        manifest.versions.extend(new.map(|number| Version { number, adopt: false, origin: origin.clone() }));
        manifest
    }

    /// The manifest without those, and without what retention would keep of them.
    pub(crate) fn without_crowd(&self) -> Self {
        let mut manifest = self.clone();
        manifest.versions.retain(|version| !CROWD.contains(&version.number));
        manifest.channels.retain(|_, number| !CROWD.contains(number));
        manifest.keep_last = Some(0);
        manifest
    }

    pub(crate) fn lacks(&self, number: usize) -> bool {
        self.versions.iter().all(|version| version.number != number)
    }

    fn add_version(&mut self, rng: &mut Rng) {
        let number = rng.usize(..SOURCES);
        if self.lacks(number) {
            self.versions.push(version(number, rng));
        }
    }

    /// The manifest that hands the source of one more version over, or takes it back.
    pub(crate) fn handed_over_or_taken_back(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        if let Some(version) = rng.choice(&mut manifest.versions) {
            version.adopt = !version.adopt;
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest that hands the source of its last version over.
    pub(crate) fn with_last_handed_over(&self) -> Self {
        let mut manifest = self.clone();
        manifest.versions.last_mut().into_iter().for_each(|version| version.adopt = true);
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with other versions instead of all that there are, and a channel that points to one of them.
    pub(crate) fn renewed(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let free = (0..SOURCES).filter(|number| self.lacks(*number));
        let mut others: Vec<_> = free.map(|number| version(number, rng)).collect();
        rng.shuffle(&mut others);
        others.truncate(rng.usize(1..3));
        if let Some(newest) = others.first() {
            manifest.channels = BTreeMap::from([("prod", newest.number)]);
            manifest.keep_last = Some(0);
            manifest.versions = others;
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with one more version, of the source of another; both are mostly handed over.
    pub(crate) fn with_twin(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let number = (0..SOURCES).find(|number| self.lacks(*number));
        if let (Some(first), Some(number)) = (rng.choice(&mut manifest.versions), number) {
            first.adopt |= rng.u8(..3) != 0;
            let (region, id) = first.source(self.object);
            let twin = Version { number, adopt: rng.u8(..3) != 0, origin: Origin::Image(region, id) };
            manifest.versions.push(twin);
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with a version that hands over a source.
    pub(crate) fn with_adopted(&self, number: usize, source: &str) -> Self {
        let mut manifest = self.clone();
        let origin = Origin::Image(REGIONS[0].into(), source.into());
        manifest.versions.push(Version { number, adopt: true, origin });
        manifest.mend_adoption();
        manifest
    }

    /// The manifest in which a version, mostly one whose source is handed over, has another name; channels follow it.
    pub(crate) fn renamed(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let number = (0..SOURCES).find(|number| self.lacks(*number));
        let version = manifest.versions.iter_mut().max_by_key(|version| version.adopt);
        if let (Some(version), Some(number)) = (version, number) {
            let (region, id) = version.source(self.object);
            version.origin = Origin::Image(region, id);
            let former = std::mem::replace(&mut version.number, number);
            version.adopt |= rng.u8(..4) != 0;
            manifest.channels.values_mut().filter(|to| **to == former).for_each(|to| *to = number);
        }
        manifest.mend_adoption();
        manifest
    }

    /// Sometimes a version goes that a channel still points to: the API server refuses that.
    fn drop_version(&mut self, rng: &mut Rng) {
        if self.versions.is_empty() {
            return;
        }
        let index = rng.usize(..self.versions.len());
        let number = self.versions[index].number;
        let pointed_to = self.channels.values().any(|v| *v == number);
        if !pointed_to || rng.u8(..8) == 0 {
            self.versions.remove(index);
        }
    }

    /// The manifest in which a version names the source of another one, or of one of the other object: that is senseless, since a
    /// version does not change its content.
    pub(crate) fn with_other_source(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let another = rng.choice(&self.versions).map(|v| v.source(self.object));
        let another = another.map(|(region, id)| Origin::Image(region, id)).filter(|_| rng.bool());
        let other = another.unwrap_or_else(|| anything_baked(rng));
        if let Some(version) = rng.choice(&mut manifest.versions) {
            version.origin = other;
            version.adopt = rng.bool();
        }
        manifest.mend_adoption();
        manifest
    }

    /// The manifest in which the version that came last names another source.
    pub(crate) fn with_other_source_of_last(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        if let Some(last) = manifest.versions.last_mut() {
            last.origin = anything_baked(rng);
        }
        manifest
    }

    /// The manifest without a version that no channel points to, and with another retention.
    pub(crate) fn without_one(&self, keep_last: u32, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        manifest.keep_last = Some(keep_last);
        let pointed_to: Vec<_> = manifest.channels.values().copied().collect();
        let start = rng.usize(..manifest.versions.len().max(1));
        let free = |index: &usize| !pointed_to.contains(&manifest.versions[*index].number);
        let order = (start..manifest.versions.len()).chain(0..start);
        if let Some(index) = order.into_iter().find(free) {
            manifest.versions.remove(index);
        }
        manifest
    }

    /// The manifest as it is left before the object is deleted: mostly with its images to go, often without what was handed over
    /// or a channel.
    pub(crate) fn let_go(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        manifest.delete = rng.u8(..4) != 0;
        if rng.bool() {
            manifest.versions.iter_mut().for_each(|v| v.adopt = false);
        }
        if rng.u8(..3) == 0 {
            manifest.channels.pop_last();
        }
        manifest.suspend |= rng.u8(..12) == 0;
        manifest
    }

    /// The manifest without one of its regions, if it has more.
    pub(crate) fn without_region(&self, rng: &mut Rng) -> Self {
        let mut manifest = self.clone();
        let gone = rng.choice(manifest.regions.keys().copied()).filter(|_| manifest.regions.len() > 1);
        manifest.regions.retain(|region, _| Some(*region) != gone);
        manifest.mend_adoption();
        manifest
    }

    /// The manifest with a tag and a version more, one that was never asked for, a channel that points to it, and another date of
    /// release of one that is there.
    pub(crate) fn with_more(&self) -> Self {
        let mut manifest = self.clone();
        manifest.tags.insert("last".into(), "edit".into());
        manifest.versions.push(Version { number: LAST, adopt: false, origin: Origin::Baked });
        manifest.channels.insert("prod", LAST);
        if let Some(first) = self.versions.first() {
            let other = DATES.into_iter().find(|date| self.released.get(&first.number) != Some(date));
            manifest.released.extend(other.map(|date| (first.number, date)));
        }
        manifest
    }

    /// Likewise, of an image that is handed over.
    pub(crate) fn with_more_handed_over(&self, region: &str, image: &str) -> Self {
        let mut manifest = self.with_more();
        if let Some(last) = manifest.versions.last_mut() {
            *last = Version { adopt: true, origin: Origin::Image(region.to_owned(), image.to_owned()), ..*last };
        }
        manifest
    }

    /// A channel comes to point to another version, or goes.
    pub(crate) fn move_channel(&mut self, rng: &mut Rng) {
        let channel = ["prod", "staging"][rng.usize(..2)];
        match rng.usize(..=self.versions.len()) {
            0 => {
                self.channels.remove(channel);
            }
            index => {
                self.channels.insert(channel, self.versions[index - 1].number);
            }
        }
    }

    fn toggle_region(&mut self, rng: &mut Rng) {
        let region = REGIONS[rng.usize(..REGIONS.len())];
        if self.regions.remove(region).is_none() {
            self.regions.insert(region, rng.bool());
        }
        if self.regions.is_empty() {
            self.regions.insert(REGIONS[0], false);
        }
    }

    fn mend_adoption(&mut self) {
        let home = self.regions.contains_key(REGIONS[0]);
        self.versions.iter_mut().for_each(|v| v.adopt &= home);
    }
}

/// What was baked for any version of any object.
fn anything_baked(rng: &mut Rng) -> Origin {
    let object = OBJECTS[rng.usize(..OBJECTS.len())];
    Origin::Image(REGIONS[0].to_owned(), source_id(object, rng.usize(..SOURCES)))
}

/// The last number of each object is copied from what amiops itself made: of the other object, or of the same. Now and then two
/// versions name one source.
fn version(number: usize, rng: &mut Rng) -> Version {
    let adopt = rng.u8(..5) == 0;
    let exists = rng.u8(..60) != 0;
    match number {
        CHAINED => Version { number, adopt: false, origin: Origin::Replica(OBJECTS[rng.usize(..2)]) },
        _ if rng.u8(..12) == 0 => Version { number, adopt: rng.bool(), origin: anything_baked(rng) },
        _ => Version { number, adopt, origin: if exists { Origin::Baked } else { Origin::Nowhere } },
    }
}
