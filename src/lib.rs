//! amiops owns the life of Amazon Machine Images: it copies, tags, publishes and prunes them until
//! AWS matches the `MachineImage` manifests of a cluster.
//!
//! `docs/architecture.md` says what each module is for and what it may import.

pub mod api;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod plan;
pub mod telemetry;
