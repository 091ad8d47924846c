//! Manifests by the CRD's schema: what the API server takes must be planned, and no plan may break a rule.

use std::cell::RefCell;
use std::sync::Arc;

use amiops::api::{MachineImage, MachineImageStatus};
use amiops::controller::Surroundings;
use amiops::plan::{Desired, Invalid, Observed, Plan, candidates, plan, sources_to_look_up};
use kubesim::KubeSim;
use serde_json::{Value, json};

use crate::draw::Draw;
use crate::facts::{Facts, INSTALLATION};
use crate::notes::note;
use crate::rules::{Question, check};
use crate::schema::Maker;
use crate::{text, world};

const NAMESPACE: &str = "default";

thread_local! {
    static SIM: RefCell<KubeSim> = RefCell::new(server());
}

fn server() -> KubeSim {
    KubeSim::new(Arc::new(world::now)).expect("the CRD can be simulated")
}

/// Asks the API server to take an object. The answer is what it stores, or its refusal.
pub(crate) fn admit(object: &Value) -> Result<Value, String> {
    SIM.with_borrow(|sim| {
        let stored = sim.create("machineimages", NAMESPACE, object.clone()).map_err(|refusal| refusal.to_string())?;
        let name = stored["metadata"]["name"].as_str().unwrap_or_default();
        let release = json!({"metadata": {"finalizers": null}});
        // A finalizer in the manifest would hold the object here, and its name with it.
        sim.merge_patch("machineimages", NAMESPACE, name, &release).expect("finalizers can be removed");
        sim.delete("machineimages", NAMESPACE, name).expect("an object can be deleted");
        sim.compact();
        Ok(stored)
    })
}

/// Tries one input.
pub(crate) fn run(bytes: &[u8]) {
    let draw = &mut Draw::new(bytes);
    let mut maker = Maker::new(draw);
    let first = object(&mut maker, "web", draw);
    let second = draw.one_in(2).then(|| object(&mut maker, "db", draw));
    let Some((first, manifest)) = first.and_then(|first| taken(first, draw)) else { return };
    let second = second.flatten().and_then(|second| taken(second, draw));
    let neighbour = second.as_ref().and_then(|(_, object)| Desired::parse(object, INSTALLATION).ok());
    let Some(desired) = parsed(&manifest) else { return };
    status(&mut maker, &manifest, draw);

    let mut observed = world::observed(&desired, neighbour.as_ref(), draw);
    let manifests = [Some(&manifest), second.as_ref().map(|(_, object)| object)];
    let surroundings = Surroundings::among(manifests.into_iter().flatten(), &desired.owner);
    observed.claimed.extend(surroundings.claimed);
    let facts = Facts::of(&first);
    let others: Vec<_> = second.iter().map(|(stored, _)| Facts::of(stored)).collect();
    let now = world::now();
    let planned = plan(&desired, &observed, now);
    check(&Question { facts: &facts, others: &others, observed: &observed }, &planned);
    // Who uses an image that stays is not asked, and so parameters that name it are not found.
    let lasting =
        |plan: &Plan| plan.steps.iter().filter(|s| s.action.verb() != "Unpublish").cloned().collect::<Vec<_>>();
    let asked = plan(&desired, &as_asked(&desired, &observed), now);
    assert_eq!(lasting(&asked), lasting(&planned), "the planner asks for too little");
    note_all(&planned);
    world::failures(&planned, &mut observed, draw);
    let planned = plan(&desired, &observed, now);
    check(&Question { facts: &facts, others: &others, observed: &observed }, &planned);
}

fn note_all(plan: &Plan) {
    note("planned");
    plan.steps.iter().for_each(|step| note(step.reason.code()));
    plan.problems.iter().for_each(|problem| note(&problem.code));
    plan.departures.iter().filter_map(|d| d.blocked_by.as_deref()).for_each(note);
    plan.landings.iter().filter_map(|l| l.error.as_deref()).for_each(note);
    if plan.all_gone {
        note("all gone");
    }
}

