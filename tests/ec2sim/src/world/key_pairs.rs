//! Key pairs, as far as a tool that makes one for its instance needs them. Nobody can log in with them: no machine runs.

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::written as date;
use crate::world::filters::{Filter, Filtered, Matcher, Values, one};
use crate::world::ids::KEY_PAIR;
use crate::world::region::Holdings;
use crate::world::tags::{self, TagSpecification, Tags};

/// A key pair.
#[derive(Debug, Clone)]
pub(crate) struct KeyPair {
    pub(crate) id: String,
    name: String,
    kind: String,
    created: Timestamp,
    pub(crate) tags: Tags,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateKeyPair {
    key_name: String,
    key_type: Option<String>,
    #[serde(rename = "KeyFormat")]
    _format: Option<String>,
    /// Of ImportKeyPair.
    public_key_material: Option<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeKeyPairs {
    #[serde(default, rename = "KeyName")]
    names: Vec<String>,
    #[serde(default, rename = "KeyPairId")]
    ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    #[serde(rename = "IncludePublicKey")]
    _include_public_key: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DeleteKeyPair {
    key_name: Option<String>,
    key_pair_id: Option<String>,
}

/// Stands where the fingerprint of a key would.
const FINGERPRINT: &str = "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";
/// Stands where a private key would.
const MATERIAL: &str = "-----BEGIN RSA PRIVATE KEY-----\nc2ltdWxhdGVk\n-----END RSA PRIVATE KEY-----";

impl Filtered for KeyPair {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("fingerprint", |_| one(FINGERPRINT)),
        ("key-name", |pair| one(&pair.name)),
        ("key-pair-id", |pair| one(&pair.id)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Holdings {
    /// Refuses the name of a key pair that is not there.
    pub(crate) fn check_key_pair(&self, name: &str) -> Result<(), ApiError> {
        if self.key_pairs.contains_key(name) { Ok(()) } else { Err(KEY_PAIR.not_found(name)) }
    }
}

impl World {
    /// CreateKeyPair, and ImportKeyPair, where the caller keeps the private half.
    pub(crate) fn create_key_pair(&mut self, cx: &Context, input: CreateKeyPair) -> Result<Xml, ApiError> {
        let tags = tags::specified(&input.tag_specifications, &[&KEY_PAIR], &KEY_PAIR)?;
        let id = self.ids.resource(&KEY_PAIR);
        let pairs = &mut self.region_mut(cx)?.holdings(&cx.account).key_pairs;
        if pairs.contains_key(&input.key_name) {
            return Err(ApiError::new(
                "InvalidKeyPair.Duplicate",
                format!("The keypair '{}' already exists.", input.key_name),
            ));
        }
        let kind = input.key_type.unwrap_or_else(|| "rsa".to_owned());
        let mut x = Xml::new();
        x.text("keyPairId", &id).text("keyName", &input.key_name).text("keyFingerprint", FINGERPRINT);
        if input.public_key_material.is_none() {
            x.text("keyMaterial", MATERIAL);
        }
        tags::write(&mut x, &tags);
        let pair = KeyPair { id, name: input.key_name.clone(), kind, created: cx.now, tags };
        pairs.insert(input.key_name, pair);
        Ok(x)
    }

    pub(crate) fn describe_key_pairs(&mut self, cx: &Context, input: DescribeKeyPairs) -> Result<Xml, ApiError> {
        let matcher = Matcher::new(&input.filters)?;
        let holdings = self.region_mut(cx)?.holdings(&cx.account);
        input.names.iter().try_for_each(|name| holdings.check_key_pair(name))?;
        let pairs = &holdings.key_pairs;
        if let Some(id) = input.ids.iter().find(|id| !pairs.values().any(|pair| pair.id == **id)) {
            return Err(KEY_PAIR.not_found(id));
        }
        let all = input.names.is_empty() && input.ids.is_empty();
        let wanted = |pair: &KeyPair| {
            (all || input.names.contains(&pair.name) || input.ids.contains(&pair.id))
                && matcher.passes(pair, &cx.account)
        };
        let mut x = Xml::new();
        x.list("keySet", pairs.values().filter(|pair| wanted(pair)), |x, pair| {
            x.text("keyPairId", &pair.id)
                .text("keyName", &pair.name)
                .text("keyFingerprint", FINGERPRINT)
                .text("keyType", &pair.kind)
                .text("createTime", date(pair.created));
            tags::write(x, &pair.tags);
        });
        Ok(x)
    }

    /// What is not there can be deleted too.
    pub(crate) fn delete_key_pair(&mut self, cx: &Context, input: DeleteKeyPair) -> Result<Xml, ApiError> {
        if input.key_name.is_none() && input.key_pair_id.is_none() {
            return Err(ApiError::missing("KeyName"));
        }
        let pairs = &mut self.region_mut(cx)?.holdings(&cx.account).key_pairs;
        let meant = |pair: &KeyPair| {
            Some(&pair.name) == input.key_name.as_ref() || Some(&pair.id) == input.key_pair_id.as_ref()
        };
        pairs.retain(|_, pair| !meant(pair));
        Ok(Xml::done())
    }
}
