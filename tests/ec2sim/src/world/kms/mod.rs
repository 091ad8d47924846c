//! Keys and aliases, as far as encryption of copies needs them.

pub(crate) mod aliases;
pub(crate) mod grants;
pub(crate) mod key;
pub(crate) mod operations;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::ApiError;
use crate::request::Context;
use crate::world::World;
use crate::world::region::Region;
use key::Key;

/// The alias of the key that EBS uses unless another is named. AWS makes it when it is first needed.
pub(crate) const DEFAULT_ALIAS: &str = "alias/aws/ebs";

/// The keys of an account in a region.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// By id.
    pub(crate) by_id: BTreeMap<String, Key>,
    /// The key of an alias.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// The ARN of a key.
pub(crate) fn arn(region: &str, account: &str, key: &str) -> String {
    format!("arn:aws:kms:{region}:{account}:key/{key}")
}

impl Region {
    /// The owner of the key that a caller means, and its id: by key id, alias, or the ARN of either.
    pub(crate) fn named_key<'a>(&'a self, caller: &'a str, named: &'a str) -> Option<(&'a str, &'a str)> {
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
        Some((account, key.strip_prefix("key/").unwrap_or(key)))
    }

    /// A key with the account that owns it.
    pub(crate) fn find_key<'a>(&'a self, caller: &'a str, named: &'a str) -> Option<(&'a str, &'a Key)> {
        let (account, id) = self.named_key(caller, named)?;
        Some((account, self.accounts.get(account)?.keys.by_id.get(id)?))
    }

    /// The ARN of the key that a caller means, if it is enabled and its policy or a grant lets the caller use it.
    pub(crate) fn usable_key(&self, caller: &str, named: &str) -> Option<String> {
        let (account, key) = self.find_key(caller, named)?;
        (key.is_enabled() && key.allows(caller)).then(|| arn(&self.name, account, &key.id))
    }

    /// Whether the caller can use the keys of a new volume: its own, and that of the snapshot it is made of.
    pub(crate) fn can_unlock(&self, caller: &str, volume: (bool, Option<&str>), snapshot_key: Option<&str>) -> bool {
        let (encrypted, key) = volume;
        (!encrypted || key.is_some()) && snapshot_key.is_none_or(|key| self.usable_key(caller, key).is_some())
    }

    /// Takes away a key whose time has come, with all the aliases that lead to it; one whose deletion was cancelled, or
    /// set to a later moment, stays: <https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html>.
    pub(crate) fn delete_key(&mut self, now: Timestamp, account: &str, id: &str) {
        let keys = &mut self.holdings(account).keys;
        if keys.by_id.get(id).is_some_and(|key| key.deletion.is_some_and(|at| at <= now)) {
            keys.by_id.remove(id);
            keys.aliases.retain(|_, target| target != id);
        }
    }

    /// Whether the ARN is that of the key which EBS made: what it encrypts cannot be shared.
    pub(crate) fn is_default_key(&self, account: &str, key_arn: &str) -> bool {
        let default = self.accounts.get(account).and_then(|holdings| holdings.keys.aliases.get(DEFAULT_ALIAS));
        default.is_some_and(|key| arn(&self.name, account, key) == key_arn)
    }
}

impl Keys {
    /// Adds the key that AWS makes for EBS, unless it is there.
    fn add_default(&mut self, cx: &Context, id: String) {
        if !self.aliases.contains_key(DEFAULT_ALIAS) {
            self.aliases.insert(DEFAULT_ALIAS.to_owned(), id.clone());
            let key = Key::managed_by_aws(id.clone(), &cx.account, cx.now);
            self.by_id.insert(id, key);
        }
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
    /// Whether the copy of something is encrypted. An encrypted source cannot be decrypted by copying it, and a key
    /// needs `Encrypted=true`.
    pub(crate) fn applies_to(&self, encrypted: bool, by_default: bool) -> Result<bool, ApiError> {
        if self.key.is_some() && self.asked != Some(true) {
            return Err(ApiError::new(
                "InvalidParameterDependency",
                "The parameter KmsKeyId requires the parameter Encrypted to be set.",
            ));
        }
        match self.asked {
            Some(false) if encrypted => {
                Err(ApiError::combination("You cannot create an unencrypted copy of an encrypted snapshot."))
            }
            Some(true) => Ok(true),
            // Where the account encrypts by default nothing stays unencrypted, whatever is asked.
            _ => Ok(encrypted || by_default),
        }
    }
}

impl World {
    /// Whether the copy of a snapshot or volume is encrypted, and with which key if that can be used: the one named, else that
    /// of a source which is the caller's own and in this region, else the default of EBS:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AMIEncryption.html>.
    pub(crate) fn encrypt(
        &mut self,
        cx: &Context,
        source_encrypted: bool,
        source_key: Option<&str>,
        how: &Encryption<'_>,
    ) -> Result<(bool, Option<String>), ApiError> {
        let fresh = self.ids.uuid();
        let region = self.region_mut(cx)?;
        let name = region.name.clone();
        let holdings = region.holdings(&cx.account);
        let by_default = holdings.ebs.encrypt;
        if !how.applies_to(source_encrypted, by_default)? {
            return Ok((false, None));
        }
        let default = holdings.ebs.key.clone();
        let default = default.as_deref().unwrap_or(DEFAULT_ALIAS);
        let local = format!("arn:aws:kms:{name}:{}:", cx.account);
        let inherited = source_key.filter(|key| key.starts_with(&local));
        let named = how.key.or(inherited).unwrap_or(default);
        if named == DEFAULT_ALIAS {
            holdings.keys.add_default(cx, fresh);
        }
        Ok((true, region.usable_key(&cx.account, named)))
    }
}
