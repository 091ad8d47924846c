//! The command line of amiops.

fn main() {}
