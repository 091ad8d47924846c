//! Every problem that the program can name by a word of its own is explained in the reference.

use std::path::PathBuf;

use super::path;

/// The words that the source gives to problems: what follows a class, in quotation marks.
fn named_in_source() -> Vec<String> {
    let mut names = Vec::new();
    for file in sources(path("src")).into_iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let after_class = shipped.split("Class::").skip(1).filter_map(|rest| rest.split_once(','));
        let quoted = after_class.filter_map(|(_, rest)| rest.trim_start().strip_prefix('"')?.split('"').next());
        names.extend(quoted.filter(|word| is_reason(word)).map(str::to_owned));
    }
    names
}

/// One word that begins with a capital; AWS's own codes with a dot are explained as such.
fn is_reason(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric())
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| if entry.is_dir() { sources(entry) } else { vec![entry] }).collect()
}

#[test]
fn every_reason_of_a_problem_is_explained_in_the_reference() {
    let reference = std::fs::read_to_string(path("docs/reference.md")).unwrap();
    let names = named_in_source();
    assert!(names.len() > 15, "{names:?}");
    let unexplained: Vec<_> = names.iter().filter(|name| !reference.contains(&format!("`{name}`"))).collect();
    assert_eq!(unexplained, Vec::<&String>::new());
}
