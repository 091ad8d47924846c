//! What the program tells of itself: metrics, logs, health.

mod health;
mod logs;
mod metrics;

pub use health::{Health, serve};
pub use logs::{LogFormat, init};
pub use metrics::Metrics;
