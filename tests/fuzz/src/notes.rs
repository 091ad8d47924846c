//! What inputs have led to. Inputs at random prove nothing about what they never lead to.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static NOTES: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that an input led to something.
pub(crate) fn note(what: &str) {
    NOTES.with_borrow_mut(|notes| match notes.get_mut(what) {
        Some(count) => *count += 1,
        None => _ = notes.insert(what.to_owned(), 1),
    });
}

/// What the inputs that this thread tried have led to, and how often.
pub fn noted() -> BTreeMap<String, u64> {
    NOTES.with_borrow(Clone::clone)
}
