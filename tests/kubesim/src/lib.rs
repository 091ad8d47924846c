//! A small simulated Kubernetes API server, for running a controller in one process under paused time.
//!
//! Inside is a state machine over explicit time, without I/O. Around it, [`KubeSim`] is a handle for tests, and a service
//! that `kube::Client` takes. What it does not know it refuses with an error.

mod builtin;
mod change;
mod error;
mod faults;
mod fields;
mod http;
mod kinds;
mod managers;
mod names;
mod read;
mod request;
mod rules;
mod schema;
mod select;
mod serve;
mod sim;
mod store;
mod typed;
mod validate;
mod watch;
mod write;

pub use self::http::Answer;
pub use error::ApiError;
pub use faults::{Hook, Logged, Verdict};
pub use request::{RequestInfo, Verb};
pub use sim::{Clock, KubeSim};
pub use watch::WatchBody;
