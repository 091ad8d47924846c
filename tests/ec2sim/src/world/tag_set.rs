//! The tags that a resource has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

type Entry = (Box<str>, Box<str>);

/// The tags of one resource in the order of their keys. Clones share their memory until one is changed: an image and its
/// snapshots mostly have the same, and there are hundreds of thousands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags(Option<Arc<Vec<Entry>>>);

/// The tags that accounts gave to what another account shares with them. Each sees and changes only its own:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-resources>.
pub(crate) type TagsOfOthers = BTreeMap<String, Tags>;

impl Tags {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_ref().map_or(&[], |entries| entries.as_slice())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let entries = self.entries();
        let at = entries.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        entries.get(at).map(|(_, value)| &**value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().iter().map(|(key, value)| (&**key, &**value))
    }

    /// Adds tags; a key that is there gets the new value.
    pub(crate) fn extend<K: AsRef<str>, V: AsRef<str>>(&mut self, new: impl IntoIterator<Item = (K, V)>) {
        let mut entries: BTreeMap<Box<str>, Box<str>> = self.entries().iter().cloned().collect();
        entries.extend(new.into_iter().map(|(key, value)| (Box::from(key.as_ref()), Box::from(value.as_ref()))));
        *self = Self::of(entries.into_iter().collect());
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        let kept = self.entries().iter().filter(|(key, value)| keep(key, value));
        *self = Self::of(kept.cloned().collect());
    }

    fn of(entries: Vec<Entry>) -> Self {
        Self((!entries.is_empty()).then(|| Arc::new(entries)))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut tags = Self::new();
        tags.extend(entries);
        tags
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
