//! Choices drawn from the bytes of an input. When they run out, every choice is its first, which is the ordinary one.

use arbitrary::Unstructured;

/// The bytes that are left.
pub(crate) struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.int_in_range(0..=n - 1).unwrap_or(0)
    }

    /// Whether something rare happens: once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of `choices`, which has some.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> i64 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Text as the bytes of the input have it, up to a line's end; what is not UTF-8 is marked.
    pub(crate) fn line(&mut self) -> String {
        let bytes: Vec<u8> =
            std::iter::from_fn(|| self.0.arbitrary().ok()).take(64).take_while(|b| *b != b'\n').collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Text as it comes, of some characters.
    pub(crate) fn text(&mut self) -> String {
        let length = self.below(12);
        (0..length).map(|_| self.0.arbitrary().unwrap_or('a')).collect()
    }
}
