//! The conditions, with the meaning that kstatus gives them: Ready sums up; Reconciling and Stalled are there only while
//! true; Replicated, Promoted and Pruned tell of one concern each.

use jiff::Timestamp;

use super::report::whole_seconds;
use crate::api::{Condition, ConditionStatus, MachineImage, MachineImageStatus, ReplicaState};
use crate::plan::{Concern, Desired, Invalid, Plan, Problem, Replica};

/// What one condition says, before it is dated.
struct Verdict {
    holds: bool,
    reason: String,
    message: String,
}

impl Verdict {
    fn new(holds: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { holds, reason: reason.into(), message: message.into() }
    }
}

/// The conditions after a pass.
pub(super) fn of(
    object: &MachineImage,
    desired: &Desired,
    plan: &Plan,
    status: &MachineImageStatus,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let (replicated, promoted) = match desired.deleting {
        true => (deleting(), deleting()),
        false => (replicated(plan, status), promoted(desired, plan, status)),
    };
    let pruned = pruned(plan, status);
    let ready = ready(desired, plan, &replicated, &promoted);
    let progress = progress(desired, plan, &ready);
    let mut verdicts = vec![("Promoted", promoted), ("Pruned", pruned)];
    match progress {
        Progress::Settled => {}
        Progress::Reconciling => {
            verdicts.push(("Reconciling", Verdict::new(true, &ready.reason, ready.message.clone())))
        }
        Progress::Stalled => verdicts.push(("Stalled", Verdict::new(true, &ready.reason, ready.message.clone()))),
    }
    verdicts.extend([("Ready", ready), ("Replicated", replicated)]);
    dated(object, verdicts, before, now)
}

/// The conditions of an object whose manifest cannot be acted on.
pub(super) fn invalid(
    object: &MachineImage,
    invalid: &Invalid,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let verdict = |holds| Verdict::new(holds, "InvalidManifest", invalid.to_string());
    dated(object, vec![("Ready", verdict(false)), ("Stalled", verdict(true))], before, now)
}

/// Sorts, dates and numbers the verdicts. The time of a condition changes only with its status.
fn dated(
    object: &MachineImage,
    mut verdicts: Vec<(&str, Verdict)>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    verdicts.sort_by_key(|(type_, _)| *type_);
    let date = |(type_, verdict): (&str, Verdict)| {
        let status = if verdict.holds { ConditionStatus::True } else { ConditionStatus::False };
        let former = before.iter().find(|c| c.type_ == type_ && c.status == status);
        Condition {
            type_: type_.into(),
            status,
            observed_generation: object.metadata.generation,
            last_transition_time: former.map_or_else(|| whole_seconds(now), |c| c.last_transition_time.clone()),
            reason: verdict.reason.replace(|c: char| !c.is_ascii_alphanumeric(), ""),
            message: verdict.message,
        }
    };
    verdicts.into_iter().map(date).collect()
}

/// The problems of one concern, as a reason and a sentence.
fn trouble<'a>(plan: &'a Plan, concern: Concern) -> Option<Verdict> {
    let problems: Vec<&'a Problem> = plan.problems.iter().filter(|p| p.concern == concern).collect();
    let first = problems.iter().max_by_key(|p| p.class)?;
    let more = match problems.len() {
        1 => String::new(),
        n => format!(" (and {} more: see status.problems)", n - 1),
    };
    Some(Verdict::new(false, &first.code, format!("{}{more}", first.message)))
}

/// What is said of the images and parameters of an object that is being deleted: they go with it.
fn deleting() -> Verdict {
    Verdict::new(false, "Deleting", "the MachineImage is being deleted")
}

fn replicated(plan: &Plan, status: &MachineImageStatus) -> Verdict {
    let count = status.replicas.clone().unwrap_or_default();
    let lacking: Vec<_> = plan.replicas.iter().filter(|r| r.wanted && r.state != ReplicaState::Available).collect();
    if let Some(verdict) = trouble(plan, Concern::Replicate) {
        return Verdict { message: format!("{count} replicas are available. {}", verdict.message), ..verdict };
    }
    let Some(first) = lacking.first() else {
        return Verdict::new(true, "Replicated", format!("{count} replicas are available"));
    };
    let others = if lacking.len() > 1 { format!(" and {} more", lacking.len() - 1) } else { String::new() };
    let message = format!("{count} replicas are available; waiting for {} in {}{others}", first.version, first.region);
    Verdict::new(false, "Copying", message)
}

fn promoted(desired: &Desired, plan: &Plan, status: &MachineImageStatus) -> Verdict {
    if desired.channels.is_empty() {
        return Verdict::new(true, "NoChannels", "the manifest has no channels");
    }
    if let Some(verdict) = trouble(plan, Concern::Promote) {
        return verdict;
    }
    let waiting: Vec<_> = plan
        .landings
        .iter()
        .filter(|l| {
            l.error.is_some()
                || desired.channels.iter().any(|c| c.name == l.channel && Some(&c.version) != l.version.as_ref())
        })
        .collect();
    match waiting.first() {
        None => Verdict::new(true, "Promoted", status.promoted.clone().unwrap_or_default()),
        Some(first) => {
            let why = first.error.clone().unwrap_or_else(|| "is being published".into());
            Verdict::new(false, "Promoting", format!("channel {} in {}: {why}", first.channel, first.region))
        }
    }
}

