//! [`PendingDeletions`]: deletions that a backend has still to be given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dogpile_sdk::CacheBackend;

/// The most keys that wait.
const KEYS: usize = 10_000;

/// The most bytes that all waiting keys have together.
const BYTES: usize = 8 << 20;

/// Deletions that could not be made, each key once, the oldest first.
#[derive(Debug)]
pub(super) struct PendingDeletions {
    /// By the key as the store knows it, so that regions behind different proxies see each other's.
    by_key: HashMap<String, Pending>,
    /// The keys in the order in which their deletions are tried.
    by_place: BTreeMap<u64, String>,
    bytes: usize,
    /// The next number or place.
    next: u64,
    limit: usize,
    /// Backends of removed deletions, to be dropped without a lock.
    dropped: Vec<Arc<dyn CacheBackend>>,
}

#[derive(Debug)]
struct Pending {
    /// Which deletion of the key it is.
    number: u64,
    /// Where it stands among the others. It is moved behind them when it fails.
    place: u64,
    backend: Arc<dyn CacheBackend>,
    /// The key as `backend` is given it.
    mangled: String,
}

/// Deletions that one backend can make in one call.
pub(super) struct Batch {
    pub(super) backend: Arc<dyn CacheBackend>,
    /// The keys as the backend is given them.
    pub(super) mangled: Vec<String>,
    pub(super) keys: Vec<(String, u64)>,
}

impl Default for PendingDeletions {
    fn default() -> Self {
        PendingDeletions::with_limit(KEYS)
    }
}

impl PendingDeletions {
    fn with_limit(limit: usize) -> Self {
        PendingDeletions {
            by_key: HashMap::new(),
            by_place: BTreeMap::new(),
            bytes: 0,
            next: 1,
            limit,
            dropped: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the number of the deletion of `key` that waits, if any does. A later deletion has a higher one.
    pub(super) fn number_of(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).map(|pending| pending.number)
    }

    /// Adds the deletion of `key`, which replaces an earlier one. Returns whether there was room for it.
    #[must_use]
    pub(super) fn add(&mut self, key: &str, mangled: &str, backend: &Arc<dyn CacheBackend>) -> bool {
        self.take(key);
        let size = 2 * key.len() + mangled.len();
        if self.len() >= self.limit || self.bytes + size > BYTES {
            return false;
        }
        let (number, backend, mangled) = (self.next, Arc::clone(backend), mangled.to_owned());
        self.next += 1;
        self.bytes += size;
        self.by_place.insert(number, key.to_owned());
        self.by_key.insert(key.to_owned(), Pending { number, place: number, backend, mangled });
        true
    }

    /// Removes the deletion of `key` with this number. A later one stays.
    pub(super) fn remove(&mut self, key: &str, number: u64) {
        if self.number_of(key) == Some(number) {
            self.take(key);
        }
    }

    /// Returns the backends of removed deletions, to be dropped without a lock.
    pub(super) fn take_dropped(&mut self) -> Vec<Arc<dyn CacheBackend>> {
        std::mem::take(&mut self.dropped)
    }

    fn take(&mut self, key: &str) {
        if let Some(taken) = self.by_key.remove(key) {
            self.bytes -= 2 * key.len() + taken.mangled.len();
            self.by_place.remove(&taken.place);
            self.dropped.push(taken.backend);
        }
    }

    /// Returns the oldest deletions: up to `most`, and all of one backend.
    pub(super) fn oldest(&self, most: usize) -> Option<Batch> {
        let pending = |key: &String| self.by_key.get(key);
        let backend = Arc::clone(&self.by_place.values().find_map(pending)?.backend);
        let (mut mangled, mut keys) = (Vec::new(), Vec::new());
        for key in self.by_place.values().take(most.max(1)) {
            let Some(pending) = pending(key).filter(|pending| Arc::ptr_eq(&pending.backend, &backend)) else {
                break;
            };
            mangled.push(pending.mangled.clone());
            keys.push((key.clone(), pending.number));
        }
        Some(Batch { backend, mangled, keys })
    }

    /// Moves deletions that failed behind all others: some of them may concern a server that is down for long.
    pub(super) fn postpone(&mut self, keys: &[(String, u64)]) {
        for (key, number) in keys {
            let Some(pending) = self.by_key.get_mut(key).filter(|pending| pending.number == *number) else {
                continue;
            };
            if let Some(key) = self.by_place.remove(&pending.place) {
                pending.place = self.next;
                self.by_place.insert(self.next, key);
                self.next += 1;
            }
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use dogpile_sdk::{BackendError, CachedValue, StoreOptions};

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl CacheBackend for Nothing {
        fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
            Ok(None)
        }

        fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
            Ok(())
        }

        fn delete(&self, _key: &str) -> Result<(), BackendError> {
            Ok(())
        }
    }

    fn backend() -> Arc<dyn CacheBackend> {
        Arc::new(Nothing)
    }

    fn keys(batch: Option<Batch>) -> Vec<String> {
        batch.map_or_else(Vec::new, |batch| batch.mangled)
    }

    #[test]
    fn key_waits_once_and_as_of_its_last_deletion() {
        let (mut pending, backend) = (PendingDeletions::with_limit(2), backend());
        assert!(pending.add("a", "m:a", &backend) && pending.add("b", "m:b", &backend));
        let first = pending.number_of("a").unwrap();
        assert!(pending.add("a", "m:a", &backend), "it takes its own place");
        assert!(pending.number_of("a").unwrap() > first);
        assert_eq!(keys(pending.oldest(9)), ["m:b", "m:a"]);
        assert!(!pending.add("c", "m:c", &backend), "there is no room");
        pending.remove("a", first);
        assert_eq!(pending.len(), 2, "the later deletion stays");
        for key in ["a", "b"] {
            pending.remove(key, pending.number_of(key).unwrap());
        }
        assert!(pending.is_empty() && pending.oldest(9).is_none());
        assert_eq!(pending.bytes, 0);
    }

    #[test]
    fn batch_is_of_one_backend_and_failed_ones_go_behind() {
        let (mut pending, one, other) = (PendingDeletions::with_limit(9), backend(), backend());
        for (key, backend) in [("a", &one), ("b", &one), ("c", &other), ("d", &one)] {
            assert!(pending.add(key, key, backend));
        }
        let batch = pending.oldest(9).unwrap();
        assert_eq!(batch.mangled, ["a", "b"]);
        assert_eq!(keys(pending.oldest(1)), ["a"]);
        assert!(pending.add("b", "b", &one), "deleted again meanwhile");
        pending.postpone(&batch.keys);
        assert_eq!(keys(pending.oldest(9)), ["c"]);
        pending.remove("c", pending.number_of("c").unwrap());
        assert_eq!(keys(pending.oldest(9)), ["d", "b", "a"]);
        let (key, number) = &batch.keys[0];
        pending.remove(key, *number);
        assert_eq!(keys(pending.oldest(9)), ["d", "b"], "a deletion that was moved is the same");
    }

    #[test]
    fn long_keys_are_bounded_by_their_bytes() {
        let (mut pending, backend) = (PendingDeletions::default(), backend());
        let long = "k".repeat(1 << 20);
        let added = (0..10).filter(|n| pending.add(&format!("{n}{long}"), &long, &backend)).count();
        assert_eq!(added, 2);
        assert!(pending.add("short", "short", &backend));
    }
}
