//! What each request is answered with.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::change::Deleted;
use crate::error::ApiError;
use crate::read::{number, shown};
use crate::request::{Call, PatchKind, Verb};
use crate::select::Selection;
use crate::sim::KubeSim;
use crate::store::{Key, Store};
use crate::watch::{self, Asked, WatchBody, Watcher, error_line, line, raw_line};
use crate::write::Options;

/// Carries out a request: the status and the body of the answer.
pub(crate) fn answer(
    store: &mut Store,
    now: Timestamp,
    call: &Call,
    stale: Option<u64>,
) -> Result<(u16, Bytes), ApiError> {
    let key = Key { kind: call.kind, namespace: call.info.namespace.clone(), name: call.info.name.clone() };
    let options = options(call)?;
    let made =
        |(made, stored): (bool, std::sync::Arc<_>)| (if made { 201 } else { 200 }, shown(&stored, call.metadata_only));
    match call.info.verb {
        Verb::Get => Ok((200, store.read(call, stale)?)),
        Verb::List => Ok((200, store.read_list(call, stale)?)),
        Verb::Watch => Err(ApiError::internal("a watch is not answered at once")),
        Verb::Create => {
            let stored = store.create(now, call.kind, &call.info.namespace, call.json()?, &options)?;
            Ok((201, shown(&stored, call.metadata_only)))
        }
        Verb::Update => Ok(made(store.replace(now, &key, call.json()?, &options)?)),
        Verb::Patch => Ok(made(store.patch(now, &key, call.patch, &call.json()?, false, &options)?)),
        Verb::Apply => {
            let text = std::str::from_utf8(&call.body).map_err(|e| ApiError::bad_request(e.to_string()))?;
            let manifest: Value = match serde_json::from_str(text) {
                Ok(manifest) => manifest,
                Err(_) => serde_saphyr::from_str(text)
                    .map_err(|e| ApiError::bad_request(format!("error decoding YAML: {e}")))?,
            };
            let force = call.asks("force") == "true";
            Ok(made(store.patch(now, &key, PatchKind::Apply, &manifest, force, &options)?))
        }
        Verb::Delete => {
            let how = if call.body.is_empty() { Value::Null } else { call.json()? };
            match store.delete(now, &key, &how, options.dry_run)? {
                Deleted::Gone(status) => Ok((200, status.to_string().into())),
                Deleted::Held(stored) => Ok((200, shown(&stored, call.metadata_only))),
            }
        }
    }
}

fn options(call: &Call) -> Result<Options, ApiError> {
    let dry_run = match call.asks("dryRun") {
        "" => false,
        "All" => true,
        other => return Err(ApiError::bad_request(format!("dryRun: {other}"))),
    };
    let manager = match (call.asks("fieldManager"), call.info.verb) {
        ("", Verb::Apply) => "",
        ("", _) if call.agent.is_empty() => "unknown",
        ("", _) => &call.agent,
        (manager, _) => manager,
    };
    Ok(Options {
        manager: manager.to_owned(),
        status: call.info.subresource == "status",
        strict: call.asks("fieldValidation") == "Strict",
        dry_run,
    })
}

/// Begins a watch: both of its ends.
pub(crate) fn watch(sim: &KubeSim, store: &Store, call: &Call) -> Result<(Watcher, WatchBody), ApiError> {
    let asked = Asked {
        selection: Selection::of(call)?,
        metadata_only: call.metadata_only,
        bookmarks: call.asks("allowWatchBookmarks") == "true",
        seconds: call.asks("timeoutSeconds").parse().ok(),
    };
    let from = match call.asks("resourceVersion") {
        "" => 0,
        version => number(version)?,
    };
    let streams_list = call.asks("sendInitialEvents") == "true";
    let mut first = Vec::new();
    let mut too_old = false;
    if from == 0 || streams_list {
        let objects = store.list(call.kind, &call.info.namespace);
        let wanted = objects.iter().filter(|(key, stored)| asked.selection.takes(key, stored));
        first.extend(wanted.map(|(_, stored)| raw_line("ADDED", &shown(stored, call.metadata_only))));
    } else if from < store.compacted() {
        let message = format!("too old resource version: {from} ({})", store.compacted());
        first.push(error_line(&ApiError::expired(message)));
        too_old = true;
    } else {
        let seen = |change| Some(line(change, asked.selection.sees(change)?, call.metadata_only));
        first.extend(store.changes_after(from).iter().filter_map(seen));
    }
    if streams_list && asked.bookmarks {
        first.push(watch::initial_events_end(&store.kinds[call.kind], store.revision(), call.metadata_only));
    }
    let (mut watcher, body) = watch::open(sim.clone(), &store.kinds[call.kind], asked, first);
    if too_old {
        watcher.end();
    }
    Ok((watcher, body))
}
