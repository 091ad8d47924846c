//! The command line of amiops.

fn main() {
    print!("{}", amiops::api::crd_yaml().unwrap());
}
