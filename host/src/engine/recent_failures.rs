//! [`RecentFailures`]: the keys whose creators failed a moment ago.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::sync::Mutex;

/// How many keys are remembered at most. Beyond it, a failing creator is called again by each caller.
const CAPACITY: usize = 4096;

/// The keys whose creators failed a moment ago, each until its creator is called again.
#[derive(Debug, Default)]
pub(super) struct RecentFailures(Mutex<HashMap<Arc<str>, Instant>>);

impl RecentFailures {
    /// Notes that the creator of `store_key` failed at `now`, and is not to be called until `until`.
    pub(super) fn note(&self, store_key: &str, now: Instant, until: Instant) {
        if until <= now {
            return;
        }
        let mut keys = self.0.lock();
        if keys.len() >= CAPACITY {
            keys.retain(|_, until| *until > now);
        }
        if keys.len() < CAPACITY || keys.contains_key(store_key) {
            keys.insert(store_key.into(), until);
        }
    }

    /// Returns whether the creator of `store_key` failed a moment ago.
    pub(super) fn contains(&self, store_key: &str, now: Instant) -> bool {
        let mut keys = self.0.lock();
        match keys.get(store_key) {
            Some(until) if *until > now => true,
            Some(_) => {
                keys.remove(store_key);
                false
            }
            None => false,
        }
    }

    /// Forgets the failure of `store_key`: its creator succeeded.
    pub(super) fn forget(&self, store_key: &str) {
        self.0.lock().remove(store_key);
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn failure_is_remembered_until_its_end() {
        let (failures, now) = (RecentFailures::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        failures.note("a", now, later);
        failures.note("b", now, later);
        failures.note("none", now, now);
        assert!(failures.contains("a", now) && !failures.contains("none", now));
        failures.forget("b");
        assert!(!failures.contains("b", now));
        assert!(!failures.contains("a", later));
        assert!(failures.0.lock().is_empty(), "an old failure is forgotten");
    }

    #[test]
    fn number_of_remembered_keys_is_bounded() {
        let (failures, now) = (RecentFailures::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        for key in 0..2 * CAPACITY {
            failures.note(&key.to_string(), now, later);
        }
        assert_eq!(failures.0.lock().len(), CAPACITY);
        assert!(failures.contains("0", now) && !failures.contains(&CAPACITY.to_string(), now));
        failures.note("new", later, later + Duration::from_secs(1));
        assert_eq!(failures.0.lock().len(), 1, "what is over makes room");
    }
}
