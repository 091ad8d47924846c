//! The program as people run it: against a real API server, under the chart's RBAC, on a simulated AWS.
//!
//! The tests share one API server and run side by side in any order: each has a namespace and an AWS of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at what it does not expect; the stage then prints what there was"
)]

mod channels;
mod contention;
mod converge;
mod crash;
mod deletion;
mod faults;
mod fixtures;
mod leader;
mod manifests;
mod outages;
mod plan_command;
mod prune;
mod service;
mod sources;
mod tags;
mod time;
mod undecodable;
