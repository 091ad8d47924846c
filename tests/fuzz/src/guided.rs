//! A target under libFuzzer, which keeps the inputs that reach new code. `FUZZ_TARGET` names it; `tests/fuzz/long` starts it.

#![no_main]

use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
    fuzz::target(&name).unwrap_or_else(|| panic!("there is no target {name}")).run
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| RUN(bytes));
