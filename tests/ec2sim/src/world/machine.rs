//! What images are made for.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// What an image is made for. A copy inherits all of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Machine {
    /// The architecture.
    pub architecture: String,
    /// The device that holds the root volume.
    pub root_device_name: String,
    /// `hvm` or `paravirtual`.
    pub virtualization_type: String,
    /// The platform that is billed.
    pub platform_details: String,
    /// Enhanced networking.
    pub ena_support: bool,
    /// `simple`, where the older enhanced networking is supported.
    pub sriov_net_support: Option<String>,
    /// How it boots.
    pub boot_mode: Option<String>,
    /// `v2.0` where instances must use version 2 of the metadata service.
    pub imds_support: Option<String>,
    /// `v2.0` where there is a TPM.
    pub tpm_support: Option<String>,
    /// The kernel of a paravirtual machine.
    pub kernel_id: Option<String>,
    /// Its RAM disk.
    pub ramdisk_id: Option<String>,
    /// The variables of UEFI.
    pub uefi_data: Option<String>,
    /// The codes of the Marketplace.
    pub product_codes: Vec<String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            architecture: "x86_64".to_owned(),
            root_device_name: "/dev/xvda".to_owned(),
            virtualization_type: "hvm".to_owned(),
            platform_details: "Linux/UNIX".to_owned(),
            ena_support: true,
            sriov_net_support: Some("simple".to_owned()),
            boot_mode: Some("uefi-preferred".to_owned()),
            imds_support: Some("v2.0".to_owned()),
            tpm_support: None,
            kernel_id: None,
            ramdisk_id: None,
            uefi_data: None,
            product_codes: Vec::new(),
        }
    }
}

impl Machine {
    /// `windows`, or nothing.
    pub(crate) fn platform(&self) -> Option<&'static str> {
        self.platform_details.starts_with("Windows").then_some("windows")
    }
}

/// The machine that an image is made for. There are few and images by the hundred thousand, so they share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedMachine(Arc<Machine>);

impl Deref for SharedMachine {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl SharedMachine {
    /// It, to change it for one image alone.
    pub(crate) fn own(&mut self) -> &mut Machine {
        Arc::make_mut(&mut self.0)
    }
}

impl Serialize for SharedMachine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// All that were needed so far.
#[derive(Debug, Default)]
pub(crate) struct Machines(BTreeSet<Arc<Machine>>);

impl Machines {
    pub(crate) fn shared(&mut self, machine: Machine) -> SharedMachine {
        if let Some(known) = self.0.get(&machine) {
            return SharedMachine(Arc::clone(known));
        }
        let new = Arc::new(machine);
        self.0.insert(Arc::clone(&new));
        SharedMachine(new)
    }
}
