//! Playing a story: the shipped program against the simulated world, from the first moment to the quiet after the last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use ec2sim::Config;
use jiff::SignedDuration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::coverage::{Listener, read_report};
use crate::doctor::Doctor;
use crate::faults::Ending;
use crate::manifest::{NAMESPACE, OBJECTS};
use crate::process::{Controller, sdk_config};
use crate::story::{Act, Epilogue, Nature, Story};
use crate::trace::Trace;
use crate::world::{Crash, Thought, When, World};
use crate::{coherent, ending, epilogue, hands, obstacle};

/// After the last fault, the world is given this long to settle, beside what a copy takes. Copies that failed are retried after
/// an hour at most, and snapshots are deleted an hour after they were left behind.
const SETTLE: Duration = Duration::from_mins(150);
/// What has written nothing for so long rests: by then all is listed anew. What AWS has refused is tried again after an hour
/// at most, so that an object that is not Ready, or tells of a problem, must rest three times.
const REST: Duration = Duration::from_mins(25);
/// Copies that are begun then take no longer.
const COPY_TIME: Duration = Duration::from_mins(10);
/// How long it takes to make a cluster anew.
const NEW_CLUSTER: Duration = Duration::from_mins(1);
/// For this long nothing may be written then, if it is not known already that the world rests.
const QUIET: Duration = Duration::from_mins(25);

/// What became of a history.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    pub(crate) hash: String,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) latest: Vec<String>,
}

