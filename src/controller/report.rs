//! Report: what a plan says, as the status of the object. Pure but for the one write.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::conditions;
use super::context::Context;
use super::pass::Error;
use crate::api::{
    ChannelHistory, ChannelRegion, ChannelStatus, MachineImage, MachineImageStatus, Problem, PruneStatus, RECONCILE_AT,
    ReplicaState, ReplicaStatus, VersionStatus,
};
use crate::plan::ids::{RegionName, VersionName};
use crate::plan::{Desired, Invalid, Landing, Plan, Remains, Replica};

/// The name under which amiops owns the status (server-side apply).
const FIELD_MANAGER: &str = "amiops";
/// The status stays a page, whatever happens.
const MOST_PROBLEMS: usize = 50;
const MOST_PRUNED: usize = 200;
const MOST_VERSIONS: usize = 200;
const MOST_HISTORY: usize = 10;
/// In bytes. The CustomResourceDefinition takes more, but etcd takes 1.5 MiB for the whole object.
const MOST_TEXT: usize = 1024;
/// What is said of replicas, in bytes, all together: there can be thousands.
const MOST_REPLICA_TEXTS: usize = 256 * 1024;

/// What is said of an image in a region of which nothing is known since the controller was started.
const UNSEEN: &str = "the region cannot be seen at present";

/// The status after a pass.
pub(super) fn status(
    object: &MachineImage,
    desired: &Desired,
    plan: &Plan,
    before: &MachineImageStatus,
    now: Timestamp,
) -> MachineImageStatus {
    let channels = channels(desired, plan, before, now);
    let promoted: Vec<_> =
        channels.iter().filter_map(|c| c.version.as_ref().map(|v| format!("{}={v}", c.name))).collect();
    let mut status = MachineImageStatus {
        replicas: (!desired.deleting).then(|| replicas(plan)),
        promoted: (!promoted.is_empty()).then(|| promoted.join(",")),
        problems: problems(plan),
        regions: regions(desired, plan, before),
        versions: versions(desired, plan, before),
        channels,
        pruning: pruning(plan, before),
        ..head(object)
    };
    status.conditions = conditions::of(object, desired, plan, &status, &before.conditions, now);
    shorten_texts(&mut status);
    status
}

/// A status that the API server refuses for its length would tell nothing any more.
fn shorten_texts(status: &mut MachineImageStatus) {
    let conditions = status.conditions.iter_mut().map(|c| &mut c.message);
    let problems = status.problems.iter_mut().map(|p| &mut p.message);
    let channels = status.channels.iter_mut().flat_map(|c| &mut c.regions).flat_map(|r| &mut r.error);
    let pruning = status.pruning.iter_mut().flat_map(|p| &mut p.blocked_by);
    let texts = conditions.chain(problems).chain(channels).chain(pruning);
    texts.for_each(|text| *text = shortened(text, MOST_TEXT));

    let replicas = status.versions.iter_mut().flat_map(|v| &mut v.regions).flat_map(|r| &mut r.error);
    let replicas: Vec<_> = replicas.collect();
    let most = (MOST_REPLICA_TEXTS / replicas.len().max(1)).min(MOST_TEXT);
    replicas.into_iter().for_each(|text| *text = shortened(text, most));
}

/// A text of so many bytes at most.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most.saturating_sub('…'.len_utf8()))])
}

/// The status of an object whose manifest cannot be acted on. What was known of AWS stays.
pub(super) fn invalid(
    object: &MachineImage,
    before: &MachineImageStatus,
    invalid: &Invalid,
    now: Timestamp,
) -> MachineImageStatus {
    let head = head(object);
    let problem =
        Problem { reason: "InvalidManifest".into(), region: None, version: None, message: invalid.to_string() };
    MachineImageStatus {
        observed_generation: head.observed_generation,
        last_handled_reconcile_at: head.last_handled_reconcile_at,
        conditions: conditions::invalid(object, invalid, &before.conditions, now),
        problems: vec![problem],
        ..before.clone()
    }
}

fn head(object: &MachineImage) -> MachineImageStatus {
    MachineImageStatus {
        observed_generation: object.metadata.generation.unwrap_or_default(),
        last_handled_reconcile_at: object.annotations().get(RECONCILE_AT).cloned(),
        ..Default::default()
    }
}

