//! Tries files: `fuzz-replay TARGET FILE...`. Without files it names the targets.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(target) = arguments.next().and_then(|name| fuzz::target(&name)) else {
        fuzz::TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::FAILURE;
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(bytes) => (target.run)(&bytes),
            Err(error) => {
                eprintln!("{file} cannot be read: {error}");
                return ExitCode::FAILURE;
            }
        }
        println!("ok  {file}");
    }
    ExitCode::SUCCESS
}
