//! Keys and aliases, as far as encryption of copies needs them.

use std::collections::BTreeMap;

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::region::Region;
use crate::world::snapshot::Snapshot;

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
        let key = if name.starts_with("alias/") { keys.aliases.get(name)?.as_str() } else { name };
        let key = key.strip_prefix("key/").unwrap_or(key);
        keys.enabled.get(key).filter(|enabled| **enabled)?;
        Some(arn(&self.name, account, key))
    }

    /// Whether the ARN is that of the key which EBS made: what it encrypts cannot be shared.
    pub(crate) fn is_default_key(&self, account: &str, key_arn: &str) -> bool {
        let default = self.accounts.get(account).and_then(|holdings| holdings.keys.aliases.get(DEFAULT_ALIAS));
        default.is_some_and(|key| arn(&self.name, account, key) == key_arn)
    }
}

/// How a copy is to be encrypted.
pub(crate) struct Encryption<'a> {
    /// `Encrypted`, if it was said.
    pub(crate) asked: Option<bool>,
    /// `KmsKeyId`: an id, an alias or the ARN of either.
    pub(crate) key: Option<&'a str>,
}

impl Encryption<'_> {
    /// Whether the copy of a snapshot is encrypted. An encrypted source cannot be decrypted by copying it, and a key
    /// needs `Encrypted=true`.
    pub(crate) fn applies_to(&self, source: &Snapshot) -> Result<bool, ApiError> {
        match self.asked {
            Some(false) if source.encrypted => {
                Err(ApiError::combination("You cannot create an unencrypted copy of an encrypted snapshot."))
            }
            Some(true) => Ok(true),
            _ if self.key.is_some() => {
                Err(ApiError::combination("If you specify a KMS key, you must also set Encrypted to true"))
            }
            _ => Ok(source.encrypted),
        }
    }
}

impl World {
    /// Whether the copy of a snapshot is encrypted, and with which key if that can be used: the one named, else the
    /// source's where encryption is inherited within the region, else the default of EBS.
    pub(crate) fn encrypt(
        &mut self,
        cx: &Context,
        source: &Snapshot,
        how: &Encryption<'_>,
    ) -> Result<(bool, Option<String>), ApiError> {
        if !how.applies_to(source)? {
            return Ok((false, None));
        }
        let fresh = self.ids.uuid();
        let region = self.region_mut(cx)?;
        let local = format!("arn:aws:kms:{}:", region.name);
        let inherited = source.key.as_deref().filter(|key| how.asked.is_none() && key.starts_with(&local));
        let named = how.key.or(inherited).unwrap_or(DEFAULT_ALIAS);
        if named == DEFAULT_ALIAS {
            let keys = &mut region.holdings(&cx.account).keys;
            if !keys.aliases.contains_key(DEFAULT_ALIAS) {
                keys.aliases.insert(DEFAULT_ALIAS.to_owned(), fresh.clone());
                keys.enabled.insert(fresh, true);
            }
        }
        Ok((true, region.usable_key(&cx.account, named)))
    }
}
