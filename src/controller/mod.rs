//! The controller: watch, observe, plan, execute, report; one file for each step.

mod conditions;
mod context;
mod delete;
mod events;
mod execute;
mod leader;
mod observe;
mod pass;
mod report;
mod rounds;
mod run;

pub use leader::{Election, Leadership};
pub use observe::{Surroundings, observe};
pub use run::{Doors, Settings, Stopped, Telemetry, run};
