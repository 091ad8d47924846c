//! The keys that encrypt secrets.

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;

/// The type of what is encrypted.
pub(crate) const SECRET: &str = "SecureString";
/// The key that SSM uses unless another is named. AWS makes it when it is first needed.
pub(crate) const DEFAULT_KEY: &str = "alias/aws/ssm";

impl World {
    /// Refuses a key that can neither encrypt nor decrypt: it must exist, be enabled, and its policy or a grant must name the
    /// caller. <https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html>.
    pub(crate) fn check_secret_key(&self, cx: &Context, named: &str) -> Result<(), ApiError> {
        if named == DEFAULT_KEY || named == format!("arn:aws:kms:{}:{}:{DEFAULT_KEY}", cx.region, cx.account) {
            return Ok(());
        }
        let region = self.region(cx)?;
        if region.usable_key(&cx.account, named).is_some() {
            return Ok(());
        }
        let message = match region.find_key(&cx.account, named) {
            None => format!("Key '{named}' does not exist"),
            Some((_, key)) if key.deletion.is_some() => format!("{named} is pending deletion."),
            Some((_, key)) if !key.enabled => format!("{named} is disabled."),
            Some(_) => format!("{} is not authorized to use {named}", cx.caller.arn),
        };
        Err(ApiError::new("InvalidKeyId", message))
    }
}
