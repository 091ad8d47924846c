//! Where images and snapshots are kept, of which there are very many.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Things by id. They are boxed: a B-tree leaves a third of its slots empty, which then need not be large.
#[derive(Debug)]
pub(crate) struct Shelf<T>(BTreeMap<String, Box<T>>);

impl<T> Shelf<T> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains_key(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.0.get(id).map(|thing| &**thing)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.0.get_mut(id).map(|thing| &mut **thing)
    }

    pub(crate) fn insert(&mut self, id: String, thing: T) {
        self.0.insert(id, Box::new(thing));
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        self.0.remove(id).map(|thing| *thing)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().map(|thing| &**thing)
    }

    /// What comes after an id, in the order of ids.
    pub(crate) fn after(&self, id: Bound<&str>) -> impl Iterator<Item = (&String, &T)> {
        let range = self.0.range::<str, _>((id, Bound::Unbounded));
        range.map(|(id, thing)| (id, &**thing))
    }
}

impl<T> Extend<(String, T)> for Shelf<T> {
    fn extend<I: IntoIterator<Item = (String, T)>>(&mut self, things: I) {
        things.into_iter().for_each(|(id, thing)| self.insert(id, thing));
    }
}
