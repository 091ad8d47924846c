//! The manifests in `examples/` are what the program takes: `amiops plan` reads each, and an AWS that is empty answers it.

use std::process::Command;

use ec2sim::{Config, Sim, serve, system_clock};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_can_be_planned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, Sim::new(Config::default(), system_clock())));
    let mut examples: Vec<_> = std::fs::read_dir(super::path("examples")).unwrap().map(|e| e.unwrap().path()).collect();
    examples.sort();
    assert!(!examples.is_empty());
    for example in examples {
        let mut plan = Command::new(env!("CARGO_BIN_EXE_amiops"));
        plan.args(["plan", "--file"]).arg(&example);
        plan.env_clear().env("AWS_ENDPOINT_URL", &url).env("AWS_EC2_METADATA_DISABLED", "true");
        plan.env("AWS_ACCESS_KEY_ID", "111111111111")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1");
        let output = tokio::task::spawn_blocking(move || plan.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        // The sources do not exist there, and the plan says so.
        assert_eq!(output.status.code(), Some(2), "{}: {text}", example.display());
        assert!(text.contains("was not found in"), "{}: {text}", example.display());
    }
}
