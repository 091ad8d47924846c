//! Keys and aliases, as far as encryption of copies needs them.

use std::collections::BTreeMap;

use crate::world::region::Region;

/// The alias of the key that EBS uses unless another is named. AWS makes it when it is first needed.
pub(crate) const DEFAULT_ALIAS: &str = "alias/aws/ebs";

/// The keys of an account in a region.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Whether a key is enabled, by its id.
    pub(crate) enabled: BTreeMap<String, bool>,
    /// The key of an alias.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// The ARN of a key.
pub(crate) fn arn(region: &str, account: &str, key: &str) -> String {
    format!("arn:aws:kms:{region}:{account}:key/{key}")
}

impl Region {
    /// The ARN of the enabled key that a caller means: by key id, alias, or the ARN of either.
    pub(crate) fn usable_key(&self, caller: &str, named: &str) -> Option<String> {
        let (account, name) = match named.strip_prefix("arn:aws:kms:") {
            Some(rest) => {
                let mut parts = rest.splitn(3, ':');
                let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
                if region != self.name {
                    return None;
                }
                (account, name)
            }
            None => (caller, named),
        };
        let keys = &self.accounts.get(account)?.keys;
        let key = if name.starts_with("alias/") {
            keys.aliases.get(name)?.as_str()
        } else {
            name
        };
        let key = key.strip_prefix("key/").unwrap_or(key);
        keys.enabled.get(key).filter(|enabled| **enabled)?;
        Some(arn(&self.name, account, key))
    }

    /// Whether the ARN is that of the key which EBS made: what it encrypts cannot be shared.
    pub(crate) fn is_default_key(&self, account: &str, key_arn: &str) -> bool {
        let default = self
            .accounts
            .get(account)
            .and_then(|holdings| holdings.keys.aliases.get(DEFAULT_ALIAS));
        default.is_some_and(|key| arn(&self.name, account, key) == key_arn)
    }
}
