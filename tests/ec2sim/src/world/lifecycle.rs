//! The end of an image's life, and what puts it off: deprecate, disable, protect, deregister.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, Unit};
use serde::Deserialize;

use crate::error::ApiError;
use crate::faults::{CallKey, Effect};
use crate::request::{Context, Params, Service};
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::image::{Deregistered, Grant, ImageState, Protection};

/// How long protection holds after it was switched off, if it was switched on with a cooldown.
const COOLDOWN: SignedDuration = SignedDuration::from_hours(24);
const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3653);
pub(crate) const TWO_YEARS: SignedDuration = SignedDuration::from_hours(24 * 731);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ImageInput {
    pub(crate) image_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeregisterImage {
    image_id: String,
    #[serde(default)]
    delete_associated_snapshots: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EnableImageDeprecation {
    image_id: String,
    deprecate_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EnableProtection {
    image_id: String,
    #[serde(default)]
    with_cooldown: bool,
}

impl World {
    /// Deregisters an image. Instances that run from it are no obstacle; protection is. A copy that is pending is
    /// cancelled.
    pub(crate) fn deregister_image(&mut self, cx: &Context, input: DeregisterImage) -> Result<Xml, ApiError> {
        let listed_until = after(cx.now, self.config.stale_listing);
        let name_free_at = after(cx.now, self.config.name_linger);
        let region = self.region_mut(cx)?;
        let image = region.owned_image(cx, &input.image_id)?;
        let protected = match image.protection {
            Protection::Off => false,
            Protection::On { .. } => true,
            Protection::Until(end) => cx.now < end,
        };
        if protected {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("The image {} is protected from deregistration", image.id),
            ));
        }
        self.recycle_image(cx, &input.image_id)?;
        let region = self.region_mut(cx)?;
        let image = region.owned_image(cx, &input.image_id)?;
        image.deregistered = Some(Deregistered { at: cx.now, listed_until });
        let pending = image.state == ImageState::Pending && image.is_copy();
        let name = image.name.clone();
        let snapshots: Vec<String> = image.snapshots().map(str::to_owned).collect();
        let holdings = region.holdings(&cx.account);
        if let Some(holder) = holdings.names.get_mut(&name) {
            holder.free_at = Some(name_free_at);
        }
        if pending {
            holdings.copies = holdings.copies.saturating_sub(1);
        }
        let mut x = Xml::done();
        if input.delete_associated_snapshots {
            let mut results = Vec::new();
            for snapshot in snapshots {
                let code = self.delete_with_image(cx, &snapshot)?;
                results.push((snapshot, code));
            }
            x.list("deleteSnapshotResultSet", results, |x, (snapshot, code)| {
                x.text("snapshotId", &snapshot).text("returnCode", code);
            });
        }
        Ok(x)
    }

    /// Deletes a snapshot of an image that has just been deregistered, and says how that went:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html>.
    fn delete_with_image(&mut self, cx: &Context, snapshot: &str) -> Result<&'static str, ApiError> {
        // The caller must be allowed to delete snapshots too, and what keeps that call from being done keeps this.
        let params = Params::Query(BTreeMap::from([("SnapshotId".to_owned(), snapshot.to_owned())]));
        let call = CallKey {
            service: Service::Ec2,
            operation: "DeleteSnapshot",
            region: &cx.region,
            account: &cx.account,
            params: &params,
        };
        match self.faults.meet(&call).effect {
            Some(Effect::Deny) => return Ok("missing-permissions"),
            Some(Effect::Throttle | Effect::Error { .. }) => return Ok("internal-error"),
            _ => {}
        }
        let region = self.region(cx)?;
        Ok(match region.snapshots.get(snapshot) {
            None => "client-error",
            Some(found) if found.owner != cx.account => "missing-permissions",
            Some(_) if region.users_of_snapshot(snapshot).next().is_some() => "skipped",
            Some(_) => {
                self.remove_snapshot(cx, snapshot)?;
                "success"
            }
        })
    }

    /// Takes the caller off the launch permissions of an image of someone else:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cancel-sharing-an-AMI.html>.
    pub(crate) fn cancel_launch_permission(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        let image = region.visible_image(cx, &input.image_id)?;
        let grant = Grant::Account(cx.account.clone());
        if !image.grants.contains(&grant) {
            return Err(ApiError::new(
                "InvalidRequest",
                format!("The image {} is not shared with the account itself", image.id),
            ));
        }
        if let Some(image) = region.images.get_mut(&input.image_id) {
            image.grants.remove(&grant);
        }
        Ok(Xml::done())
    }

    /// Disabling takes away every launch permission; enabling does not bring them back.
    pub(crate) fn disable_image(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        if image.state != ImageState::Disabled {
            image.check_available()?;
        }
        image.state = ImageState::Disabled;
        image.grants.clear();
        Ok(Xml::done())
    }

    pub(crate) fn enable_image(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        if image.state == ImageState::Disabled {
            image.state = ImageState::Available;
        }
        image.check_available()?;
        Ok(Xml::done())
    }

    pub(crate) fn enable_image_deprecation(
        &mut self,
        cx: &Context,
        input: EnableImageDeprecation,
    ) -> Result<Xml, ApiError> {
        let at = parse_time(&input.deprecate_at)?;
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        let last = if image.is_public() { after(image.created, TWO_YEARS) } else { after(cx.now, TEN_YEARS) };
        if at < cx.now || at > last {
            return Err(ApiError::invalid_value("DeprecateAt", &input.deprecate_at));
        }
        image.deprecated_from = Some(at.round(Unit::Minute).unwrap_or(at));
        Ok(Xml::done())
    }

    /// The deprecation of an image ends only after it is no longer public; AWS does not document the code:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-intro.html>.
    pub(crate) fn disable_image_deprecation(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        if image.is_public() {
            return Err(ApiError::new(
                "InvalidRequest",
                format!("The deprecation of the image {} can't be cancelled while it is public", image.id),
            ));
        }
        image.deprecated_from = None;
        Ok(Xml::done())
    }

    pub(crate) fn enable_protection(&mut self, cx: &Context, input: EnableProtection) -> Result<Xml, ApiError> {
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        image.protection = Protection::On { cooldown: input.with_cooldown };
        Ok(Xml::new().with("return", image.protection_name(cx.now)))
    }

    pub(crate) fn disable_protection(&mut self, cx: &Context, input: ImageInput) -> Result<Xml, ApiError> {
        let image = self.region_mut(cx)?.owned_image(cx, &input.image_id)?;
        image.protection = match image.protection {
            Protection::On { cooldown: true } => Protection::Until(after(cx.now, COOLDOWN)),
            Protection::On { cooldown: false } | Protection::Off => Protection::Off,
            until @ Protection::Until(_) => until,
        };
        Ok(Xml::new().with("return", image.protection_name(cx.now)))
    }
}

/// Reads a moment, with or without seconds, as the SDKs write it.
fn parse_time(text: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| ApiError::invalid_value("DeprecateAt", text))
}