fn replicas(plan: &Plan) -> String {
    let wanted: Vec<_> = plan.replicas.iter().filter(|r| r.wanted).collect();
    let available = wanted.iter().filter(|r| r.state == ReplicaState::Available).count();
    format!("{available}/{}", wanted.len())
}

/// Whether a status has told of a region, so that a process that comes later looks there.
pub(super) fn tells_of(status: &MachineImageStatus, region: &RegionName) -> bool {
    status.regions.iter().any(|told| told == region.as_str())
}

/// The regions in which something of the object is or may be. Of one that the manifest does not name any more, nothing else remembers
/// that. One in which nothing was ever begun is not among them, such as a region that does not exist.
fn regions(desired: &Desired, plan: &Plan, before: &MachineImageStatus) -> Vec<String> {
    let told = |region: &RegionName| tells_of(before, region);
    let remembered = plan.remains.iter().filter(|(region, remains)| match remains {
        Remains::Something => true,
        Remains::Nothing => told(region) && desired.regions.contains_key(region),
        Remains::Unknown => told(region),
    });
    let begun = plan.steps.iter().map(|step| step.action.region());
    let regions: BTreeSet<_> = remembered.map(|(region, _)| region).chain(begun).collect();
    regions.into_iter().map(|region| region.to_string()).collect()
}

fn problems(plan: &Plan) -> Vec<Problem> {
    let mut problems: Vec<_> = plan
        .problems
        .iter()
        .map(|p| Problem {
            reason: p.code.replace(|c: char| !c.is_ascii_alphanumeric(), ""),
            region: p.region.as_ref().map(|r| r.to_string()),
            version: p.version.as_ref().map(|v| v.to_string()),
            message: p.message.clone(),
        })
        .collect();
    let order = |a: &Problem, b: &Problem| {
        (&a.region, &a.version, &a.reason, &a.message).cmp(&(&b.region, &b.version, &b.reason, &b.message))
    };
    problems.sort_by(order);
    // Two concerns may have the same.
    problems.dedup();
    problems.truncate(MOST_PROBLEMS);
    problems
}

fn versions(desired: &Desired, plan: &Plan, before: &MachineImageStatus) -> Vec<VersionStatus> {
    let mut by_version = BTreeMap::<&VersionName, Vec<&Replica>>::new();
    plan.replicas.iter().for_each(|r| by_version.entry(&r.version).or_default().push(r));
    let mut versions: Vec<_> = by_version
        .into_iter()
        .map(|(version, replicas)| VersionStatus {
            version: version.to_string(),
            listed: desired.version(version).is_some(),
            released_at: replicas.iter().find_map(|r| r.released_at).map(whole_seconds),
            regions: replicas.into_iter().map(replica).collect(),
        })
        .collect();
    keep_unseen(&mut versions, desired, plan, before);
    versions.sort_by(|a, b| (&b.released_at, &b.version).cmp(&(&a.released_at, &a.version)));
    versions.truncate(MOST_VERSIONS);
    versions
}

/// The image that was last known in a region that cannot be seen is repeated.
fn keep_unseen(versions: &mut Vec<VersionStatus>, desired: &Desired, plan: &Plan, before: &MachineImageStatus) {
    for former in &before.versions {
        let unseen = former.regions.iter().filter(|r| r.image_id.is_some() && is_unseen(plan, &r.region));
        for replica in unseen {
            let known = versions.iter().position(|v| v.version == former.version).unwrap_or(versions.len());
            if known == versions.len() {
                let listed = desired.version(&VersionName::new(&former.version)).is_some();
                versions.push(VersionStatus { listed, regions: Vec::new(), ..former.clone() });
            }
            let regions = &mut versions[known].regions;
            if let Some(told) = regions.iter_mut().find(|r| r.region == replica.region) {
                told.image_id = replica.image_id.clone();
                continue;
            }
            let error = Some(UNSEEN.to_owned());
            regions.push(ReplicaStatus { state: ReplicaState::Unknown, error, ..replica.clone() });
            regions.sort_by(|a, b| a.region.cmp(&b.region));
        }
    }
}

fn is_unseen(plan: &Plan, region: &str) -> bool {
    plan.unseen.iter().any(|unseen| unseen.as_str() == region)
}

fn replica(replica: &Replica) -> ReplicaStatus {
    ReplicaStatus {
        region: replica.region.to_string(),
        image_id: replica.image.as_ref().map(|i| i.to_string()),
        state: replica.state,
        error: replica.error.clone(),
    }
}

