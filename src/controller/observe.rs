//! Observe: join the manifest with what is known of its regions. Memory in the usual case; calls are made only for
//! what a decision needs and memory cannot have: sources to copy, and who uses what could go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use crate::api::MachineImage;
use crate::aws::Inventory;
use crate::plan::ids::{ImageId, ImageRef, Owner, ParameterName, RegionName, VersionName};
use crate::plan::{
    Class, Desired, Failure, Image, Key, Observed, RegionView, Trouble, Usage, candidates, regions_in_question,
    sources_to_look_up,
};

/// What a pass knows beside the manifest and AWS.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Regions where images or snapshots may be, although the manifest names the region no more.
    pub former_regions: BTreeSet<RegionName>,
    /// Images that other manifests name as a source.
    pub claimed: BTreeSet<ImageId>,
    /// Objects that do not decode, `<namespace>/<name>`: which images they name is not known.
    pub unreadable: BTreeSet<String>,
    /// The parameters of all manifests.
    pub parameters: BTreeSet<ParameterName>,
    /// Actions that failed before.
    pub failures: BTreeMap<Key, Failure>,
    /// For how long EC2 may still come to list what an earlier process has begun for the object and not reported.
    pub listed_late_for: Duration,
    /// The versions that an earlier process may have begun to copy.
    pub begun_earlier: BTreeSet<VersionName>,
    /// Whether somebody asked for this pass.
    pub requested: bool,
    /// Who uses images, as far as that is not to be asked again in this pass.
    pub usage: BTreeMap<ImageId, Usage>,
}

impl Surroundings {
    /// What the manifests of all objects mean to the one that `owner` names.
    pub fn among<'a>(manifests: impl Iterator<Item = &'a MachineImage>, owner: &Owner) -> Self {
        let mut surroundings = Self::default();
        for manifest in manifests {
            let channels = manifest.spec.channels.iter().filter_map(|c| c.publish.as_ref());
            surroundings.parameters.extend(channels.map(|p| ParameterName::new(&p.ssm_parameter)));
            let metadata = &manifest.metadata;
            let own =
                metadata.name.as_ref() == Some(&owner.name) && metadata.namespace.as_ref() == Some(&owner.namespace);
            // What is on its way out is copied to no region any more.
            if !own && metadata.deletion_timestamp.is_none() {
                let sources = manifest.spec.versions.iter().map(|v| ImageId::new(&v.source.image.id));
                surroundings.claimed.extend(sources);
            }
        }
        surroundings
    }
}

/// Sees what one object needs to know. Changes nothing in AWS.
pub async fn observe(inventory: &Arc<Inventory>, desired: &Desired, surroundings: &Surroundings) -> Observed {
    let regions: BTreeSet<_> = desired.regions.keys().chain(&surroundings.former_regions).cloned().collect();
    let views = regions.iter().map(|region| view(inventory, desired, surroundings, region));
    let mut observed = Observed {
        regions: regions.iter().cloned().zip(join_all(views).await).collect(),
        claimed: surroundings.claimed.clone(),
        unreadable: surroundings.unreadable.clone(),
        failures: surroundings.failures.clone(),
        listed_late_for: surroundings.listed_late_for,
        begun_earlier: surroundings.begun_earlier.clone(),
        requested: surroundings.requested,
        ..Observed::default()
    };
    // More may have come to be known while parameters were read.
    for (region, view) in observed.regions.iter_mut().filter(|(_, view)| view.images.is_some()) {
        renew(view, inventory.known(region, &desired.owner));
    }
    if !desired.deleting {
        observed.sources = sources(inventory, desired, &observed).await;
        let adopting = desired.versions.iter().find(|v| v.adopt && observed.sources.contains_key(&v.source));
        if let Some(version) = adopting {
            observed.account = Some(inventory.account(&version.source.region).await);
        }
    }
    observed.usage = usage(inventory, desired, surroundings, &mut observed).await;
    observed
}

