//! What there is, to be read by whoever judges a program at every step. A dump of everything says more and takes longer.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::world::World;
use crate::world::image::{Image, ImageState, Protection};
use crate::world::region::Region;
use crate::world::tag_set::Tags;

/// What there is in one region.
#[derive(Debug, Clone, Copy)]
pub struct RegionView<'a>(&'a Region);

/// An image that is there and not in the Recycle Bin.
#[derive(Debug, Clone)]
pub struct ImageView<'a> {
    /// The id.
    pub id: &'a str,
    /// The account that owns it.
    pub owner: &'a str,
    /// The name.
    pub name: &'a str,
    /// Where it is in its life.
    pub state: ImageState,
    /// Whether it cannot be deregistered, or not yet.
    pub protected: bool,
    /// Whether other accounts may launch it.
    pub shared: bool,
    /// The region and id of the image that it was copied from.
    pub copied_from: Option<(&'a str, &'a str)>,
    /// Its snapshots.
    pub snapshots: Vec<&'a str>,
    /// The tags of its owner.
    pub tags: BTreeMap<String, String>,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotView<'a> {
    /// The id.
    pub id: &'a str,
    /// The tags of its owner.
    pub tags: BTreeMap<String, String>,
}

/// A parameter, as its latest version is.
#[derive(Debug, Clone)]
pub struct ParameterView<'a> {
    /// The name.
    pub name: &'a str,
    /// The value.
    pub value: &'a str,
    /// The data type: `text`, or `aws:ec2:image`.
    pub data_type: &'a str,
    /// When that version was made.
    pub modified: Timestamp,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

/// An instance or a version of a launch template that names an image.
#[derive(Debug, Clone)]
pub struct UseView<'a> {
    /// The image.
    pub image: &'a str,
    /// The id of the instance or launch template.
    pub by: &'a str,
    /// When it was launched or made.
    pub since: Timestamp,
}

impl World {
    /// The regions.
    pub(crate) fn view(&self) -> impl Iterator<Item = RegionView<'_>> {
        self.regions.values().map(RegionView)
    }
}

impl<'a> RegionView<'a> {
    /// The name of the region.
    pub fn name(self) -> &'a str {
        &self.0.name
    }

    /// Its images, of all accounts.
    pub fn images(self) -> impl Iterator<Item = ImageView<'a>> {
        self.0.images.values().filter(|image| image.deregistered.is_none()).map(image)
    }

    /// Its snapshots, of all accounts.
    pub fn snapshots(self) -> impl Iterator<Item = SnapshotView<'a>> {
        self.0.snapshots.values().map(|snapshot| SnapshotView { id: &snapshot.id, tags: tags(&snapshot.tags) })
    }

    /// Its parameters, of all accounts.
    pub fn parameters(self) -> impl Iterator<Item = ParameterView<'a>> {
        let parameters = self.0.accounts.values().flat_map(|holdings| holdings.parameters.0.values());
        parameters.filter_map(|parameter| {
            let latest = parameter.latest()?;
            Some(ParameterView {
                name: &parameter.name,
                value: &latest.value,
                data_type: &latest.data_type,
                modified: latest.modified,
                tags: tags(&parameter.tags),
            })
        })
    }

    /// What uses images: instances that are not terminated, and all versions of launch templates.
    pub fn uses(self) -> impl Iterator<Item = UseView<'a>> {
        let instances = self.0.instances.values().filter(|instance| instance.terminated.is_none());
        let instances = instances.map(|i| UseView { image: &i.image, by: &i.id, since: i.launched });
        let templates = self.0.launch_templates.values().flat_map(|template| {
            template.versions.values().filter_map(|version| {
                let image = version.data.image_id.as_deref()?;
                Some(UseView { image, by: &template.id, since: version.created })
            })
        });
        instances.chain(templates)
    }
}

fn image(image: &Image) -> ImageView<'_> {
    ImageView {
        id: &image.id,
        owner: &image.owner,
        name: &image.name,
        state: image.state,
        protected: image.protection != Protection::Off,
        shared: !image.grants.is_empty(),
        copied_from: image.origin.as_ref().map(|origin| (origin.region.as_str(), origin.image.as_str())),
        snapshots: image.devices.iter().filter_map(|device| device.snapshot.as_deref()).collect(),
        tags: tags(&image.tags),
    }
}

fn tags(tags: &Tags) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
