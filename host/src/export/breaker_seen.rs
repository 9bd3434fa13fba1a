//! [`BreakerSeen`]: whether a breaker is open, for the gauge of an exporter.
//!
//! All regions with one name and one backend share the gauge.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// How many configurations of regions see an open breaker, by the names of the region and of its backend.
static OPEN: Mutex<BTreeMap<(String, String), usize>> = Mutex::new(BTreeMap::new());

/// What a configuration of a region sees of the breaker of its backend.
///
/// A region may be dropped or get another backend while a breaker is open, after which nothing learns that it closes. So the
/// end of a configuration counts as closing.
pub(super) struct BreakerSeen {
    of: (String, String),
    is_open: Mutex<bool>,
}

impl BreakerSeen {
    pub(super) fn new(region: &str, backend: &str) -> Self {
        BreakerSeen { of: (region.to_owned(), backend.to_owned()), is_open: Mutex::new(false) }
    }

    /// Notes whether the breaker is open. Returns whether any region of this name sees that it is.
    pub(super) fn note(&self, is_open: bool) -> bool {
        let (mut open, mut seen) = (OPEN.lock(), self.is_open.lock());
        match (*seen, is_open) {
            (false, true) => *open.entry(self.of.clone()).or_default() += 1,
            (true, false) => {
                if let Some(count) = open.get_mut(&self.of) {
                    *count -= 1;
                }
                open.retain(|_, count| *count > 0);
            }
            _ => {}
        }
        *seen = is_open;
        open.contains_key(&self.of)
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn breaker_is_open_while_one_region_sees_it() {
        let [old, new] = ["seen", "seen"].map(|region| BreakerSeen::new(region, "store"));
        let other = BreakerSeen::new("seen", "other store");
        assert!(!old.note(false) && old.note(true) && old.note(true));
        assert!(new.note(false) && new.note(true), "the region is configured again");
        assert!(old.note(false) && !other.note(false));
        assert!(!new.note(false) && !old.note(false));
    }
}
