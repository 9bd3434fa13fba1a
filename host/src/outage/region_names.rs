//! [`RegionNames`]: the regions over a store, for logs.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// How many names are shown.
const SHOWN: usize = 5;

/// The names of the regions over a store. Each belongs to the configuration of its region, and ends with it.
#[derive(Default)]
pub(super) struct RegionNames(Mutex<Vec<Weak<str>>>);

impl RegionNames {
    pub(super) fn add(&self, region: &Arc<str>) {
        let mut names = self.0.lock();
        // Regions are configured again and again.
        names.retain(|name| name.strong_count() > 0);
        names.push(Arc::downgrade(region));
    }

    /// Returns the first names in order, and how many more there are.
    pub(super) fn shown(&self) -> String {
        let mut names: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        names.sort();
        names.dedup();
        let (first, more) = names.split_at(names.len().min(SHOWN));
        let first = first.join(", ");
        if more.is_empty() { first } else { format!("{first}, and {} more", more.len()) }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn regions_are_named_as_long_as_they_exist() {
        let names = RegionNames::default();
        let named = |name: &str| {
            let name: Arc<str> = name.into();
            names.add(&name);
            name
        };
        let kept = ["b", "a", "b"].map(named);
        for _ in 0..100 {
            named("gone");
        }
        assert!(names.0.lock().len() <= 4, "{}", names.0.lock().len());
        assert_eq!(names.shown(), "a, b");
        let more: Vec<_> = (1..=9).map(|number| named(&format!("c{number}"))).collect();
        assert_eq!(names.shown(), "a, b, c1, c2, c3, and 6 more");
        drop((kept, more));
        assert_eq!(names.shown(), "");
    }
}
