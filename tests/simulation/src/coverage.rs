//! What histories lead to: the reasons of what the planner did and the codes of what it could not do, heard in the program's
//! log, and what kept images, read in its reports. A history proves nothing about what it never leads to.

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::trace::Trace;

/// Hears the log of the program under test; everything else stays silent.
pub(crate) struct Listener(pub(crate) Trace);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("amiops::controller::execute")
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Heard(&self.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Heard<'a>(&'a Trace);

impl Visit for Heard<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "reason" => self.0.count(format!("did for reason {value}")),
            "code" => self.0.count(format!("failed with {value}")),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Counts what a report says: problems by their code, and what keeps images.
pub(crate) fn read_report(trace: &Trace, status: &Value) {
    for problem in status["problems"].as_array().into_iter().flatten() {
        trace.count(format!("told of {}", problem["reason"].as_str().unwrap_or_default()));
    }
    for kept in status["pruning"].as_array().into_iter().flatten() {
        if let Some(sentence) = kept["blockedBy"].as_str() {
            trace.count(format!("kept, because {}", words(sentence)));
        }
    }
}

/// A sentence without the words that name something.
fn words(sentence: &str) -> String {
    let first = sentence.split([':', ',']).next().unwrap_or_default();
    let plain = |word: &&str| !word.contains(|c: char| c.is_ascii_digit() || "/-_".contains(c));
    first.split_whitespace().filter(plain).collect::<Vec<_>>().join(" ")
}
