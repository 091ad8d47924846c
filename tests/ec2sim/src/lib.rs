//! A simulator of the parts of EC2, SSM and STS that decide the life of an AMI.
//!
//! [`World`] is a state machine over explicit time, without I/O. Two thin doors lead to it: [`serve`] answers HTTP on
//! loopback, and [`Sim::http_client`] is an HTTP client for an AWS SDK in the same process. What it does not know it
//! refuses with an error.

mod admin;
mod calls;
mod clock;
mod config;
mod error;
mod faults;
mod http;
mod pattern;
mod request;
mod sdk;
mod sim;
mod wire;
mod world;

pub use self::http::serve;
pub use calls::{Call, CallCount};
pub use clock::{Clock, ManualClock, system_clock};
pub use config::{Config, ReplayDead};
pub use error::ApiError;
pub use faults::{Effect, Fault};
pub use request::{Answer, Outcome, Params, Request, Service};
pub use sim::Sim;
pub use world::{
    ImageState, ImageView, Machine, Membership, OptIn, ParameterView, RegionView, RetentionRule, SeedImage,
    SeedInstance, SeedKey, SeedLaunchTemplate, SnapshotView, UseView, World,
};