/// An object as a person writes it, if the API server takes it.
fn object(maker: &mut Maker, name: &str, draw: &mut Draw) -> Option<Value> {
    let name = match draw.below(16) {
        13 => "n".repeat(62 + draw.below(3)),
        14 => format!("{name}.example"),
        15 => text::odd(draw),
        _ => name.to_owned(),
    };
    let mut metadata = json!({"name": name});
    if draw.one_in(4) {
        metadata["annotations"] = json!({"amiops.dev/reconcile-at": text::odd(draw)});
    }
    if draw.one_in(4) {
        metadata["finalizers"] = json!(["amiops.dev/retire"]);
    }
    let spec = maker.field("spec", draw);
    let object =
        json!({"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "metadata": metadata, "spec": spec});
    match admit(&object) {
        Ok(stored) => Some(stored),
        Err(refusal) => {
            assert!(!refusal.is_empty(), "a refusal without a word");
            note("refused");
            // An older schema may have let it in.
            if let Ok(object) = serde_json::from_value::<MachineImage>(object) {
                let _ = Desired::parse(&object, INSTALLATION)
                    .map(|desired| plan(&desired, &Observed::default(), world::now()));
            }
            None
        }
    }
}

/// What was stored, as the program decodes it; perhaps on its way out.
fn taken(mut stored: Value, draw: &mut Draw) -> Option<(Value, MachineImage)> {
    if draw.one_in(4) {
        stored["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    }
    let decoded = serde_json::from_value::<MachineImage>(stored.clone());
    match decoded {
        Ok(object) => Some((stored, object)),
        // The API server does not look at times closely. The object is told of, and waits for a change.
        Err(_) if has_odd_time(&stored) => None,
        Err(error) => panic!("the API server takes what cannot be decoded: {error}: {stored}"),
    }
}

fn has_odd_time(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.starts_with(|c: char| c.is_ascii_digit())
                && text.contains(':')
                && text.parse::<jiff::Timestamp>().is_err()
        }
        Value::Array(items) => items.iter().any(has_odd_time),
        Value::Object(fields) => fields.values().any(has_odd_time),
        _ => false,
    }
}

/// What the manifest asks for. The schema's rule about the length of names cannot see namespaces, counts `{version}` once, and
/// has no lower bound.
fn parsed(object: &MachineImage) -> Option<Desired> {
    match Desired::parse(object, INSTALLATION) {
        Ok(desired) => Some(desired),
        Err(Invalid::ImageName { length, .. }) if length < 3 || is_uncounted(&object.spec.name_template) => None,
        Err(invalid) => panic!("the API server takes what the program refuses: {invalid}"),
    }
}

fn is_uncounted(template: &str) -> bool {
    template.contains("{namespace}") || template.matches("{version}").count() > 1
}

/// A status that the schema allows can be read back.
fn status(maker: &mut Maker, object: &MachineImage, draw: &mut Draw) {
    if !draw.one_in(4) {
        return;
    }
    let status = maker.field("status", draw);
    let spec = serde_json::to_value(&object.spec).expect("a spec is JSON");
    let whole =
        json!({"apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "metadata": {"name": "web"}, "spec": spec});
    let stored = SIM.with_borrow(|sim| {
        sim.create("machineimages", NAMESPACE, whole).ok()?;
        let stored = sim.patch_status("machineimages", NAMESPACE, "web", &json!({"status": status})).ok();
        sim.delete("machineimages", NAMESPACE, "web").expect("an object can be deleted");
        stored
    });
    let Some(stored) = stored.map(|stored| stored["status"].clone()) else { return };
    let decoded = serde_json::from_value::<MachineImageStatus>(stored.clone());
    assert!(
        decoded.is_ok() || has_odd_time(&stored),
        "the API server takes a status that cannot be decoded: {decoded:?}: {stored}"
    );
}

/// What the controller would see: it asks about sources and use only where the planner needs to know.
fn as_asked(desired: &Desired, observed: &Observed) -> Observed {
    let mut seen = Observed { sources: Default::default(), usage: Default::default(), ..observed.clone() };
    for source in sources_to_look_up(desired, &seen) {
        seen.sources.extend(observed.sources.get(&source).map(|found| (source, found.clone())));
    }
    for image in candidates(desired, &seen).into_values().flatten() {
        seen.usage.extend(observed.usage.get(&image).map(|usage| (image, usage.clone())));
    }
    seen
}
