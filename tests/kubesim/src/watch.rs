//! Watches: bodies that yield a line for each change, until their time is up or the connection is cut.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::ApiError;
use crate::kinds::Kind;
use crate::read::shown;
use crate::select::Selection;
use crate::sim::KubeSim;
use crate::store::{Change, Happening};

/// How often a bookmark is sent to those who want them.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long before the end of a watch its last bookmark is sent.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// How long a watch lasts that does not say so. The real server takes between 30 and 60 minutes.
const LIFE: Duration = Duration::from_secs(30 * 60);

enum Item {
    Line(Bytes),
    /// The connection breaks.
    Cut,
    /// The server ends the stream.
    End,
}

/// The server's end of a watch.
pub(crate) struct Watcher {
    selection: Selection,
    metadata_only: bool,
    to: UnboundedSender<(Instant, Item)>,
    /// No line may overtake the one before.
    last: Instant,
}

impl Watcher {
    /// Tells of a change, `lag` from now. Whether anybody still listens.
    pub(crate) fn tell(&mut self, change: &Change, lag: Duration) -> bool {
        match self.selection.sees(change) {
            None => !self.to.is_closed(),
            Some(happening) => self.send(line(change, happening, self.metadata_only), lag),
        }
    }

    /// Breaks the connection.
    pub(crate) fn cut(&self) {
        let _ = self.to.send((self.last.max(Instant::now()), Item::Cut));
    }

    /// Ends the stream with the error that its resource version is too old.
    pub(crate) fn expire(&mut self) {
        self.send(
            error_line(&ApiError::expired("The resourceVersion for the provided watch is too old.")),
            Duration::ZERO,
        );
        self.end();
    }

    /// Ends the stream after what was sent.
    pub(crate) fn end(&mut self) {
        let _ = self.to.send((self.last, Item::End));
    }

    fn send(&mut self, line: Bytes, lag: Duration) -> bool {
        self.last = self.last.max(Instant::now() + lag);
        self.to.send((self.last, Item::Line(line))).is_ok()
    }
}

/// How a watch was asked for.
pub(crate) struct Asked {
    pub(crate) selection: Selection,
    pub(crate) metadata_only: bool,
    pub(crate) bookmarks: bool,
    pub(crate) seconds: Option<u64>,
}

/// Makes both ends of a watch; `first` is what happened already.
pub(crate) fn open(sim: KubeSim, kind: &Kind, asked: Asked, first: Vec<Bytes>) -> (Watcher, WatchBody) {
    let (to, from) = unbounded_channel();
    let now = Instant::now();
    let end = now + asked.seconds.map_or(LIFE, Duration::from_secs);
    let watcher = Watcher { selection: asked.selection, metadata_only: asked.metadata_only, to, last: now };
    let waiting = first.into_iter().map(|line| (now, Item::Line(line))).collect();
    let bookmark =
        asked.bookmarks.then(|| (now + BOOKMARKS).min(end.checked_sub(LAST_BOOKMARK).unwrap_or(end).max(now)));
    let body = WatchBody {
        sim,
        api_version: if asked.metadata_only { "meta.k8s.io/v1".into() } else { kind.api_version() },
        kind: if asked.metadata_only { "PartialObjectMetadata".into() } else { kind.kind.clone() },
        from,
        waiting,
        end,
        bookmark,
        alarm: Box::pin(sleep_until(end)),
    };
    (watcher, body)
}

/// The client's end of a watch.
pub struct WatchBody {
    sim: KubeSim,
    api_version: String,
    kind: String,
    from: UnboundedReceiver<(Instant, Item)>,
    waiting: VecDeque<(Instant, Item)>,
    end: Instant,
    /// When the next bookmark is due.
    bookmark: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        loop {
            // Read before the queue is looked at: all changes up to here are in the queue by now.
            let revision = body.sim.revision();
            while let Poll::Ready(Some(item)) = body.from.poll_recv(context) {
                body.waiting.push_back(item);
            }
            let now = Instant::now();
            if let Some((_, item)) = body.waiting.pop_front_if(|(at, _)| *at <= now) {
                return Poll::Ready(match item {
                    Item::Line(line) => Some(Ok(Frame::data(line))),
                    Item::Cut => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was cut"))),
                    Item::End => None,
                });
            }
            if now >= body.end || body.from.is_closed() && body.waiting.is_empty() {
                return Poll::Ready(None);
            }
            if body.bookmark.is_some_and(|at| at <= now) {
                let last = body.end.checked_sub(LAST_BOOKMARK).unwrap_or(body.end);
                body.bookmark = (now < last).then(|| (now + BOOKMARKS).min(last));
                // A bookmark may not overtake a change.
                if body.waiting.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(body.bookmark_line(revision)))));
                }
            }
            let next = [Some(body.end), body.bookmark, body.waiting.front().map(|(at, _)| *at)];
            let next = next.into_iter().flatten().min().unwrap_or(body.end);
            body.alarm.as_mut().reset(next);
            if body.alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl WatchBody {
    fn bookmark_line(&self, revision: u64) -> Bytes {
        let metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        bookmark(&self.api_version, &self.kind, &metadata)
    }
}

fn bookmark(api_version: &str, kind: &str, metadata: &Value) -> Bytes {
    let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
    format!("{}\n", json!({"type": "BOOKMARK", "object": object})).into()
}

/// The bookmark that ends a list that is streamed.
pub(crate) fn initial_events_end(kind: &Kind, revision: u64, metadata_only: bool) -> Bytes {
    let metadata = json!({
        "resourceVersion": revision.to_string(), "creationTimestamp": null,
        "annotations": {"k8s.io/initial-events-end": "true"},
    });
    match metadata_only {
        true => bookmark("meta.k8s.io/v1", "PartialObjectMetadata", &metadata),
        false => bookmark(&kind.api_version(), &kind.kind, &metadata),
    }
}

/// The line of a change.
pub(crate) fn line(change: &Change, happening: Happening, metadata_only: bool) -> Bytes {
    // Who no longer sees an object is told what it was, with the version of the change.
    let version = &change.object.object["metadata"]["resourceVersion"];
    let object = match (&change.before, happening, change.happening) {
        (Some(before), Happening::Deleted, Happening::Modified) => {
            let mut object = before.object.clone();
            object["metadata"]["resourceVersion"] = version.clone();
            object.to_string().into()
        }
        _ => shown(&change.object, metadata_only),
    };
    let type_ = match happening {
        Happening::Added => "ADDED",
        Happening::Modified => "MODIFIED",
        Happening::Deleted => "DELETED",
    };
    raw_line(type_, &object)
}

/// A line of an object that is there when a watch begins.
pub(crate) fn raw_line(type_: &str, object: &[u8]) -> Bytes {
    let mut line = format!(r#"{{"type":"{type_}","object":"#).into_bytes();
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

/// A line that ends a watch.
pub(crate) fn error_line(error: &ApiError) -> Bytes {
    format!("{}\n", json!({"type": "ERROR", "object": error.status()})).into()
}
