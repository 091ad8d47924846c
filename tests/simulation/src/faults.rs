//! Faults: how each begins, and how it ends. What fate does to controllers themselves is in `play`.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use jiff::SignedDuration;
use kubesim::Verdict;
use serde_json::json;
use tokio::time::Instant;

use crate::manifest::{GUARD, NAMESPACE, is_held};
use crate::play::Stage;
use crate::story::{Act, KubeFault};
use crate::world::SPOILT_DATE;

/// How long the answers of a slow API server take.
const SLOW: Duration = Duration::from_secs(4);
/// How much later than usual watches tell of changes, where they do.
const LAG: Duration = Duration::from_secs(30);
/// How many changes ago an old state is.
const STALE: u64 = 3;

/// Copies that begin, and break off.
pub(crate) fn copies_fail() -> Fault {
    Fault::new(Effect::FailCopy { reason: "the copy broke off".into() }).operation("CopyImage")
}

/// What ends.
pub(crate) enum Ending {
    Aws(u64),
    Key(&'static str),
    Listing,
    Kube,
    Clock,
    Spoilt(&'static str),
    Guard(&'static str),
}

impl Stage {
    /// Begins what lasts for a while.
    pub(crate) fn begin(&mut self, act: &Act) {
        match act {
            Act::Aws(fault, a_while) => {
                let id = self.world.aws.add_fault((**fault).clone());
                self.ends(*a_while, Ending::Aws(id));
            }
            Act::KeyDisabled(region, a_while) => {
                self.world.set_key(region, true);
                self.ends(*a_while, Ending::Key(region));
            }
            Act::LateListing(late, a_while) => {
                let late = SignedDuration::try_from(*late).unwrap_or_default();
                self.world.aws.configure(|c| c.late_listing = late);
                self.ends(*a_while, Ending::Listing);
            }
            Act::Kube(fault, a_while) => {
                self.misbehave(*fault);
                self.ends(*a_while, Ending::Kube);
            }
            Act::ClockJump(seconds, a_while) => {
                self.world.set_skew(SignedDuration::from_secs((*seconds).into()));
                self.ends(*a_while, Ending::Clock);
            }
            Act::Spoil(object, a_while) => {
                self.spoil(object);
                self.ends(*a_while, Ending::Spoilt(object));
            }
            other => self.world.violation(format!("this is no fault: {other:?}")),
        }
    }

    /// Ends it.
    pub(crate) fn end(&self, ending: Ending) {
        match ending {
            Ending::Aws(fault) => {
                self.world.aws.clear_fault(fault);
            }
            Ending::Key(region) => self.world.set_key(region, false),
            Ending::Listing => self.world.aws.configure(|c| c.late_listing = SignedDuration::ZERO),
            Ending::Clock => self.world.set_skew(SignedDuration::ZERO),
            Ending::Spoilt(object) => self.mend(object),
            Ending::Guard(object) => self.let_go(object),
            Ending::Kube => {
                self.world.kube.clear_hook();
                self.world.kube.set_watch_lag(Duration::ZERO);
                self.world.kube.start();
            }
        }
    }

    fn ends(&mut self, after: Duration, ending: Ending) {
        self.world.disturb(after);
        self.endings.push((Instant::now() + after, ending));
    }

    fn misbehave(&self, fault: KubeFault) {
        let kube = &self.world.kube;
        // Every third request, so that the program can go on in between.
        let mut count = 0_u32;
        let verdict = match fault {
            KubeFault::DropBefore => Verdict::DropBefore,
            KubeFault::DropAfter => Verdict::DropAfterCommit,
            KubeFault::Slow => Verdict::Delay(SLOW),
            KubeFault::Stale => Verdict::StaleRead(STALE),
            KubeFault::Down => return kube.stop(),
            KubeFault::Cut => {
                kube.set_watch_lag(LAG);
                kube.cut_watches();
                return kube.compact();
            }
        };
        kube.set_hook(move |_| {
            count += 1;
            if count.is_multiple_of(3) { verdict.clone() } else { Verdict::Pass }
        });
    }

    /// An object comes to hold what the API server takes and the program cannot read.
    fn spoil(&self, object: &'static str) {
        if let Some(manifest) = self.world.manifest(object) {
            let mut spoilt = manifest.to_json();
            spoilt["spec"]["versions"][0]["releasedAt"] = SPOILT_DATE.into();
            self.world.past().spoilt.insert(object, self.world.elapsed());
            self.note_refusal(self.world.kube.apply("machineimages", NAMESPACE, object, &spoilt));
        }
    }

    /// Somebody else's finalizer no longer holds an object that is being deleted. Until then nobody else may have taken it off.
    fn let_go(&self, object: &str) {
        let found = self.world.kube.get("machineimages", NAMESPACE, object).unwrap_or_default();
        if is_held(&found, GUARD) {
            let others = found["metadata"]["finalizers"].as_array().into_iter().flatten().filter(|f| *f != GUARD);
            let patch = json!({"metadata": {"finalizers": others.collect::<Vec<_>>()}});
            self.note_refusal(self.world.kube.merge_patch("machineimages", NAMESPACE, object, &patch));
        } else if self.world.last_manifest(object).is_some_and(|last| last.guarded) {
            self.world.violation(format!("{GUARD} is gone from {object}, which was not amiops's to take"));
        }
    }

    /// What was spoilt is written anew, even if the object is on its way out by now, and takes no finalizer any more.
    fn mend(&self, object: &str) {
        let last = self.world.last_manifest(object);
        if let (Some(mut manifest), Some(found)) = (last, self.world.kube.get("machineimages", NAMESPACE, object)) {
            manifest.guarded &= is_held(&found, GUARD);
            self.note_refusal(self.world.kube.apply("machineimages", NAMESPACE, object, &manifest.to_json()));
        }
    }
}
