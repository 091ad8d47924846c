//! The documents and examples are true: what can be derived is derived. The tables of fields, of what the API server
//! refuses and of flags in `docs/reference.md` stand between markers and must be what the types say today. `make generate`
//! writes them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod examples;
mod fields;
mod flags;
mod reasons;

use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares what stands in `docs/reference.md` between the markers of `block` with `wanted`; with UPDATE_DOCS set, writes
/// it there.
fn check(block: &str, wanted: &str) {
    let (begin, end) = (format!("<!-- {block}: begin, generated -->\n"), format!("<!-- {block}: end -->"));
    let file = path("docs/reference.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("docs/reference.md lacks {begin}"));
    let (present, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/reference.md lacks {end}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
    } else {
        assert_eq!(present, wanted, "docs/reference.md is not up to date: run `make generate`");
    }
}

/// One test, because two would write the file at once.
#[test]
fn the_derived_parts_of_the_reference_are_up_to_date() {
    check("spec", &fields::table("spec"));
    check("refused", &fields::rules());
    check("status", &fields::table("status"));
    check("controller flags", &flags::table("controller"));
    check("plan flags", &flags::table("plan"));
}

#[test]
fn the_custom_resource_definition_in_the_repository_is_up_to_date() {
    let wanted = amiops::api::crd_yaml().unwrap();
    for file in ["crds", "charts/amiops/files/crds"].map(|folder| format!("{folder}/amiops.dev_machineimages.yaml")) {
        let present = std::fs::read_to_string(path(&file)).unwrap();
        assert!(present == wanted, "{file} is not up to date: run `make generate`");
    }
}
