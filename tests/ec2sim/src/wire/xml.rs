//! Writes the XML of EC2 and STS answers.

use std::fmt::{Display, Write};

/// The inside of an answer, without its envelope.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `<return>true</return>`: the whole answer of many operations.
    pub(crate) fn done() -> Self {
        Self::new().with("return", true)
    }

    /// Adds an element that holds text.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.start(name);
        // Writing to a string cannot fail.
        let _ = write!(Escaped(&mut self.0), "{value}");
        self.end(name);
        self
    }

    /// [`Xml::text`] for an answer of one element.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.text(name, value);
        self
    }

    /// Adds text: the whole content of an item.
    pub(crate) fn raw(&mut self, value: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(Escaped(&mut self.0), "{value}");
        self
    }

    /// Adds an element where there is a value.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// Adds an element that holds others.
    pub(crate) fn nest(&mut self, name: &str, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.start(name);
        inside(self);
        self.end(name);
        self
    }

    /// Adds a list: one `<item>` for each member.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.start(name);
        for item in items {
            self.nest("item", |x| write(x, item));
        }
        self.end(name);
        self
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    fn start(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn end(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }
}

struct Escaped<'a>(&'a mut String);

/// What cannot stand in text as it is.
const SPECIAL: [char; 5] = ['<', '>', '&', '"', '\r'];

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(SPECIAL) {
            let (plain, from) = rest.split_at(at);
            let mut chars = from.chars();
            self.0.push_str(plain);
            self.0.push_str(match chars.next() {
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('&') => "&amp;",
                Some('"') => "&quot;",
                _ => "&#13;",
            });
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}
