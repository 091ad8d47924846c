//! AWS: the only module that names an AWS SDK. Clients, the inventory of what exists, the checks and the
//! writes, and the table of error codes. It decides nothing.

mod actions;
mod attempts;
mod client;
mod errors;
mod images;
mod inventory;
mod memory;
mod parameters;
mod usage;

pub use actions::{Outcome, act};
pub use client::{Aws, sdk_config, timeouts};
pub use inventory::{Inventory, Settings};
