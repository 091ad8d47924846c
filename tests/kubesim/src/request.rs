//! Requests: what the API server reads from method, path, query and headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use serde_json::Value;

use crate::error::ApiError;
use crate::kinds::Kind;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a list.
    List,
    /// Be told of changes.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object by a JSON merge patch or a JSON patch.
    Patch,
    /// Change or make an object by server-side apply.
    Apply,
    /// Delete an object.
    Delete,
}

impl Verb {
    /// Whether it can change anything.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestInfo {
    /// What it asks for.
    pub verb: Verb,
    /// The plural name of the kind, like machineimages.
    pub resource: String,
    /// The namespace; empty for all of them.
    pub namespace: String,
    /// The name of the object; empty for lists, and where the server makes the name.
    pub name: String,
    /// `status`, or empty.
    pub subresource: String,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Merge,
    Json,
    Apply,
}

/// A request, read.
pub(crate) struct Call {
    pub(crate) info: RequestInfo,
    /// The kind, by its place.
    pub(crate) kind: usize,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    pub(crate) patch: PatchKind,
    /// Whether only the metadata of objects is asked for.
    pub(crate) metadata_only: bool,
    pub(crate) agent: String,
}

impl Call {
    pub(crate) fn parse(kinds: &[Arc<Kind>], parts: &Parts, body: Bytes) -> Result<Self, ApiError> {
        let query: BTreeMap<String, String> = parts
            .uri
            .query()
            .map(|query| form_urlencoded::parse(query.as_bytes()).into_owned().collect())
            .unwrap_or_default();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let steps: Vec<_> = parts.uri.path().trim_matches('/').split('/').collect();
        let (group, version, rest) = match &steps[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(unknown_path()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return Err(unknown_path()),
        };
        let of = |k: &Arc<Kind>| k.group == group && k.version == version && k.plural == plural;
        let kind = kinds.iter().position(of).ok_or_else(unknown_path)?;
        let known = &kinds[kind];
        let has_subresource = subresource.is_empty() || subresource == "status" && known.has_status;
        if !has_subresource || !name.is_empty() && known.namespaced == namespace.is_empty() {
            return Err(unknown_path());
        }
        let patch = match header(CONTENT_TYPE) {
            "application/merge-patch+json" => Some(PatchKind::Merge),
            "application/json-patch+json" => Some(PatchKind::Json),
            "application/apply-patch+yaml" => Some(PatchKind::Apply),
            _ => None,
        };
        let watches = query.get("watch").is_some_and(|w| w == "true" || w == "1");
        let verb = match (&parts.method, name.is_empty()) {
            (&Method::GET, false) => Verb::Get,
            (&Method::GET, true) if watches => Verb::Watch,
            (&Method::GET, true) => Verb::List,
            (&Method::POST, true) => Verb::Create,
            (&Method::PUT, false) => Verb::Update,
            (&Method::PATCH, false) if patch == Some(PatchKind::Apply) => Verb::Apply,
            (&Method::PATCH, false) if patch.is_some() => Verb::Patch,
            (&Method::PATCH, false) => return Err(unsupported_patch(header(CONTENT_TYPE))),
            (&Method::DELETE, false) => Verb::Delete,
            _ => return Err(ApiError::not_allowed()),
        };
        // The name of what is made stands in the body only.
        let name = match verb {
            Verb::Create => {
                let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
                body["metadata"]["name"].as_str().unwrap_or_default().to_owned()
            }
            _ => name.to_owned(),
        };
        let info = RequestInfo {
            verb,
            resource: plural.to_owned(),
            namespace: namespace.to_owned(),
            name,
            subresource: subresource.to_owned(),
        };
        Ok(Self {
            info,
            kind,
            query,
            body,
            patch: patch.unwrap_or(PatchKind::Merge),
            metadata_only: header(ACCEPT).contains("as=PartialObjectMetadata"),
            agent: header(USER_AGENT).split('/').next().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn asks(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether a change names the resource version of the object, which the server compares; or tests that it is this object, and
    /// that what it changes is as it was seen.
    pub(crate) fn is_versioned(&self) -> bool {
        let changes = matches!(self.info.verb, Verb::Update | Verb::Patch | Verb::Apply);
        let named =
            |body: &Value| body["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty());
        changes && self.json().is_ok_and(|body| named(&body) || tests_what_it_changes(&body))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|e| ApiError::bad_request(format!("error decoding the body: {e}")))
    }
}

/// Whether a JSON patch tests the uid, and what it changes.
fn tests_what_it_changes(patch: &Value) -> bool {
    let paths = |tests: bool| {
        let steps = patch.as_array().into_iter().flatten().filter(move |step| (step["op"] == "test") == tests);
        steps.map(|step| step["path"].as_str().unwrap_or_default())
    };
    paths(true).any(|path| path == "/metadata/uid")
        && paths(false).all(|path| paths(true).any(|tested| path.starts_with(tested)))
}

fn unknown_path() -> ApiError {
    ApiError::new(404, "NotFound", "the server could not find the requested resource")
}

fn unsupported_patch(content_type: &str) -> ApiError {
    let message = format!("the body of the request was in an unknown format: {content_type}");
    ApiError::new(415, "UnsupportedMediaType", message)
}
