//! Plays whole histories of amiops in one process, under simulated time, and checks them at every step.

mod again;
mod applied;
mod asked;
mod checkers;
mod coherent;
mod coverage;
mod deleting;
mod doctor;
mod door;
mod draw;
mod edits;
mod ending;
mod epilogue;
mod faults;
mod fields;
mod handing;
mod hands;
mod manifest;
mod meanwhile;
mod mishaps;
mod obstacle;
mod owed;
mod pin;
mod play;
mod process;
mod removal;
mod sagas;
mod shrink;
mod state;
mod story;
mod told;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;

use crate::doctor::Doctor;
use crate::play::{Outcome, play};
use crate::story::Story;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays histories of amiops: one for each seed.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Plays one seed, prints its story and the end of its trace.
    #[arg(long)]
    replay: Option<u64>,
    /// Plays the seeds that a file lists, one a line, as well.
    #[arg(long)]
    also: Option<PathBuf>,
    /// Succeeds if a violation is found, for histories that are doctored.
    #[arg(long)]
    expect_violation: bool,
    /// Puts a fault in at the door, to see whether the checkers find it.
    #[arg(long, value_enum)]
    doctor: Option<Doctor>,
    /// How many histories are played at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Instead of seeds, moves every field of the spec from each kind of value to each other.
    #[arg(long)]
    fields: bool,
    /// Goes on after the first violation.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.replay {
        Some(seed) => replay(&args, seed),
        None => many(&args),
    }
}

fn replay(args: &Args, seed: u64) -> ExitCode {
    let field = |turn: u64| fields::stories().into_iter().nth(usize::try_from(turn).ok()?);
    let (name, story) = match args.fields {
        true => match field(seed) {
            Some(field) => field,
            None => {
                eprintln!("there is no such story: {seed}");
                return ExitCode::FAILURE;
            }
        },
        false => of_seed(seed),
    };
    let outcome = play(&story, args.doctor);
    let shown = match outcome.violations.is_empty() {
        true => story,
        false => shrink::shrink(&story, args.doctor),
    };
    println!("{shown}");
    let outcome = play(&shown, args.doctor);
    outcome.latest.iter().for_each(|line| println!("  {line}"));
    println!("hash {}", outcome.hash);
    verdict(args, &name, seed, &outcome)
}

fn verdict(args: &Args, name: &str, seed: u64, outcome: &Outcome) -> ExitCode {
    match outcome.violations.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            println!("{name}: {first}");
            println!("replay it: make simulate {}REPLAY={seed}", if args.fields { "FIELDS=1 " } else { "" });
            ExitCode::FAILURE
        }
    }
}

/// The story of a seed, with its name.
fn of_seed(seed: u64) -> (String, Story) {
    (format!("seed {seed}"), Story::of(seed))
}

/// What all histories came to.
#[derive(Default)]
struct Sum {
    histories: u64,
    counts: BTreeMap<String, u64>,
    bad: Vec<(String, u64, Outcome)>,
}

impl Sum {
    /// Says what was played, and what it led to.
    fn report(&self, seconds: f64) {
        let count = |what: &str| self.counts.get(what).copied().unwrap_or(0);
        let calls = count("read") + count("write");
        println!("{} histories in {seconds:.1} s", self.histories);
        println!(
            "  {calls} calls to AWS, {} of them writes; {} to Kubernetes",
            count("write"),
            count("call to Kubernetes")
        );
        println!("  {} crashes, {} processes that lost their lease", count("crash"), count("ended"));
        for (prefix, title) in SECTIONS {
            println!("{title}:");
            let those = self.counts.iter().filter_map(|(what, n)| Some((what.strip_prefix(prefix)?, n)));
            those.for_each(|(what, n)| println!("  {n:>8} {what}"));
        }
    }
}

/// What is counted, by how it begins, and what it is.
const SECTIONS: [(&str, &str); 5] = [
    ("act: ", "What people and fate did"),
    ("did for reason ", "Actions of plans that were carried out, by reason"),
    ("failed with ", "Actions that failed, by error code"),
    ("told of ", "Problems that reports told of, by code"),
    ("kept, because ", "What kept images that were to go"),
];

/// The seeds of the file; what is not a number is a comment.
fn listed(args: &Args) -> Vec<u64> {
    let text = args.also.as_ref().map(std::fs::read_to_string);
    match text {
        Some(Ok(text)) => text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect(),
        Some(Err(error)) => {
            eprintln!("the file of seeds cannot be read: {error}");
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// The stories that are to be played, by their turn, each with a name.
fn stories(args: &Args) -> impl Fn(usize) -> Option<(String, Story)> {
    let fields = if args.fields { fields::stories() } else { Vec::new() };
    let range = if args.fields { 0..0 } else { args.from..args.from + args.seeds };
    let seeds: Vec<_> = listed(args).into_iter().chain(range).collect();
    move |turn| fields.get(turn).cloned().or_else(|| seeds.get(turn - fields.len()).copied().map(of_seed))
}

fn expected(sum: &Sum) -> ExitCode {
    match sum.bad.is_empty() {
        true => {
            println!("no checker has found the fault");
            ExitCode::FAILURE
        }
        false => ExitCode::SUCCESS,
    }
}

fn many(args: &Args) -> ExitCode {
    let started = Instant::now();
    let stories = stories(args);
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let Some((name, story)) = stories(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let enough = sum.lock().is_ok_and(|sum| !sum.bad.is_empty() && !args.keep_going);
                    if enough {
                        return;
                    }
                    let outcome = play(&story, args.doctor);
                    let Ok(mut sum) = sum.lock() else { return };
                    sum.histories += 1;
                    outcome.counts.iter().for_each(|(kind, n)| *sum.counts.entry(kind.clone()).or_default() += n);
                    if !outcome.violations.is_empty() {
                        println!("{name}: {}", outcome.violations[0]);
                        sum.bad.push((name, story.seed, outcome));
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_default();
    sum.report(started.elapsed().as_secs_f64());
    if args.expect_violation {
        return expected(&sum);
    }
    println!("{} passed, {} failed", sum.histories - sum.bad.len() as u64, sum.bad.len());
    match sum.bad.first() {
        None => ExitCode::SUCCESS,
        Some((name, seed, outcome)) => {
            outcome.latest.iter().for_each(|line| println!("  {line}"));
            verdict(args, name, *seed, outcome)
        }
    }
}
