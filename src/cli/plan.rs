//! `amiops plan`: the same observe and the same plan as the controller's, printed instead of carried out. It knows only the
//! manifests that it is given, no earlier failures, and no regions that these manifests do not name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{AnyError, manifests, owner_id};
use crate::aws::{Aws, Inventory, Settings, sdk_config};
use crate::clock::Clock;
use crate::controller::{Surroundings, observe};
use crate::plan::{Desired, Plan, plan};
use crate::telemetry::Metrics;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Files with MachineImage manifests; - is standard input.
    #[arg(short, long = "file", required = true, num_args = 1..)]
    files: Vec<String>,

    /// How the plan is printed.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// The owner id of the installation whose work is looked at.
    #[arg(long, env = "AMIOPS_OWNER_ID", default_value = "default", value_parser = owner_id)]
    owner_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const NOTHING_TO_DO: u8 = 0;
const CHANGES: u8 = 2;

pub(super) async fn run(args: Args) -> Result<ExitCode, AnyError> {
    let objects = manifests::read(&args.files)?;
    let desired = objects.iter().map(|object| Desired::parse(object, &args.owner_id)).collect::<Result<Vec<_>, _>>()?;
    let inventory = inventory(&args.owner_id).await;
    let clock = Clock::system();
    let mut plans = Vec::new();
    for desired in desired {
        let surroundings = Surroundings::among(objects.iter(), &desired.owner);
        let observed = observe(&inventory, &desired, &surroundings).await;
        let plan = plan(&desired, &observed, clock.now());
        plans.push((desired, plan));
    }
    match args.output {
        Output::Text => print!("{}", text(&plans)?),
        Output::Json => println!("{}", serde_json::to_string_pretty(&json(&plans))?),
    }
    let unseen: BTreeSet<_> = plans.iter().flat_map(|(_, plan)| &plan.unseen).map(|r| r.as_str()).collect();
    if !unseen.is_empty() {
        let regions = unseen.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!("{regions} could not be listed, so the plan is not complete: its problems say why").into());
    }
    let settled = plans.iter().all(|(_, plan)| plan.steps.is_empty() && plan.problems.is_empty());
    Ok(ExitCode::from(if settled { NOTHING_TO_DO } else { CHANGES }))
}

/// The inventory is asked once, and nobody listens to its changes.
async fn inventory(owner_id: &str) -> Arc<Inventory> {
    let never = Duration::from_hours(24);
    let settings = Settings { installation: owner_id.into(), listing: never, snapshots: never, poll: never };
    let metrics = Metrics::default();
    let aws = Arc::new(Aws::new(sdk_config(None).await, metrics.clone()));
    let (wake, _) = mpsc::unbounded_channel();
    Arc::new(Inventory::new(aws, Clock::system(), settings, metrics, wake))
}

fn text(plans: &[(Desired, Plan)]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (desired, plan) in plans {
        writeln!(text, "{}/{}", desired.owner.namespace, desired.owner.name)?;
        for step in &plan.steps {
            writeln!(text, "  + {}\n      because {}", step.action, step.reason)?;
        }
        for departure in plan.departures.iter().filter(|d| d.blocked_by.is_some()) {
            let by = departure.blocked_by.as_deref().unwrap_or_default();
            writeln!(
                text,
                "  = {} ({}) in {} stays\n      because {by}",
                departure.id, departure.version, departure.region
            )?;
        }
        for landing in plan.landings.iter().filter(|l| l.error.is_some()) {
            let why = landing.error.as_deref().unwrap_or_default();
            writeln!(text, "  = channel {} in {} does not move: {why}", landing.channel, landing.region)?;
        }
        for problem in &plan.problems {
            writeln!(text, "  ! {}", problem.message)?;
        }
        if plan.steps.is_empty() && plan.problems.is_empty() {
            writeln!(text, "  nothing to do")?;
        }
    }
    let steps: usize = plans.iter().map(|(_, plan)| plan.steps.len()).sum();
    let problems: usize = plans.iter().map(|(_, plan)| plan.problems.len()).sum();
    writeln!(text, "{steps} to do, {problems} in the way")?;
    Ok(text)
}

fn json(plans: &[(Desired, Plan)]) -> Value {
    let objects: Vec<_> = plans.iter().map(|(desired, plan)| object(desired, plan)).collect();
    json!({ "objects": objects })
}

fn object(desired: &Desired, plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| {
        json!({
            "action": step.action.verb(),
            "region": step.action.region(),
            "version": step.action.version(),
            "subject": step.action.key().subject,
            "reason": step.reason.code(),
            "message": format!("{}, because {}", step.action, step.reason),
        })
    });
    let blocked = plan.departures.iter().filter_map(|d| {
        let by = d.blocked_by.as_ref()?;
        Some(json!({"id": d.id, "region": d.region, "version": d.version, "reason": d.reason.code(), "blockedBy": by}))
    });
    let waiting = plan.landings.iter().filter_map(|l| {
        let why = l.error.as_ref()?;
        Some(json!({"channel": l.channel, "region": l.region, "message": why}))
    });
    let problems = plan
        .problems
        .iter()
        .map(|p| json!({"reason": p.code, "region": p.region, "version": p.version, "message": p.message}));
    json!({
        "namespace": desired.owner.namespace,
        "name": desired.owner.name,
        "steps": steps.collect::<Vec<_>>(),
        "blocked": blocked.collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
    })
}
