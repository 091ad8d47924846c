//! Plays histories in debug, a few hundred and every seed that ever failed, and shows that the checkers find faults that are
//! put in on purpose. `make simulate` plays many more.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

use std::process::{Command, Output};

const SEEDS_THAT_FAILED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");
/// How many histories a fault may take to be found.
const FOUND_WITHIN: &str = "150";

fn simulation(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulation")).args(args).output().expect("the simulation can be started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn no_history_breaks_a_rule() {
    let seeds = std::env::var("SEEDS").unwrap_or_else(|_| "200".into());
    let output = simulation(&["--seeds", &seeds, "--also", SEEDS_THAT_FAILED]);
    assert!(output.status.success(), "{}", told(&output));
    println!("{}", told(&output));
}

#[test]
fn every_field_moved_from_each_kind_of_value_to_each_other_converges() {
    let output = simulation(&["--fields", "--keep-going"]);
    assert!(output.status.success(), "{}", told(&output));
}

/// Each doctor is a fault that a wrong program would show; see `src/doctor.rs`.
#[test]
fn the_checkers_find_every_fault_that_is_put_in_at_the_doors() {
    let doctors = [
        "strip-token",
        "strip-tags",
        "empty-references",
        "empty-permissions",
        "empty-listing",
        "drop-page",
        "two-owners",
        "tag-the-source",
        "publish-the-source",
        "deregister-nothing",
    ];
    for doctor in doctors {
        let output = simulation(&["--seeds", FOUND_WITHIN, "--doctor", doctor, "--expect-violation"]);
        assert!(output.status.success(), "{doctor} is not found: {}", told(&output));
    }
}

#[test]
fn a_seed_gives_the_same_trace_in_two_processes() {
    for seed in ["1", "2", "3", "8"] {
        let hash = || {
            let told = told(&simulation(&["--replay", seed]));
            told.lines().find_map(|line| line.strip_prefix("hash ")).expect("a replay prints its hash").to_owned()
        };
        let first = hash();
        assert!(first.len() >= 16, "{first}");
        assert_eq!(first, hash(), "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_traces() {
    let replay = |seed| told(&simulation(&["--replay", seed]));
    let hash = |told: &str| told.lines().find(|line| line.starts_with("hash ")).map(str::to_owned);
    assert_ne!(hash(&replay("1")), hash(&replay("2")));
}

#[test]
fn a_history_that_breaks_a_rule_is_shortened_and_says_how_to_replay_it() {
    let output = simulation(&["--replay", "1", "--doctor", "publish-the-source"]);
    let told = told(&output);
    assert!(!output.status.success(), "{told}");
    let moments = told.lines().filter(|line| line.contains(" apply {") && !line.contains(" fate ")).count();
    assert_eq!(moments, 1, "one manifest is enough to publish the wrong image: {told}");
    assert!(told.contains("VIOLATION PutParameter"), "{told}");
    assert!(told.contains("replay it: make simulate REPLAY=1"), "{told}");
}
