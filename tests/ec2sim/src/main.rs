//! `ec2sim`: the simulated AWS on loopback.

use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Parser;
use ec2sim::{Config, Sim, serve, system_clock};
use jiff::SignedDuration;
use tokio::net::TcpListener;

/// A simulator of EC2 images, SSM parameters and STS. The first line of its output is its URL.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The account of every access key that is not itself an account.
    #[arg(long, default_value = "111111111111")]
    account: String,
    /// How long a copy of an image is pending.
    #[arg(long, default_value = "3s")]
    copy_time: SignedDuration,
    /// How long a new image is missing from lists.
    #[arg(long, default_value = "0s")]
    late_listing: SignedDuration,
    /// How long a deregistered image is still listed.
    #[arg(long, default_value = "0s")]
    stale_listing: SignedDuration,
    /// How long the validation of an image parameter takes.
    #[arg(long, default_value = "0s")]
    parameter_delay: SignedDuration,
    /// Makes the ids of this world differ from those of others.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let config = Config {
        account: options.account,
        seed: options.seed,
        copy_time: options.copy_time,
        late_listing: options.late_listing,
        stale_listing: options.stale_listing,
        parameter_delay: options.parameter_delay,
        ..Config::default()
    };
    let listener = TcpListener::bind(options.listen).await?;
    let mut out = io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    tokio::select! {
        result = serve(listener, Sim::new(config, system_clock())) => result,
        result = tokio::signal::ctrl_c() => result,
    }
}
