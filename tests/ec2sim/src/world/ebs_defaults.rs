//! Encryption by default: <https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html>.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::kms::DEFAULT_ALIAS;
use crate::world::sts::Nothing;

/// What an account has chosen for EBS in a region.
#[derive(Debug, Default)]
pub(crate) struct EbsDefaults {
    /// Whether new snapshots and volumes are always encrypted.
    pub(crate) encrypt: bool,
    /// The ARN of the key that is used unless one is named; without it, the key that AWS manages.
    pub(crate) key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifyDefaultKey {
    kms_key_id: String,
}

impl World {
    fn ebs_defaults(&mut self, cx: &Context) -> Result<&mut EbsDefaults, ApiError> {
        Ok(&mut self.region_mut(cx)?.holdings(&cx.account).ebs)
    }

    pub(crate) fn enable_encryption_by_default(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.ebs_defaults(cx)?.encrypt = true;
        Ok(Xml::new().with("ebsEncryptionByDefault", true))
    }

    pub(crate) fn disable_encryption_by_default(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.ebs_defaults(cx)?.encrypt = false;
        Ok(Xml::new().with("ebsEncryptionByDefault", false))
    }

    pub(crate) fn get_encryption_by_default(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let encrypt = self.ebs_defaults(cx)?.encrypt;
        Ok(Xml::new().with("ebsEncryptionByDefault", encrypt))
    }

    pub(crate) fn get_default_key(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        let key = self.ebs_defaults(cx)?.key.as_deref();
        Ok(Xml::new().with("kmsKeyId", key.unwrap_or(DEFAULT_ALIAS)))
    }

    pub(crate) fn modify_default_key(&mut self, cx: &Context, input: ModifyDefaultKey) -> Result<Xml, ApiError> {
        let key = self.region(cx)?.usable_key(&cx.account, &input.kms_key_id);
        let key = key.ok_or_else(|| {
            ApiError::invalid(format!(
                "Value ({}) for parameter KmsKeyId is invalid. Given key ID is not accessible",
                input.kms_key_id
            ))
        })?;
        self.ebs_defaults(cx)?.key = Some(key.clone());
        Ok(Xml::new().with("kmsKeyId", key))
    }

    pub(crate) fn reset_default_key(&mut self, cx: &Context, _: Nothing) -> Result<Xml, ApiError> {
        self.ebs_defaults(cx)?.key = None;
        Ok(Xml::new().with("kmsKeyId", DEFAULT_ALIAS))
    }
}
