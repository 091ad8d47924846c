//! Reads: one object, and lists with pages.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::Call;
use crate::select::Selection;
use crate::store::{Key, Store, Stored};

impl Store {
    /// GET of one object; `back` revisions ago if it is to be stale.
    pub(crate) fn read(&self, call: &Call, back: Option<u64>) -> Result<Bytes, ApiError> {
        let key = Key { kind: call.kind, namespace: call.info.namespace.clone(), name: call.info.name.clone() };
        let not_found = || ApiError::not_found(&self.kinds[call.kind], &key.name);
        self.not_newer_than_now(call)?;
        let stored = match back {
            None => self.get(&key).cloned(),
            Some(back) => self.list_at(self.stale(back), key.kind, &key.namespace)?.remove(&key),
        };
        let stored = stored.ok_or_else(not_found)?;
        Ok(shown(&stored, call.metadata_only))
    }

    /// GET of a list.
    pub(crate) fn read_list(&self, call: &Call, back: Option<u64>) -> Result<Bytes, ApiError> {
        let selection = Selection::of(call)?;
        self.not_newer_than_now(call)?;
        let limit = match call.asks("limit") {
            "" => 0,
            limit => limit.parse::<usize>().map_err(|_| ApiError::bad_request(format!("limit: {limit}")))?,
        };
        let (revision, after) = match call.asks("continue") {
            "" if call.asks("resourceVersionMatch") == "Exact" => (Some(number(call.asks("resourceVersion"))?), None),
            "" => (back.map(|back| self.stale(back)), None),
            token => {
                let (revision, after) = continued(token, call.kind)?;
                (Some(revision), Some(after))
            }
        };
        let objects = match revision {
            None => self.list(call.kind, &call.info.namespace),
            Some(revision) => self.list_at(revision, call.kind, &call.info.namespace)?,
        };
        let revision = revision.unwrap_or_else(|| self.revision());
        Ok(self.page(call, &selection, &objects, after, limit, revision))
    }

    fn page(
        &self,
        call: &Call,
        selection: &Selection,
        objects: &BTreeMap<Key, Arc<Stored>>,
        after: Option<Key>,
        limit: usize,
        revision: u64,
    ) -> Bytes {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut left =
            objects.range((from, Bound::Unbounded)).filter(|(key, stored)| selection.takes(key, stored)).peekable();
        let mut items = Vec::new();
        let mut last = None;
        while let Some((key, stored)) = left.next_if(|_| limit == 0 || items.len() < limit) {
            items.push(shown(stored, call.metadata_only));
            last = Some(key);
        }
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        let remaining = left.count();
        if let (1.., Some(key)) = (remaining, last) {
            metadata["continue"] = json!(format!("{revision}/{}/{}", key.namespace, key.name));
            if !selection.is_narrow() {
                metadata["remainingItemCount"] = json!(remaining);
            }
        }
        let kind = &self.kinds[call.kind];
        let (api_version, kind) = match call.metadata_only {
            true => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned()),
            false => (kind.api_version(), format!("{}List", kind.kind)),
        };
        let head = format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{metadata},"items":["#);
        let mut body = head.into_bytes();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(item);
        }
        body.extend_from_slice(b"]}");
        body.into()
    }

    /// The revision that was current so many changes ago, as far as it is still known.
    fn stale(&self, back: u64) -> u64 {
        self.revision().saturating_sub(back).max(self.compacted())
    }

    fn not_newer_than_now(&self, call: &Call) -> Result<(), ApiError> {
        let asked = match call.asks("resourceVersion") {
            "" => return Ok(()),
            asked => number(asked)?,
        };
        if asked > self.revision() {
            let message = format!("Timeout: Too large resource version: {asked}, current: {}", self.revision());
            let mut error = ApiError::new(504, "Timeout", message);
            let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
            error.details = json!({"retryAfterSeconds": 1, "causes": [cause]});
            return Err(error);
        }
        Ok(())
    }
}

pub(crate) fn number(text: &str) -> Result<u64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request(format!("Invalid value: \"{text}\": a resource version is a number")))
}

fn continued(token: &str, kind: usize) -> Result<(u64, Key), ApiError> {
    let bad = || ApiError::bad_request("continue key is not valid");
    let mut parts = token.splitn(3, '/');
    let mut part = || parts.next().ok_or_else(bad);
    let revision = number(part()?).map_err(|_| bad())?;
    Ok((revision, Key { kind, namespace: part()?.into(), name: part()?.into() }))
}

/// An object as it is answered.
pub(crate) fn shown(stored: &Stored, metadata_only: bool) -> Bytes {
    if metadata_only { partial(&stored.object).to_string().into() } else { stored.written() }
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
