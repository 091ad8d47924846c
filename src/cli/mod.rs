//! The command line: what can be asked of the program, and its exit codes.

mod controller;
mod manifests;
mod plan;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::api::crd_yaml;

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

/// A duration such as 50ms, 15s, 5m or 1h30m; zero makes no sense anywhere.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<kube::core::Duration>().map_err(|_| "write a duration like 15s, 5m or 1h30m")?;
    match Duration::from(parsed) {
        Duration::ZERO => Err("the duration must be more than nothing".into()),
        _ if parsed.is_negative() => Err("the duration must be more than nothing".into()),
        duration => Ok(duration),
    }
}
