//! [`BreakerSeen`]: whether a breaker is open, for the gauge of an exporter.
//!
//! All regions with one name and one backend share the gauge.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// An exporter, a region, and the region's backend, by their names.
type Shown = (&'static str, String, String);

/// How many configurations of regions see an open breaker.
static OPEN: Mutex<BTreeMap<Shown, usize>> = Mutex::new(BTreeMap::new());

/// What a configuration of a region sees of the breaker of its backend.
///
/// A region may be dropped or get another backend while a breaker is open, after which nothing learns that it closes. So the
/// end of a configuration counts as closing.
pub(super) struct BreakerSeen {
    of: Shown,
    is_open: Mutex<bool>,
}

impl BreakerSeen {
    pub(super) fn new(exporter: &'static str, region: &str, backend: &str) -> Self {
        BreakerSeen { of: (exporter, region.to_owned(), backend.to_owned()), is_open: Mutex::new(false) }
    }

    /// Notes whether the breaker is open, and sets the gauge to whether any region of this name sees that it is.
    pub(super) fn show(&self, is_open: bool, set_gauge: impl Fn(bool)) {
        let mut shown = self.note(is_open);
        loop {
            set_gauge(shown);
            // The gauge is set without a lock, so that another thread may have noted a change and set the gauge before.
            let current = OPEN.lock().contains_key(&self.of);
            if current == shown {
                return;
            }
            shown = current;
        }
    }

    /// Notes whether the breaker is open. Returns whether any region of this name sees that it is.
    fn note(&self, is_open: bool) -> bool {
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
        let [old, new] = ["seen", "seen"].map(|region| BreakerSeen::new("metrics", region, "store"));
        let other = BreakerSeen::new("metrics", "seen", "other store");
        assert!(!old.note(false) && old.note(true) && old.note(true));
        assert!(new.note(false) && new.note(true), "the region is configured again");
        assert!(old.note(false) && !other.note(false));
        assert!(!new.note(false) && !old.note(false));
    }
    #[test]
    fn exporters_of_one_region_have_gauges_of_their_own() {
        let [one, other] = ["metrics", "traces"].map(|exporter| BreakerSeen::new(exporter, "both", "store"));
        assert!(one.note(true) && other.note(true));
        assert!(!one.note(false) && !other.note(false));
    }

    #[test]
    fn gauge_follows_a_change_that_was_noted_while_it_was_set() {
        let [old, new] = ["overtaken"; 2].map(|region| BreakerSeen::new("metrics", region, "store"));
        let set = Mutex::new(Vec::new());
        old.show(false, |is_open| {
            if set.lock().is_empty() {
                // Another thread notes that the breaker is open, and sets the gauge before this one does.
                new.show(true, |is_open| set.lock().push(is_open));
            }
            set.lock().push(is_open);
        });
        assert_eq!(*set.lock(), [true, false, true]);
        new.show(false, |_| {});
    }
}