fn pruned(plan: &Plan, status: &MachineImageStatus) -> Verdict {
    if let Some(verdict) = trouble(plan, Concern::Prune) {
        return verdict;
    }
    let Some(first) = status.pruning.first() else {
        return Verdict::new(true, "NothingToPrune", "no image is to be pruned");
    };
    let more = match status.pruning.len() {
        1 => String::new(),
        n => format!(" (and {} more: see status.pruning)", n - 1),
    };
    let state = first.blocked_by.as_ref().map_or_else(|| "goes now".into(), |by| format!("stays: {by}"));
    let reason = if first.blocked_by.is_some() { "Blocked" } else { "Pruning" };
    Verdict::new(false, reason, format!("{} ({}) in {} {state}{more}", first.id, first.version, first.region))
}

fn ready(desired: &Desired, plan: &Plan, replicated: &Verdict, promoted: &Verdict) -> Verdict {
    if desired.deleting {
        let kept = plan
            .departures
            .iter()
            .find_map(|d| Some(format!("{} in {} stays: {}", d.id, d.region, d.blocked_by.as_ref()?)));
        let problem = plan.problems.first().map(|p| p.message.clone());
        let message = kept.or(problem).unwrap_or_else(|| "the images of this object are being removed".into());
        return Verdict::new(false, if desired.suspended { "Suspended" } else { "Deleting" }, message);
    }
    if desired.suspended {
        let message = format!("suspended, nothing is changed; {}", replicated.message);
        return Verdict::new(replicated.holds && promoted.holds, "Suspended", message);
    }
    for verdict in [replicated, promoted] {
        if !verdict.holds {
            return Verdict::new(false, &verdict.reason, verdict.message.clone());
        }
    }
    let channels = if desired.channels.is_empty() { String::new() } else { format!("; {}", promoted.message) };
    Verdict::new(true, "Ready", format!("{}{channels}", replicated.message))
}

enum Progress {
    Settled,
    Reconciling,
    Stalled,
}

/// Stalled is for what nothing but a person can move; while anything still moves by itself, the object is reconciling. What
/// holds up pruning alone makes no object unready, but one that is being deleted.
fn progress(desired: &Desired, plan: &Plan, ready: &Verdict) -> Progress {
    if ready.holds || desired.suspended {
        return Progress::Settled;
    }
    let counts = |r: &Replica| r.wanted || desired.deleting;
    let pending = plan.replicas.iter().any(|r| counts(r) && r.state == ReplicaState::Pending);
    let moves = pending || !plan.steps.is_empty();
    let problems = || plan.problems.iter().filter(|p| p.concern != Concern::Prune || desired.deleting);
    let passes = problems().any(|p| p.class.passes());
    let needs_person = problems().any(|p| !p.class.passes());
    match needs_person && !moves && !passes {
        true => Progress::Stalled,
        false => Progress::Reconciling,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::plan::Class;

    fn object() -> MachineImage {
        let image = serde_json::json!({"region": "us-east-1", "id": "ami-1"});
        let spec = serde_json::json!({
            "versions": [{"version": "1.0", "source": {"image": image}}],
            "regions": [{"region": "us-east-1"}],
        });
        let mut object = MachineImage::new("web", serde_json::from_value(spec).expect("a spec"));
        object.metadata.namespace = Some("images".into());
        object
    }

    fn desired(deleting: bool) -> Desired {
        Desired { deleting, ..Desired::parse(&object(), "default").expect("a manifest") }
    }

    /// Whether an object that is not ready is stalled by a problem of a concern that a person has to settle.
    fn stalls(concern: Concern, deleting: bool) -> bool {
        let problem = Problem {
            concern,
            class: Class::NeedsPerson,
            code: "UnauthorizedOperation".into(),
            region: None,
            version: None,
            message: "not allowed".into(),
        };
        let plan = Plan { problems: vec![problem], ..Plan::default() };
        matches!(
            progress(&desired(deleting), &plan, &Verdict::new(false, "Promoting", "on its way")),
            Progress::Stalled
        )
    }

    #[test]
    fn nothing_but_pruning_holds_of_an_object_that_is_being_deleted() {
        let (plan, status) = (Plan::default(), MachineImageStatus::default());
        let told = of(&object(), &desired(true), &plan, &status, &[], Timestamp::UNIX_EPOCH);
        let true_of = told.iter().filter(|c| c.status == ConditionStatus::True).map(|c| c.type_.as_str());
        assert_eq!(true_of.collect::<Vec<_>>(), ["Pruned", "Reconciling"]);
    }

    #[test]
    fn what_holds_up_pruning_alone_stalls_only_an_object_that_is_being_deleted() {
        assert!(stalls(Concern::Replicate, false) && stalls(Concern::Promote, false));
        assert!(!stalls(Concern::Prune, false));
        assert!(stalls(Concern::Prune, true));
    }
}
