//! The planner, seen from outside: what it decides, why, and what a person reads about it.
//!
//! One module a concern. Each test tells one rule; `fixtures` builds the manifests and the worlds that they start from,
//! `properties` holds what must be true in every world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod copies;
mod desired;
mod fixtures;
mod guards;
mod invariants;
mod model;
mod promote;
mod properties;
mod remains;
mod removal;
mod replicate;
mod retire;
mod snapshots;
mod tagging;
mod worlds;
