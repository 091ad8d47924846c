//! Leases as the API server takes them: whoever wrote one, it is taken over when it has run out.

use std::sync::Arc;
use std::time::Duration;

use amiops::clock::Clock;
use amiops::controller::{Election, Leadership};
use kubesim::KubeSim;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::draw::Draw;
use crate::notes::note;
use crate::{text, world};

/// A lease that lasts longer is not waited for.
const LONGEST: i64 = 120;

/// Tries one input.
pub(crate) fn run(bytes: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(election(bytes));
}

async fn election(bytes: &[u8]) {
    let sim = KubeSim::new(Arc::new(world::now)).expect("the CRD can be simulated");
    let lease = lease(&mut Draw::new(bytes));
    if sim.create("leases", "default", lease.clone()).is_err() {
        note("refused");
        return;
    }
    let settings = Election {
        name: "amiops".into(),
        namespace: "default".into(),
        identity: "me".into(),
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };
    let mut leadership = Leadership::new(sim.client(), settings, Clock::from_fn(world::now));
    let patience = Duration::from_secs(LONGEST as u64 + 30);
    let lasts = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap_or(0);
    let acquired = timeout(patience, leadership.acquire(|_| {})).await.is_ok();
    assert!(acquired || lasts > LONGEST, "a lease that has run out is not taken over: {lease}");
    note(if acquired { "acquired" } else { "waiting" });
}

fn lease(draw: &mut Draw) -> Value {
    let numbers = [json!(1), json!(15), json!(120), json!(0), json!(-1), json!(i32::MAX), json!(null), json!(1.5)];
    let dates = [
        json!("2026-11-24T12:00:00.000000Z"),
        json!("9999-12-30T21:59:59.000000Z"),
        json!("0000-01-01T00:00:00.000000Z"),
        json!(null),
    ];
    let holders = [json!("other"), json!("me"), json!(""), json!(null), json!(text::odd(draw))];
    let mut spec = json!({});
    for (field, values) in [
        ("holderIdentity", &holders[..]),
        ("leaseDurationSeconds", &numbers),
        ("leaseTransitions", &numbers),
        ("acquireTime", &dates),
        ("renewTime", &dates),
    ] {
        if !draw.one_in(4) {
            spec[field] = draw.pick(values);
        }
    }
    let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "amiops"}});
    if !draw.one_in(8) {
        lease["spec"] = spec;
    }
    lease
}
