//! The custom resource `MachineImage`: its types, schema rules, columns and status. No I/O.

mod crd;
mod rules;
mod spec;
mod status;

pub use crd::{crd, crd_yaml};
pub use spec::{
    Channel, DeletionPolicy, ImageSource, MachineImage, MachineImageSpec, Publish, Region, Retention, Source, Version,
};
pub use status::{
    ChannelHistory, ChannelRegion, ChannelStatus, Condition, ConditionStatus, MachineImageStatus, Problem, PruneStatus,
    ReplicaState, ReplicaStatus, VersionStatus,
};

/// Put on a `MachineImage` with any new value, this annotation asks for a pass now;
/// `status.lastHandledReconcileAt` repeats the value once the pass is done.
pub const RECONCILE_AT: &str = "amiops.dev/reconcile-at";

/// The finalizer that lets amiops retire the images of an object before the object goes.
pub const FINALIZER: &str = "amiops.dev/retire";