async fn view(
    inventory: &Arc<Inventory>,
    desired: &Desired,
    surroundings: &Surroundings,
    region: &RegionName,
) -> RegionView {
    // Those of other objects too: what one of them names must stay.
    let own = desired.channels.iter().filter_map(|c| c.parameter.as_ref());
    let wanted: BTreeSet<_> = own.chain(&surroundings.parameters).cloned().collect();
    let mut view = inventory.view(region, &desired.owner).await;
    if view.images.is_some() {
        view.parameters = inventory.parameters(region, &wanted).await;
    }
    if view.images.is_none() && view.trouble.is_none() {
        let message = format!("the images of {region} have not been listed yet");
        view.trouble = Some(Trouble::new(Class::Transient, "NotListedYet", message));
    }
    view
}

/// Takes in what memory has come to know of a region. Parameters are kept as they were read.
fn renew(before: &mut RegionView, now: RegionView) {
    let parameters = std::mem::take(&mut before.parameters);
    *before = RegionView { parameters, ..now };
}

async fn sources(
    inventory: &Arc<Inventory>,
    desired: &Desired,
    observed: &Observed,
) -> BTreeMap<ImageRef, Result<Image, Trouble>> {
    let sources = sources_to_look_up(desired, observed);
    let answers = join_all(sources.iter().map(|source| inventory.source(source))).await;
    sources.into_iter().zip(answers).collect()
}

/// Who uses what could go, as far as that is not known in this pass.
async fn usage(
    inventory: &Arc<Inventory>,
    desired: &Desired,
    surroundings: &Surroundings,
    observed: &mut Observed,
) -> BTreeMap<ImageId, Usage> {
    let known = &surroundings.usage;
    let to_check = |observed: &Observed| {
        let mut candidates = candidates(desired, observed);
        candidates.values_mut().for_each(|images| images.retain(|image| !known.contains_key(image)));
        candidates.retain(|_, images| !images.is_empty());
        candidates
    };
    let in_question = |observed: &Observed| match to_check(observed).is_empty() {
        true => BTreeSet::new(),
        false => regions_in_question(desired, observed),
    };
    look_anew(inventory, &desired.owner, observed, in_question).await;
    let to_check = to_check(observed);
    let answers = to_check.iter().map(|(region, images)| inventory.usage(region, images));
    join_all(answers).await.into_iter().flatten().chain(known.clone()).collect()
}

/// Looks anew at the images of the regions where something could go: a listing can be some minutes old, and what stays must still
/// be there. What is seen in one region may be what lets an image of another go, since retention counts them all; so that
/// one is asked for once more.
async fn look_anew(
    inventory: &Arc<Inventory>,
    owner: &Owner,
    observed: &mut Observed,
    could_lose: impl Fn(&Observed) -> BTreeSet<RegionName>,
) {
    let mut looked = BTreeSet::new();
    loop {
        let regions: Vec<_> = could_lose(observed).difference(&looked).cloned().collect();
        if regions.is_empty() {
            return;
        }
        let looks = join_all(regions.iter().map(|region| inventory.look_now(region, owner))).await;
        for (region, view) in regions.iter().zip(looks) {
            if let Some(before) = observed.regions.get_mut(region) {
                renew(before, view);
            }
        }
        looked.extend(regions);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// An object that names one source.
    fn object(name: &str) -> MachineImage {
        let image = serde_json::json!({"region": "us-east-1", "id": "ami-1"});
        let spec = serde_json::json!({
            "versions": [{"version": "1.0", "source": {"image": image}}],
            "regions": [{"region": "eu-west-1"}],
        });
        let mut object = MachineImage::new(name, serde_json::from_value(spec).expect("a spec"));
        object.metadata.namespace = Some("images".into());
        object
    }

    #[test]
    fn a_source_is_claimed_by_every_other_object_but_one_that_is_on_its_way_out() {
        let owner = Owner { installation: "default".into(), namespace: "images".into(), name: "web".into() };
        let claimed = |other: &MachineImage| Surroundings::among([&object("web"), other].into_iter(), &owner).claimed;
        assert_eq!(claimed(&object("web")), BTreeSet::new());
        assert_eq!(claimed(&object("db")), BTreeSet::from([ImageId::new("ami-1")]));

        let mut leaving = object("db");
        leaving.metadata.deletion_timestamp =
            Some(crate::controller::report::whole_seconds(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(claimed(&leaving), BTreeSet::new(), "it is copied to no region any more");
    }
}
