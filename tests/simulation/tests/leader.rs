//! What a leader makes of an answer that it reads long after it has asked.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use amiops::clock::Clock;
use amiops::controller::{Election, Leadership};
use jiff::Timestamp;
use kubesim::{KubeSim, Verb, Verdict};
use tokio::time::advance;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_while_it_renewed_its_lease_has_lost_it() {
    let sim = KubeSim::new(Arc::new(now)).expect("the CRD can be simulated");
    sim.ensure_namespace("default");
    let settings = Election {
        name: "amiops".into(),
        namespace: "default".into(),
        identity: "first".into(),
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };
    let mut leadership = Leadership::new(sim.client(), settings, Clock::from_fn(now));
    leadership.acquire(|_| {}).await;

    sim.reset_log();
    sim.set_hook(|_| Verdict::DelayReply(Duration::from_millis(100)));
    let mut hold = pin!(leadership.hold());
    while !sim.read_log(|log| log.iter().any(|logged| logged.request.verb == Verb::Patch)) {
        assert!(!is_ready(hold.as_mut()), "the lease is lost too early");
        tokio::task::yield_now().await;
        advance(Duration::from_millis(50)).await;
    }
    // The lease is renewed, and while the answer is on its way the process stands still.
    assert!(!is_ready(hold.as_mut()));
    advance(Duration::from_mins(1)).await;
    tokio::task::yield_now().await;
    assert!(is_ready(hold.as_mut()), "another process may have taken over a minute ago");
}