/// Plays a story in a thread of its own, so that nothing of an earlier one is left in it.
pub(crate) fn play(story: &Story, doctor: Option<Doctor>) -> Outcome {
    let story = story.clone();
    let stage = std::thread::Builder::new().stack_size(16 << 20).spawn(move || {
        crate::pin::seed(story.seed);
        let trace = Trace::default();
        let _listening = tracing::subscriber::set_default(Listener(trace.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        match runtime {
            Ok(runtime) => runtime.block_on(history(&story, trace, doctor)),
            Err(error) => failed(format!("the runtime could not be started: {error}")),
        }
    });
    let joined = stage.map_err(|e| e.to_string()).and_then(|stage| stage.join().map_err(|_| "it panicked".into()));
    joined.unwrap_or_else(|error| failed(format!("the history broke off: {error}")))
}

fn failed(why: String) -> Outcome {
    Outcome { violations: vec![why], hash: String::new(), counts: BTreeMap::new(), latest: Vec::new() }
}

async fn history(story: &Story, trace: Trace, doctor: Option<Doctor>) -> Outcome {
    let world = match World::new(story, trace) {
        Ok(world) => world,
        Err(error) => return failed(error),
    };
    let mut stage = Stage::new(&world, story, doctor).await;
    for moment in &story.moments {
        stage.until(moment.at).await;
        stage.act(&moment.act).await;
    }
    stage.until(story.length).await;
    stage.calm().await;
    let rests = settle(&world, story).await;
    ending::check_settled(&world);
    world.trace.add("call to Kubernetes", world.kube.read_log(<[_]>::len) as u64);
    if !rests {
        let before = world.trace.counts();
        world.kube.reset_log();
        sleep(QUIET).await;
        ending::check_quiet(&world, &before);
    }
    let Nature { copy_time, parameter_delay, name_linger, .. } = story.nature;
    let aws_takes = copy_time.min(COPY_TIME) + parameter_delay;
    // Where something stands in the way, a name is used again.
    let takes = aws_takes + name_linger * 2;
    match story.epilogue() {
        Some(Epilogue::More) => epilogue::play(&world, aws_takes).await,
        Some(Epilogue::Obstacle(number)) => {
            obstacle::play(&world, &stage.by_hand, takes, parameter_delay, number, &OBJECTS).await;
        }
        Some(Epilogue::Obstacles([first, then])) => {
            let [web, db] = OBJECTS;
            let mut nature = Config::default();
            world.aws.configure(|config| nature = config.clone());
            obstacle::play(&world, &stage.by_hand, takes, parameter_delay, first, &[web]).await;
            // What it has left is taken away.
            world.aws.clear_faults();
            world.kube.clear_hook();
            world.aws.configure(|config| *config = nature);
            settle(&world, story).await;
            ending::check_settled(&world);
            obstacle::play(&world, &stage.by_hand, takes, parameter_delay, then, &[db]).await;
        }
        None => {}
    }
    let counts = world.trace.counts();
    let violations = std::mem::take(&mut world.past().violations);
    Outcome { violations, hash: world.trace.hash(), counts, latest: world.trace.latest() }
}

/// Lets the world settle. What has arrived and rests need not wait longer; some stories do, since what is done late counts too. The
/// answer is whether it rests: nothing was written for a while.
async fn settle(world: &World, story: &Story) -> bool {
    let end = Instant::now() + SETTLE + story.nature.copy_time;
    let mut rests = 0;
    while Instant::now() < end {
        let before = written(world);
        let moves = world.state().images.iter().any(|image| image.state == "pending");
        sleep(REST.min(end - Instant::now())).await;
        let rested = !moves && written(world) == before;
        rests = if rested { rests + 1 } else { 0 };
        let needed = if ending::all_well(world) { 1 } else { 3 };
        if rests >= needed && story.may_end_early() && ending::has_arrived(world) {
            return true;
        }
    }
    false
}

/// How much was written so far to AWS, and to Kubernetes but for Leases.
fn written(world: &World) -> (Option<u64>, u64) {
    let to_kubernetes = world.kube.writes().into_iter().filter(|(request, _)| request.resource != "leases");
    (world.trace.counts().get("write").copied(), to_kubernetes.map(|(_, count)| count).sum())
}

/// The controllers on the stage, and the means to act on them.
pub(crate) struct Stage {
    pub(crate) world: World,
    start: Instant,
    /// The configuration of people's own hands; each controller has its own door.
    by_hand: SdkConfig,
    doctor: Option<Doctor>,
    first: Option<Controller>,
    second: Option<(Instant, Controller)>,
    /// What was told to stop, and may not have ended yet.
    leaving: Vec<Controller>,
    /// How many were started in a rollout.
    rollouts: usize,
    /// How far the clock of the second is off.
    second_is_off: SignedDuration,
    /// Whether controllers stand for election.
    elects: bool,
    restart_at: Option<Instant>,
    kill: Arc<Notify>,
    /// What ends when: faults, mostly.
    pub(crate) endings: Vec<(Instant, Ending)>,
}

impl Stage {
    async fn new(world: &World, story: &Story, doctor: Option<Doctor>) -> Self {
        let mut stage = Self {
            world: world.clone(),
            start: Instant::now(),
            doctor,
            by_hand: sdk_config(world.aws.http_client()).await,
            first: None,
            second: None,
            leaving: Vec::new(),
            rollouts: 0,
            second_is_off: SignedDuration::from_secs(story.second_is_off()),
            elects: story.elects(),
            restart_at: None,
            kill: Arc::new(Notify::new()),
            endings: Vec::new(),
        };
        stage.first = Some(stage.controller("first"));
        stage
    }

    fn second(&self) -> Controller {
        self.world.past().clocks_differ |= !self.second_is_off.is_zero();
        self.started("second", self.second_is_off)
    }

    fn controller(&self, identity: &str) -> Controller {
        self.started(identity, SignedDuration::ZERO)
    }

    fn started(&self, identity: &str, clock_is_off: SignedDuration) -> Controller {
        Controller::start(&self.world, &self.by_hand, self.doctor, identity, self.elects, clock_is_off)
    }

    /// Lets time pass, with whatever ends, dies or comes back in it.
    async fn until(&mut self, at: Duration) {
        let target = self.start + at;
        loop {
            let due =
                self.endings.iter().map(|(at, _)| *at).chain(self.restart_at).chain(self.second.as_ref().map(|s| s.0));
            let next = due.min().map_or(target, |due| due.min(target));
            let kill = self.kill.clone();
            tokio::select! {
                biased;
                () = kill.notified() => self.killed(),
                () = sleep_until(next) => self.turn(),
            }
            if Instant::now() >= target {
                return;
            }
        }
    }

    fn killed(&mut self) {
        self.world.note("killed");
        self.world.trace.count("crash");
        let all = self.first.take().into_iter().chain(self.second.take().map(|s| s.1)).chain(self.leaving.drain(..));
        for controller in all {
            controller.kill();
        }
    }

    /// Does what is due.
    fn turn(&mut self) {
        let now = Instant::now();
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            self.world.past().crash = None;
            if self.first.is_none() {
                self.world.note("started again");
                self.first = Some(self.controller("first"));
            }
        }
        if self.second.as_ref().is_some_and(|(at, _)| *at <= now)
            && let Some((_, controller)) = self.second.take()
        {
            controller.kill();
            self.world.begin_life();
        }
        let (due, later) = std::mem::take(&mut self.endings).into_iter().partition(|(at, _)| *at <= now);
        self.endings = later;
        let due: Vec<(Instant, Ending)> = due;
        due.into_iter().for_each(|(_, ending)| self.end(ending));
    }

    async fn act(&mut self, act: &Act) {
        self.world.note(&act.describe());
        self.world.disturb(Duration::ZERO);
        self.world.trace.count(format!("act: {}", act.sort()));
        for object in OBJECTS {
            let found = self.world.kube.get("machineimages", NAMESPACE, object);
            if let Some(found) = found {
                read_report(&self.world.trace, &found["status"]);
                coherent::check(&self.world, &found);
            }
        }
        match act {
            Act::Apply(manifest) => self.world.apply(&self.world.resolve(manifest)),
            Act::Regret { edit, instead, calls } => {
                self.world.apply(&self.world.resolve(edit));
                self.world.past().second_thought =
                    Some((When::Calls(*calls), Thought::TakeBack(self.world.resolve(instead))));
            }
            Act::Amid { calls, what, pick } => {
                self.world.past().second_thought = Some((When::Calls(*calls), Thought::ByHand(*what, *pick)));
            }
            Act::CopiesEnd { calls } => {
                self.world.past().second_thought = Some((When::Calls(*calls), Thought::CopiesEnd))
            }
            Act::Delete(object) => self.delete(object),
            Act::ByHand(what, pick) => hands::act(&self.world, &self.by_hand, *what, *pick).await,
            Act::Crash { calls, after_commit, restart_after } => {
                let crash = Crash { calls_left: *calls, after_commit: *after_commit, kill: self.kill.clone() };
                self.world.past().crash = Some(crash);
                self.world.disturb(*restart_after);
                self.restart_at = Some(Instant::now() + *restart_after);
            }
            Act::SecondController(a_while) => {
                self.world.disturb(*a_while);
                if self.second.is_none() {
                    self.second = Some((Instant::now() + *a_while, self.second()));
                }
            }
            Act::Rollout => self.roll_out(),
            Act::ClusterLost => self.lose_cluster(),
            Act::Request(object) => {
                let _ = self.world.request(object);
            }
            fault => self.begin(fault),
        }
    }

    pub(crate) fn note_refusal<T>(&self, result: Result<T, kubesim::ApiError>) {
        if let Err(error) = result {
            self.world.note(&format!("refused: {error:?}"));
        }
    }

    fn delete(&mut self, object: &'static str) {
        if self.world.manifest(object).is_some() && self.world.delete(object) {
            // Whoever else holds it lets it go within a minute.
            let soon = Duration::from_secs(u64::from(self.world.elapsed().subsec_millis() % 60));
            self.endings.push((Instant::now() + soon, Ending::Guard(object)));
        }
    }

    /// The first controller ends in its own time, and its successor stands for election meanwhile.
    fn roll_out(&mut self) {
        let Some(old) = self.first.take() else { return };
        old.stop();
        self.leaving.push(old);
        self.rollouts += 1;
        self.first = Some(self.controller(&format!("first-{}", self.rollouts)));
    }

    /// Everything in the cluster is gone, finalizers and all, and the same manifests are applied to a new one.
    fn lose_cluster(&mut self) {
        self.killed();
        self.endings.retain(|(_, ending)| !matches!(ending, Ending::Guard(_)));
        // What was on its way out is not applied again, and nobody can know of it any more.
        self.world.past().deleted.clear();
        self.world.past().cluster_lost = self.world.elapsed();
        self.world.past().regions_told.clear();
        self.world.wipe_cluster();
        if !self.world.past().claimed.is_empty() {
            self.world.settle_neighbour();
        }
        for object in OBJECTS {
            if let Some(manifest) = self.world.manifest(object) {
                self.world.apply(&manifest);
            }
        }
        self.restart_at = Some(Instant::now() + NEW_CLUSTER);
        self.world.disturb(NEW_CLUSTER);
    }

    /// The world falls quiet: faults end, and the controller runs.
    async fn calm(&mut self) {
        self.world.note("quiet");
        self.world.aws.clear_faults();
        self.world.aws.configure(|c| {
            c.copy_time = c.copy_time.min(SignedDuration::try_from(COPY_TIME).unwrap_or_default());
            c.early_snapshots = c.copy_time / 2;
        });
        self.world.past().crash = None;
        let thought = self.world.past().second_thought.take();
        if let Some((_, Thought::TakeBack(manifest))) = thought {
            self.world.take_back(&manifest);
        }
        self.world.past().disturbed = self.world.elapsed();
        for (_, ending) in std::mem::take(&mut self.endings) {
            self.end(ending);
        }
        self.world.kube.clear_hook();
        self.world.kube.start();
        if self.first.is_none() {
            self.first = Some(self.controller("first"));
        }
    }
}
