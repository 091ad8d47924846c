//! Rules about the repository itself: they need neither cluster nor AWS.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files_below(path: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(path) } else { vec![path] }).collect()
}

/// The lines of code below `src/` + `folder` that contain one of `words`, with their places.
fn mentions(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files_below(root("src").join(folder)) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let hits = code.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.extend(hits.map(|(number, line)| format!("{}:{}: {line}", file.display(), number + 1)));
    }
    found
}

const SDK: [&str; 4] = ["aws_sdk", "aws_smithy", "aws_config", "aws_types"];
const NONE: [String; 0] = [];

#[test]
fn api_and_plan_do_no_io() {
    let io = [
        "kube::Client",
        "kube::Api",
        "kube::api",
        "kube::runtime",
        "tokio",
        "std::fs",
        "std::net",
        "std::env",
        "Timestamp::now",
        "Instant::now",
    ];
    let neighbours = ["crate::aws", "crate::controller", "crate::cli", "crate::telemetry", "crate::clock"];
    for folder in ["api", "plan"] {
        assert_eq!(mentions(folder, &[&io[..], &neighbours, &SDK].concat()), NONE);
    }
    assert_eq!(mentions("api", &["crate::plan"]), NONE);
}

#[test]
fn only_aws_names_an_aws_sdk() {
    for folder in ["controller", "cli", "telemetry"] {
        assert_eq!(mentions(folder, &SDK), NONE);
    }
}

#[test]
fn aws_does_not_know_the_controller() {
    assert_eq!(mentions("aws", &["kube::", "crate::controller", "crate::cli", "crate::api"]), NONE);
}

#[test]
fn the_definitions_in_the_repository_are_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_amiops")).arg("crd").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let name = "crds/amiops.dev_machineimages.yaml";
    let read = |path: &str| std::fs::read_to_string(root(path)).unwrap();
    assert!(read(name) == printed, "{name} is old: amiops crd > {name}");
    assert!(read("charts/amiops/files/crds/amiops.dev_machineimages.yaml") == printed, "the chart's copy is old");
}
