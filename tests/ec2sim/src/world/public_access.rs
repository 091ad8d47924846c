//! Block public access for images and snapshots, of an account in a region.

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::image::Grant;
use crate::world::region::Region;
use crate::world::snapshot::Snapshot;
use crate::world::sts::Nothing;

const UNBLOCKED: &str = "unblocked";
const BLOCK_NEW: &str = "block-new-sharing";
const BLOCK_ALL: &str = "block-all-sharing";

/// What is blocked.
#[derive(Debug, Default)]
pub(crate) struct PublicAccess {
    /// From when on images cannot be made public; it takes up to ten minutes.
    images_from: Option<Timestamp>,
    snapshots: Blocking,
}

/// How public sharing of snapshots is blocked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Blocking {
    #[default]
    None,
    /// What is public stays so.
    New,
    /// What is public is treated as private.
    All,
}

impl Blocking {
    fn name(self) -> &'static str {
        match self {
            Blocking::None => UNBLOCKED,
            Blocking::New => BLOCK_NEW,
            Blocking::All => BLOCK_ALL,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct BlockImages {
    image_block_public_access_state: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct BlockSnapshots {
    state: String,
}

impl World {
    fn public_access(&mut self, cx: &Context) -> Result<&mut PublicAccess, ApiError> {
        Ok(&mut self.region_mut(cx)?.holdings(&cx.account).public_access)
    }

    pub(crate) fn block_public_images(&mut self, cx: &Context, input: BlockImages) -> Result<Xml, ApiError> {
        let state = input.image_block_public_access_state;
        if state != BLOCK_NEW {
            return Err(ApiError::invalid_value("ImageBlockPublicAccessState", &state));
        }
        let from = after(cx.now, self.config.block_access_time);
        self.public_access(cx)?.images_from.get_or_insert(from);
        Ok(Xml::new().with("imageBlockPublicAccessState", BLOCK_NEW))
    }

    pub(crate) fn unblock_public_images(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.public_access(cx)?.images_from = None;
        Ok(Xml::new().with("imageBlockPublicAccessState", UNBLOCKED))
    }

    pub(crate) fn get_public_images(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let blocked = self.region(cx)?.blocks_public_images(cx);
        let state = if blocked { BLOCK_NEW } else { UNBLOCKED };
        Ok(Xml::new().with("imageBlockPublicAccessState", state).with("managedBy", "account"))
    }

    pub(crate) fn block_public_snapshots(&mut self, cx: &Context, input: BlockSnapshots) -> Result<Xml, ApiError> {
        let blocking = match input.state.as_str() {
            BLOCK_NEW => Blocking::New,
            BLOCK_ALL => Blocking::All,
            other => return Err(ApiError::invalid_value("State", other)),
        };
        self.public_access(cx)?.snapshots = blocking;
        Ok(Xml::new().with("state", blocking.name()))
    }

    pub(crate) fn unblock_public_snapshots(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.public_access(cx)?.snapshots = Blocking::None;
        Ok(Xml::new().with("state", UNBLOCKED))
    }

    pub(crate) fn get_public_snapshots(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let blocking = self.public_access(cx)?.snapshots;
        Ok(Xml::new().with("state", blocking.name()).with("managedBy", "account"))
    }
}

impl Region {
    pub(crate) fn blocks_public_images(&self, cx: &Context) -> bool {
        let from = self.accounts.get(&cx.account).and_then(|holdings| holdings.public_access.images_from);
        from.is_some_and(|from| from <= cx.now)
    }

    fn snapshot_blocking(&self, account: &str) -> Blocking {
        let holdings = self.accounts.get(account);
        holdings.map_or(Blocking::None, |holdings| holdings.public_access.snapshots)
    }

    pub(crate) fn blocks_public_snapshots(&self, account: &str) -> bool {
        self.snapshot_blocking(account) != Blocking::None
    }

    /// Whether the caller may make volumes and copies of a snapshot.
    pub(crate) fn may_read(&self, cx: &Context, snapshot: &Snapshot) -> bool {
        let hidden = || self.snapshot_blocking(&snapshot.owner) == Blocking::All;
        snapshot.owner == cx.account
            || snapshot.grants.iter().any(|grant| cx.principals.contains(grant) && (*grant != Grant::All || !hidden()))
    }
}
