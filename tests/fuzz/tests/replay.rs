//! Every input of the corpus, and others for some seconds: the same ones each time, or those of `FUZZ_SEED`; `FUZZ_SECONDS` makes it
//! longer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it does not expect")]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;

/// How long fresh inputs are tried, for each target.
const SECONDS: u64 = 8;
/// The longest fresh input.
const LONGEST: usize = 3000;

macro_rules! targets {
    ($($target:ident)+) => {
        const TESTED: &[&str] = &[$(stringify!($target)),+];
        mod the_corpus_holds {
            $(#[test] fn $target() { super::replay(stringify!($target)); })+
        }
        mod fresh_inputs_hold {
            $(#[test] fn $target() { super::fresh(stringify!($target)); })+
        }
    };
}

targets! { manifest answers files flags interval lease tags }

#[test]
fn every_target_is_tried() {
    assert_eq!(TESTED, fuzz::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>());
}

/// Inputs that lead nowhere prove nothing.
#[test]
fn the_corpus_leads_to_every_reason_and_every_obstacle() {
    replay("manifest");
    let noted = fuzz::noted();
    let expected = "planned, refused, Missing, CopyFailed, HandedOver, TagsDiffer, Moved, LeftTheList, Superseded, \
                    FailedAndUnwanted, LeftBehind, ObjectDeleted, SourceNotAvailable, Duplicate, SourceChanged, ImageDisabled, \
                    OwnedByAnother, NotOwned, TakenBack, ParameterNotTaken, all gone, the region cannot be seen, EC2 does not list it yet, names it, cannot be read, \
                    has not been read yet, is copied from it, another MachineImage has it, it is protected, keeps an \
                    available image, in use by, that cannot be checked, has not been checked yet, waits until, is suspended";
    for what in expected.split(", ") {
        assert!(noted.keys().any(|sentence| sentence.contains(what)), "no input of the corpus leads to: {what}");
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

fn replay(target: &str) {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{target} has no corpus");
    inputs.iter().for_each(|(file, bytes)| attempt(target, bytes, || file.clone()));
}

fn fresh(target: &str) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS));
    let (corpus, mut rng, mut count) = (corpus(target), Rng::with_seed(seed), 0_u64);
    while Instant::now() < end {
        let bytes = match rng.bool() {
            true => (0..rng.usize(..LONGEST)).map(|_| rng.u8(..)).collect(),
            false => changed(&corpus[rng.usize(..corpus.len())].1, &mut rng),
        };
        attempt(target, &bytes, || write(target, seed, count, &bytes));
        count += 1;
    }
    println!("{target}: {count} inputs of seed {seed}");
}

/// An input with some bytes changed, taken out or put in.
fn changed(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..8) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..4) {
            0 if at < bytes.len() => _ = bytes.remove(at),
            1 => bytes.insert(at, rng.u8(..)),
            2 => bytes.truncate(at),
            _ if at < bytes.len() => bytes[at] = rng.u8(..),
            _ => bytes.extend((0..rng.usize(..64)).map(|_| rng.u8(..))),
        }
    }
    bytes
}

/// Tries an input. If it fails, the message says in which file it is and how to replay it.
fn attempt(target: &str, bytes: &[u8], file: impl FnOnce() -> PathBuf) {
    let run = fuzz::target(target).unwrap().run;
    if catch_unwind(|| run(bytes)).is_err() {
        let file = file();
        panic!("{target} fails; to replay it: make fuzz TARGET={target} REPLAY={}", file.display());
    }
}

fn write(target: &str, seed: u64, count: u64, bytes: &[u8]) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{seed}-{count}"));
    std::fs::write(&file, bytes).unwrap();
    file
}
