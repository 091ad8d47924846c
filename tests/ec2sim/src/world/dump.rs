//! Everything there is, as JSON: AWS's side of what happened.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::region::{OptIn, Region};

impl World {
    /// All that all accounts have, by region; regions that hold nothing are left out.
    pub(crate) fn dump(&self) -> Value {
        let regions = self.regions.values().filter(|region| !is_empty(region));
        Value::Object(regions.map(|region| (region.name.clone(), dump_region(region))).collect())
    }

    /// The regions and whether they can be used.
    pub(crate) fn opt_ins(&self) -> Vec<(String, OptIn)> {
        self.regions.values().map(|region| (region.name.clone(), region.opt_in)).collect()
    }
}

fn is_empty(region: &Region) -> bool {
    region.images.is_empty()
        && region.snapshots.is_empty()
        && region.instances.is_empty()
        && region.volumes.is_empty()
        && region.launch_templates.is_empty()
        && region.accounts.values().all(|holdings| holdings.parameters.0.is_empty())
}

fn dump_region(region: &Region) -> Value {
    let parameters: serde_json::Map<String, Value> = region
        .accounts
        .iter()
        .filter(|(_, holdings)| !holdings.parameters.0.is_empty())
        .map(|(account, holdings)| (account.clone(), json!(holdings.parameters.0)))
        .collect();
    json!({
        "images": region.images.values().collect::<Vec<_>>(),
        "snapshots": region.snapshots.values().collect::<Vec<_>>(),
        "volumes": region.volumes.values().collect::<Vec<_>>(),
        "instances": region.instances.values().collect::<Vec<_>>(),
        "recycleBin": region.bin.values().collect::<Vec<_>>(),
        "launchTemplates": region.launch_templates.values().collect::<Vec<_>>(),
        "parameters": parameters,
    })
}
