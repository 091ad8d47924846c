//! The flags of the commands, from what parses them.

use std::fmt::Write;

use clap::CommandFactory;

/// The flags of a command as a table, in the order of `--help`.
pub(super) fn table(command: &str) -> String {
    let mut text = "| flag | environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    let cli = amiops::cli::Cli::command();
    let command = cli.find_subcommand(command).unwrap();
    for flag in command.get_arguments().filter(|a| a.get_id() != "help") {
        let short = flag.get_short().map(|s| format!("`-{s}`, ")).unwrap_or_default();
        let values = flag.get_possible_values();
        let names: Vec<_> = values.iter().map(|v| format!("`{}`", v.get_name())).collect();
        let choice = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let default =
            flag.get_default_values().iter().map(|v| format!("`{}`", v.to_string_lossy())).collect::<String>();
        let env = flag.get_env().map(|e| format!("`{}`", e.to_string_lossy())).unwrap_or_default();
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "| {short}`--{}` | {env} | {default} | {help}{choice} |", flag.get_long().unwrap()).unwrap();
    }
    text
}
