//! The command line: what can be asked of the program, and its exit codes.

mod controller;
pub mod manifests;
mod plan;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::api::crd_yaml;
use crate::plan::numbers_with_units;

/// Owns the life of Amazon Machine Images: copies, tags, publishes and prunes them until AWS matches the MachineImage
/// manifests of a cluster.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller in a cluster.
    Controller(Box<controller::Args>),
    /// Prints what a pass over manifests would do, and why, without a cluster and without changing anything.
    ///
    /// Exit code 0: nothing to do; 2: there is something to do, or something stands in the way; 1: an error.
    Plan(plan::Args),
    /// Prints the CustomResourceDefinition.
    Crd,
}

/// Runs a command; the answer is the exit code of the process.
pub async fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Controller(args) => controller::run(*args).await.map(|()| ExitCode::SUCCESS),
        Command::Plan(args) => plan::run(args).await,
        Command::Crd => crd_yaml().map_err(Into::into).map(|yaml| {
            print!("{yaml}");
            ExitCode::SUCCESS
        }),
    };
    result.unwrap_or_else(|error| {
        eprintln!("amiops: {error}");
        ExitCode::FAILURE
    })
}

/// An error on its way to the person at the terminal.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Part of the ownership tag, and of a filter with wildcards.
fn owner_id(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match (1..=63).contains(&text.len()) && text.chars().all(legal) {
        true => Ok(text.to_owned()),
        false => Err("an owner id has 1 to 63 letters, digits, '.', '_' or '-'".into()),
    }
}

/// More than this is a mistake; and what is waited for is added to dates, which have an end.
const LONGEST: Duration = Duration::from_hours(720);

/// A duration such as 50ms, 15s, 5m or 1h30m; zero makes no sense anywhere.
fn duration(text: &str) -> Result<Duration, String> {
    numbers_with_units(text, &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)])
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(|| "write a duration like 50ms, 15s, 5m or 1h30m, of 720h at most".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_with_units() {
        for (text, seconds) in [("50ms", 0.05), ("15s", 15.0), ("1h30m", 5400.0), ("0h1s", 1.0), ("720h", 2_592_000.0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_beyond_reason_is_refused() {
        for text in ["", "0", "0s", "5", "s", "-5m", "1h-5m", "1.5h", "5 m", "5d", "720h1s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration(&format!("{}h", u64::MAX)).is_err());
    }
}
