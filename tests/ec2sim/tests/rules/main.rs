//! The rules that the simulator follows, each seen through one of its doors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it does not expect")]

mod accounts;
mod client;
mod copies;
mod faults;
mod http;
mod images;
mod instances;
mod keys;
mod launches;
mod parameters;
mod sessions;
