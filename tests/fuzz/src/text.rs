//! Strings: such as the patterns in the schema's rules describe, and such as nearly are.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::draw::Draw;

/// What has gone wrong in other programs.
const ODD: [&str; 14] =
    ["", " ", "\0", "\n", "-", ".", "/", "..", "ä", "𝟙", "\u{202e}", "{version}", "null", "18446744073709551616"];
/// Numbers around the bounds of durations.
const NUMBERS: [&str; 20] = [
    "1",
    "10",
    "0",
    "00",
    "23",
    "24",
    "25",
    "59",
    "60",
    "61",
    "1439",
    "1440",
    "1441",
    "86399",
    "86400",
    "86401",
    "719",
    "720",
    "721",
    "99999999999999999999",
];

/// Whether a string matches a pattern.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<BTreeMap<String, Option<Regex>>> = const { RefCell::new(BTreeMap::new()) };
    }
    COMPILED.with_borrow_mut(|compiled| {
        let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    })
}

/// A string that matches a pattern, and perhaps a very long one.
pub(crate) fn matching(pattern: &str, long: bool, draw: &mut Draw) -> String {
    let mut text = String::new();
    // A pattern that is not one is the schema's mistake, which a real API server tells of.
    if let Ok(hir) = regex_syntax::parse(pattern) {
        follow(&hir, long, draw, &mut text);
    }
    text
}

fn follow(hir: &Hir, long: bool, draw: &mut Draw, text: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let range = draw.pick(class.ranges());
            let (first, last) = (u32::from(range.start()), u32::from(range.end()));
            let chosen = first + draw.below((last - first + 1) as usize) as u32;
            text.push(char::from_u32(chosen).unwrap_or(range.start()));
        }
        HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Repetition(repetition) if is_digits(&repetition.sub) && repetition.max.is_none() => {
            text.push_str(draw.pick(&NUMBERS));
        }
        HirKind::Repetition(repetition) => {
            let least = repetition.min;
            let most = repetition.max.unwrap_or(least + if long && draw.one_in(40) { 70 } else { 3 });
            let times = least + draw.below((most - least + 1) as usize) as u32;
            (0..times).for_each(|_| follow(&repetition.sub, long, draw, text));
        }
        HirKind::Capture(capture) => follow(&capture.sub, long, draw, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| follow(part, long, draw, text)),
        HirKind::Alternation(choices) => follow(&draw.pick(choices), long, draw, text),
    }
}

fn is_digits(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { return false };
    class.ranges().iter().all(|range| range.start() >= '0' && range.end() <= '9')
}

/// The string with one mistake in it.
pub(crate) fn spoil(text: &str, draw: &mut Draw) -> String {
    let at = draw.below(text.chars().count() + 1);
    let (before, after): (String, String) = (text.chars().take(at).collect(), text.chars().skip(at).collect());
    match draw.below(7) {
        0 => format!("{before}{}{after}", draw.pick(&ODD)),
        1 => before,
        2 => after,
        3 => text.to_uppercase(),
        4 => format!("{text}{text}"),
        5 => format!("{before}{}{after}", draw.text()),
        _ => format!("{before}{}", after.chars().skip(1).collect::<String>()),
    }
}

/// A string that nobody expects.
pub(crate) fn odd(draw: &mut Draw) -> String {
    if draw.one_in(2) { draw.text() } else { draw.pick(&ODD).to_owned() }
}
