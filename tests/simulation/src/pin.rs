//! What libraries draw from the system is pinned, so that the same seed gives the same history: the keys of hash maps and
//! the seeds of other generators come from `getrandom`.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Begins a history: from here on, this thread draws the same numbers for the same seed.
pub(crate) fn seed(seed: u64) {
    STATE.set(seed.wrapping_mul(2).wrapping_add(1));
    fastrand::seed(seed);
}

fn next() -> u64 {
    // SplitMix64 (public domain): each state gives one well mixed number.
    STATE.set(STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
    let mut z = STATE.get();
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Takes the place of the C library's function in this program.
///
/// # Safety
/// As for the original: `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the symbol has the signature of the C library's, which only unsafe code can offer")]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for index in 0..length {
        // SAFETY: the caller promises `length` writable bytes.
        unsafe { buffer.add(index).write(next() as u8) };
    }
    length as isize
}
