//! Who may make volumes and copies of a snapshot:
//! <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html>.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::ids::SNAPSHOT;
use crate::world::image::Grant;
use crate::world::permissions::{Changes, INVALID_ITEM, grants, listed_grants};
use crate::world::region::Region;
use crate::world::snapshot::Snapshot;

const PERMISSION: &str = "createVolumePermission";
const MAX_CHANGES: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct SnapshotAttribute {
    snapshot_id: String,
    attribute: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifySnapshotAttribute {
    snapshot_id: String,
    attribute: Option<String>,
    create_volume_permission: Option<Changes>,
    operation_type: Option<String>,
    #[serde(default, rename = "UserId")]
    users: Vec<String>,
    #[serde(default, rename = "UserGroup")]
    groups: Vec<String>,
}

impl World {
    pub(crate) fn describe_snapshot_attribute(
        &mut self,
        cx: &Context,
        input: SnapshotAttribute,
    ) -> Result<Xml, ApiError> {
        let snapshot = self.region_mut(cx)?.owned_snapshot(cx, &input.snapshot_id)?;
        let mut x = Xml::new();
        x.text("snapshotId", &snapshot.id);
        match input.attribute.as_str() {
            PERMISSION => x.list(PERMISSION, &snapshot.grants, |x, grant| grant.write(x)),
            "productCodes" => x.list("productCodes", [(); 0], |_, ()| ()),
            other => return Err(ApiError::invalid_value("attribute", other)),
        };
        Ok(x)
    }

    pub(crate) fn modify_snapshot_attribute(
        &mut self,
        cx: &Context,
        input: ModifySnapshotAttribute,
    ) -> Result<Xml, ApiError> {
        let id = input.snapshot_id.clone();
        let (add, remove) = input.changes()?;
        let region = self.region_mut(cx)?;
        region.owned_snapshot(cx, &id)?;
        region.check_snapshot_shareable(cx, &id, &add)?;
        let snapshot = region.owned_snapshot(cx, &id)?;
        snapshot.grants.extend(add);
        snapshot.grants.retain(|grant| !remove.contains(grant));
        Ok(Xml::done())
    }

    pub(crate) fn reset_snapshot_attribute(&mut self, cx: &Context, input: SnapshotAttribute) -> Result<Xml, ApiError> {
        if input.attribute != PERMISSION {
            return Err(ApiError::invalid_value("attribute", &input.attribute));
        }
        let region = self.region_mut(cx)?;
        region.owned_snapshot(cx, &input.snapshot_id)?.grants.clear();
        Ok(Xml::done())
    }
}

impl ModifySnapshotAttribute {
    /// Whom to add and whom to remove; a call does one of both.
    fn changes(self) -> Result<(BTreeSet<Grant>, BTreeSet<Grant>), ApiError> {
        if let Some(other) = self.attribute.filter(|name| name != PERMISSION) {
            return Err(ApiError::invalid_value("attribute", &other));
        }
        let (add, remove) = match (self.create_volume_permission, self.operation_type.as_deref()) {
            (Some(changes), _) => {
                (grants(changes.add).map_err(of_snapshot)?, grants(changes.remove).map_err(of_snapshot)?)
            }
            (None, Some("add")) => (listed_grants(self.users, self.groups).map_err(of_snapshot)?, BTreeSet::new()),
            (None, Some("remove")) => (BTreeSet::new(), listed_grants(self.users, self.groups).map_err(of_snapshot)?),
            (None, Some(other)) => return Err(ApiError::invalid_value("operationType", other)),
            (None, None) => return Err(ApiError::missing("CreateVolumePermission")),
        };
        if add.is_empty() && remove.is_empty() {
            return Err(ApiError::missing("CreateVolumePermission"));
        }
        if !add.is_empty() && !remove.is_empty() {
            return Err(ApiError::combination("Permissions can be added or removed in a call, not both"));
        }
        if add.len() + remove.len() > MAX_CHANGES {
            return Err(ApiError::invalid(format!("At most {MAX_CHANGES} permissions can be changed in a call")));
        }
        // Organisations cannot be named here.
        let known = |grant: &Grant| matches!(grant, Grant::All | Grant::Account(_));
        if !add.iter().chain(&remove).all(known) {
            return Err(ApiError::invalid("Snapshots can be shared with accounts and the group all"));
        }
        Ok((add, remove))
    }
}

/// The refusal of a permission, without the code that is for images alone. For snapshots AWS documents none.
fn of_snapshot(error: ApiError) -> ApiError {
    match &*error.code {
        INVALID_ITEM => ApiError::invalid(error.message),
        _ => error,
    }
}

impl Region {
    /// The snapshot, if the caller may change it.
    pub(crate) fn owned_snapshot(&mut self, cx: &Context, id: &str) -> Result<&mut Snapshot, ApiError> {
        self.visible_snapshot(cx, id)?;
        let snapshot = self.snapshots.get_mut(id).ok_or_else(|| SNAPSHOT.not_found(id))?;
        if snapshot.owner != cx.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for snapshot:{id}")).with_status(403));
        }
        Ok(snapshot)
    }

    fn check_snapshot_shareable(&self, cx: &Context, id: &str, add: &BTreeSet<Grant>) -> Result<(), ApiError> {
        let refused = |sentence: &str| Err(ApiError::new("OperationNotPermitted", sentence));
        let public = add.contains(&Grant::All);
        if public && self.blocks_public_snapshots(&cx.account) {
            return refused("Block public access for snapshots is enabled in this region");
        }
        let Some(snapshot) = self.snapshots.get(id).filter(|s| s.encrypted) else {
            return Ok(());
        };
        if public {
            return refused("Encrypted snapshots cannot be made public");
        }
        let default = |key: &String| self.is_default_key(&snapshot.owner, key);
        if !add.is_empty() && snapshot.key.as_ref().is_some_and(default) {
            return refused("Encrypted snapshots with EBS default key cannot be shared");
        }
        Ok(())
    }
}
