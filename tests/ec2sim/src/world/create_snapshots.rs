//! CreateSnapshots: snapshots of all volumes of an instance at once.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::create_image::{check_location, check_places};
use crate::world::ids::SNAPSHOT;
use crate::world::snapshot::Snapshot;
use crate::world::tags::{self, TagSpecification};
use crate::world::volume::Volume;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateSnapshots {
    instance_specification: InstanceSpecification,
    description: Option<String>,
    copy_tags_from_source: Option<String>,
    location: Option<String>,
    outpost_arn: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct InstanceSpecification {
    instance_id: String,
    #[serde(default)]
    exclude_boot_volume: bool,
    #[serde(default, rename = "ExcludeDataVolumeId")]
    excluded: Vec<String>,
}

impl World {
    pub(crate) fn create_snapshots(&mut self, cx: &Context, input: CreateSnapshots) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&SNAPSHOT], &SNAPSHOT)?;
        check_location(input.location.as_deref())?;
        check_places(&[("OutpostArn", &input.outpost_arn)])?;
        let wanted = input.instance_specification;
        let region = self.region(cx)?;
        let instance = region.owned_instance(cx, &wanted.instance_id)?;
        let attached = region.volumes_of(&wanted.instance_id);
        if attached.iter().any(|(volume, at)| instance.is_root(at) && wanted.excluded.contains(&volume.id)) {
            // AWS documents that the request fails, and no code.
            return Err(ApiError::invalid(
                "The root volume cannot be excluded as a data volume; use ExcludeBootVolume",
            ));
        }
        let volumes: Vec<Volume> = attached
            .into_iter()
            .filter(|(volume, at)| {
                let boot = wanted.exclude_boot_volume && instance.is_root(at);
                !boot && !wanted.excluded.contains(&volume.id)
            })
            .map(|(volume, _)| volume.clone())
            .collect();
        let mut snapshots = Vec::new();
        for volume in volumes {
            let mut own = tags.clone();
            if input.copy_tags_from_source.as_deref() == Some("volume") {
                own = volume.tags.clone();
                own.extend(tags.iter());
            }
            let snapshot = Snapshot {
                description: input.description.clone().unwrap_or_default(),
                ..self.volume_snapshot(cx, &volume, &own)
            };
            self.add_pending_snapshot(cx, snapshot.clone())?;
            snapshots.push(snapshot);
        }
        let mut x = Xml::new();
        x.list("snapshotSet", snapshots, |x, snapshot| {
            x.text("state", "pending");
            snapshot.write(x, cx);
        });
        Ok(x)
    }
}
