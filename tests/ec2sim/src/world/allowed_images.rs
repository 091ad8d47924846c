//! Allowed AMIs: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html>. While it is enabled, images of
//! others that fit no criterion are not there. One's own are always allowed.

use jiff::SignedDuration;
use serde::Deserialize;

use crate::error::ApiError;
use crate::pattern;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::image::Image;
use crate::world::permissions::is_account;
use crate::world::region::Region;
use crate::world::sts::Nothing;

const MAX_CRITERIA: usize = 10;
/// Who can be named as a provider, accounts apart.
const PROVIDERS: [&str; 4] = ["amazon", "aws-marketplace", "aws-backup-vault", "none"];
const ENABLED: &str = "enabled";
const AUDIT: &str = "audit-mode";
const DISABLED: &str = "disabled";

/// What an account allows in a region.
#[derive(Debug, Default)]
pub(crate) struct AllowedImages {
    mode: Mode,
    criteria: Vec<Criterion>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Disabled,
    /// Says what would not be allowed and allows it.
    Audit,
    Enabled,
}

/// An image fits if it fits all that a criterion says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Criterion {
    #[serde(default, rename = "ImageProvider")]
    providers: Vec<String>,
    #[serde(default, rename = "ImageName")]
    names: Vec<String>,
    #[serde(default, rename = "MarketplaceProductCode")]
    product_codes: Vec<String>,
    creation_date_condition: Option<CreationDate>,
    deprecation_time_condition: Option<Deprecation>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreationDate {
    maximum_days_since_created: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Deprecation {
    maximum_days_since_deprecated: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct EnableAllowed {
    allowed_images_settings_state: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ReplaceCriteria {
    #[serde(default, rename = "ImageCriterion")]
    criteria: Vec<Criterion>,
}

impl World {
    fn allowed_images(&mut self, cx: &Context) -> Result<&mut AllowedImages, ApiError> {
        Ok(&mut self.region_mut(cx)?.holdings(&cx.account).allowed_images)
    }

    pub(crate) fn enable_allowed_images(&mut self, cx: &Context, input: EnableAllowed) -> Result<Xml, ApiError> {
        let state = input.allowed_images_settings_state;
        self.allowed_images(cx)?.mode = match state.as_str() {
            ENABLED => Mode::Enabled,
            AUDIT => Mode::Audit,
            other => return Err(ApiError::invalid_value("AllowedImagesSettingsState", other)),
        };
        Ok(Xml::new().with("allowedImagesSettingsState", state))
    }

    pub(crate) fn disable_allowed_images(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.allowed_images(cx)?.mode = Mode::Disabled;
        Ok(Xml::new().with("allowedImagesSettingsState", DISABLED))
    }

    pub(crate) fn get_allowed_images(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let allowed = self.allowed_images(cx)?;
        let state = match allowed.mode {
            Mode::Disabled => DISABLED,
            Mode::Audit => AUDIT,
            Mode::Enabled => ENABLED,
        };
        let mut x = Xml::new();
        x.text("state", state)
            .list("imageCriterionSet", &allowed.criteria, |x, criterion| {
                criterion.write(x);
            })
            .text("managedBy", "account");
        Ok(x)
    }

    pub(crate) fn replace_image_criteria(&mut self, cx: &Context, input: ReplaceCriteria) -> Result<Xml, ApiError> {
        if input.criteria.len() > MAX_CRITERIA {
            return Err(ApiError::invalid(format!("At most {MAX_CRITERIA} criteria can be given")));
        }
        input.criteria.iter().try_for_each(Criterion::check)?;
        self.allowed_images(cx)?.criteria = input.criteria;
        Ok(Xml::done())
    }
}

impl Region {
    /// Whether the caller's settings allow an image; `None` where there are none.
    pub(crate) fn image_allowed(&self, cx: &Context, image: &Image) -> Option<bool> {
        let allowed = &self.accounts.get(&cx.account)?.allowed_images;
        let fits = || image.owner == cx.account || allowed.criteria.iter().any(|c| c.fits(cx, image));
        (allowed.mode != Mode::Disabled).then(fits)
    }

    /// Whether the caller's settings hide an image.
    pub(crate) fn hides_image(&self, cx: &Context, image: &Image) -> bool {
        let enforced =
            self.accounts.get(&cx.account).is_some_and(|holdings| holdings.allowed_images.mode == Mode::Enabled);
        enforced && self.image_allowed(cx, image) == Some(false)
    }
}

impl Criterion {
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageCriterionRequest.html>.
    fn check(&self) -> Result<(), ApiError> {
        let unknown = |provider: &&String| !is_account(provider) && !PROVIDERS.contains(&provider.as_str());
        if let Some(provider) = self.providers.iter().find(unknown) {
            return Err(ApiError::invalid_value("ImageProvider", provider));
        }
        if self.providers.len() > 1 && self.providers.iter().any(|provider| provider == "none") {
            return Err(ApiError::invalid("When the image provider none is specified, no other can be specified"));
        }
        if let Some(name) = self.names.iter().find(|name| !is_name(name)) {
            return Err(ApiError::invalid_value("ImageName", name));
        }
        if let Some(code) = self.product_codes.iter().find(|code| !is_product_code(code)) {
            return Err(ApiError::invalid_value("MarketplaceProductCode", code));
        }
        let lists = [
            ("image providers", &self.providers, 200),
            ("image names", &self.names, 50),
            ("Marketplace product codes", &self.product_codes, 50),
        ];
        match lists.into_iter().find(|(_, values, most)| values.len() > *most) {
            Some((what, _, most)) => Err(ApiError::invalid(format!("A criterion can have at most {most} {what}"))),
            None => Ok(()),
        }
    }

    fn fits(&self, cx: &Context, image: &Image) -> bool {
        let alias = image.owner_alias.as_deref();
        let provided = |provider: &String| {
            *provider == image.owner || alias == Some(provider) || (provider == "none" && alias.is_none())
        };
        let named = |name: &String| pattern::matches(name, &image.name);
        let days = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let young = self
            .creation_date_condition
            .as_ref()
            .is_none_or(|condition| cx.now <= after(image.created, days(condition.maximum_days_since_created)));
        let fresh = self.deprecation_time_condition.as_ref().is_none_or(|condition| {
            let most = days(condition.maximum_days_since_deprecated);
            image.deprecated_from.is_none_or(|at| cx.now <= after(at, most))
        });
        let codes = &image.machine.product_codes;
        (self.providers.is_empty() || self.providers.iter().any(provided))
            && (self.names.is_empty() || self.names.iter().any(named))
            && (self.product_codes.is_empty() || codes.iter().any(|c| self.product_codes.contains(c)))
            && young
            && fresh
    }

    fn write(&self, x: &mut Xml) {
        let lists = [
            ("imageProviderSet", &self.providers),
            ("imageNameSet", &self.names),
            ("marketplaceProductCodeSet", &self.product_codes),
        ];
        for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            x.list(name, values, |x, value| {
                x.raw(value);
            });
        }
        if let Some(condition) = &self.creation_date_condition {
            x.nest("creationDateCondition", |x| {
                x.text("maximumDaysSinceCreated", condition.maximum_days_since_created);
            });
        }
        if let Some(condition) = &self.deprecation_time_condition {
            x.nest("deprecationTimeCondition", |x| {
                x.text("maximumDaysSinceDeprecated", condition.maximum_days_since_deprecated);
            });
        }
    }
}

/// Whether it can be the name of an allowed image, which may have wildcards.
fn is_name(name: &str) -> bool {
    let least = if name.contains('?') { 3 } else { 1 };
    (least..=128).contains(&name.chars().count())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "()[]./-'@_*? ".contains(c))
}

fn is_product_code(code: &str) -> bool {
    (1..=25).contains(&code.len()) && code.chars().all(|c| c.is_ascii_alphanumeric())
}
