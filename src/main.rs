//! The command line of amiops: choose the TLS provider, parse, run.

use std::process::ExitCode;

use amiops::cli::{Cli, run};
use clap::Parser;

fn main() -> ExitCode {
    // The Kubernetes client and the AWS SDK must agree on one provider; the first to be installed counts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => {
            eprintln!("amiops: the runtime could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}