fn channels(desired: &Desired, plan: &Plan, before: &MachineImageStatus, now: Timestamp) -> Vec<ChannelStatus> {
    let mut channels: Vec<_> = desired
        .channels
        .iter()
        .map(|channel| {
            let landings: Vec<_> = plan.landings.iter().filter(|l| l.channel == channel.name).collect();
            let former = before.channels.iter().find(|c| c.name == channel.name.as_str());
            let mut status = channel_status(channel.name.as_str(), &landings, former, now);
            let is_gone = |l: &&Landing| l.is_read && l.image.is_none();
            if desired.deleting && landings.iter().any(is_gone) {
                (status.version, status.since) = (None, None);
            }
            status
        })
        .collect();
    channels.sort_by(|a, b| a.name.cmp(&b.name));
    channels
}

fn channel_status(name: &str, landings: &[&Landing], former: Option<&ChannelStatus>, now: Timestamp) -> ChannelStatus {
    let mut status = ChannelStatus {
        name: name.into(),
        version: former.and_then(|f| f.version.clone()),
        since: former.and_then(|f| f.since.clone()),
        regions: landings.iter().map(|l| landing(l)).collect(),
        history: former.map(|f| f.history.clone()).unwrap_or_default(),
    };
    let landed = landed(landings);
    // What names no image does not speak against the former version; an image of another one does.
    let published = |l: &&&Landing| l.image.is_some();
    let former = status.version.as_deref();
    let moved = match landed {
        Some(version) => former != Some(version.as_str()),
        None => landings.iter().filter(published).any(|l| l.version.as_ref().map(|v| v.as_str()) != former),
    };
    if !moved {
        return status;
    }
    if let (Some(version), Some(since)) = (status.version.take(), status.since.take()) {
        status.history.insert(0, ChannelHistory { version, since });
        status.history.truncate(MOST_HISTORY);
    }
    if let Some(version) = landed {
        status.version = Some(version.to_string());
        status.since = Some(whole_seconds(landings.iter().filter_map(|l| l.since).max().unwrap_or(now)));
    }
    status
}

/// The version that every region publishes, if there is one.
fn landed<'a>(landings: &[&'a Landing]) -> Option<&'a VersionName> {
    let version = landings.first()?.version.as_ref()?;
    landings.iter().all(|l| l.version.as_ref() == Some(version)).then_some(version)
}

fn landing(landing: &Landing) -> ChannelRegion {
    ChannelRegion {
        region: landing.region.to_string(),
        image_id: landing.image.clone(),
        version: landing.version.as_ref().map(|v| v.to_string()),
        error: landing.error.clone(),
    }
}

fn pruning(plan: &Plan, before: &MachineImageStatus) -> Vec<PruneStatus> {
    let unseen = before.pruning.iter().filter(|former| is_unseen(plan, &former.region));
    let unseen = unseen.map(|former| PruneStatus { blocked_by: Some(UNSEEN.into()), ..former.clone() });
    let mut pruning: Vec<_> = plan
        .departures
        .iter()
        .map(|d| PruneStatus {
            version: d.version.to_string(),
            region: d.region.to_string(),
            id: d.id.clone(),
            reason: d.reason.to_string(),
            blocked_by: d.blocked_by.clone(),
        })
        .chain(unseen)
        .collect();
    pruning.sort_by(|a, b| (&a.version, &a.region, &a.id).cmp(&(&b.version, &b.region, &b.id)));
    pruning.truncate(MOST_PRUNED);
    pruning
}

/// Kubernetes writes times in whole seconds; what is compared must be what is read back.
pub(super) fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Writes the status (server-side apply of the whole of it, so that what is gone from it goes). The answer is the object as it is then,
/// unless it went in the meantime, and its status with it.
pub(super) async fn write(
    object: &MachineImage,
    context: &Context,
    status: &MachineImageStatus,
) -> Result<Option<MachineImage>, Error> {
    let api = Api::<MachineImage>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let patch = Patch::Apply(json!({
        "apiVersion": MachineImage::api_version(&()),
        "kind": MachineImage::kind(&()),
        "metadata": {"name": object.name_any()},
        "status": status,
    }));
    match api.patch_status(&object.name_any(), &PatchParams::apply(FIELD_MANAGER).force(), &patch).await {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
