//! Fuzz targets: each is a function over bytes that panics with a sentence where the program does not keep a promise.
//!
//! `tests/fuzz/README.md` says how to run and replay them.

mod answers;
mod draw;
mod facts;
mod lease;
mod manifest;
mod notes;
mod parsers;
mod rules;
mod schema;
mod text;
mod wire;
mod world;

pub use notes::noted;

/// A function over bytes.
pub struct Target {
    /// Its name, which is also the name of its folder in the corpus.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "manifest", run: manifest::run },
    Target { name: "answers", run: answers::run },
    Target { name: "files", run: parsers::files },
    Target { name: "flags", run: parsers::flags },
    Target { name: "interval", run: parsers::interval },
    Target { name: "lease", run: lease::run },
    Target { name: "tags", run: parsers::tags },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
