//! [`RecentValues`]: values that were created while their backend could not store them.
//!
//! Without them, every call would create during an outage, one after the other. Nor would a value be of use that was
//! created just before the outage began or ended: its key would be created again at once. So values are kept for a second,
//! whether or not they were stored. They are served where the backend cannot be read. One that could not be stored is also
//! served where the backend works, unless the backend has a newer value: the outage may end within that second. Only for a
//! moment, because no other process can replace or delete these values.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use dogpile_sdk::CachedValue;

/// How long a value is kept.
const LIFETIME: Duration = Duration::from_secs(1);

/// The most values that are kept.
const VALUES: usize = 1_000;

/// The most bytes that all values have together.
const BYTES: usize = 16 << 20;

/// The number of slots in which writes are noted, by the hash of their keys.
const SLOTS: usize = 256;

/// Values by the keys under which their store would have them, each for a second.
#[derive(Debug)]
pub(super) struct RecentValues {
    by_key: HashMap<String, Kept>,
    /// How many of them could not be stored.
    unstored: usize,
    /// The oldest first. Some were replaced or forgotten since.
    order: VecDeque<(u64, String)>,
    bytes: usize,
    next: u64,
    /// What was forgotten, to be dropped without a lock.
    dropped: Vec<CachedValue>,
    /// How often keys of each slot were written.
    writes: Box<[u64; SLOTS]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    value: CachedValue,
    is_stored: bool,
    until: Instant,
}

impl Default for RecentValues {
    fn default() -> Self {
        RecentValues {
            by_key: HashMap::new(),
            unstored: 0,
            order: VecDeque::new(),
            bytes: 0,
            next: 0,
            dropped: Vec::new(),
            writes: Box::new([0; SLOTS]),
            hasher: RandomState::new(),
        }
    }
}

impl RecentValues {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns whether a value is kept that could not be stored.
    pub(super) fn has_unstored(&self) -> bool {
        self.unstored > 0
    }

    /// Returns a mark that changes when `key` is written.
    pub(super) fn mark(&self, key: &str) -> u64 {
        self.writes[self.slot(key)]
    }

    #[allow(clippy::cast_possible_truncation, reason = "only the lowest bits count")]
    fn slot(&self, key: &str) -> usize {
        self.hasher.hash_one(key) as usize % SLOTS
    }

    /// Keeps a created value, unless `key` was written since it had this `mark`.
    pub(super) fn keep(&mut self, key: &str, value: CachedValue, mark: u64, is_stored: bool, now: Instant) {
        self.prune(now);
        let size = key.len() + value.payload.size();
        if self.mark(key) != mark || size > BYTES {
            self.dropped.push(value);
            return;
        }
        self.take(key);
        while self.by_key.len() >= VALUES || self.bytes + size > BYTES {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            self.take_numbered(&oldest, number);
        }
        if self.order.len() >= 2 * VALUES {
            let by_key = &self.by_key;
            self.order.retain(|(number, key)| by_key.get(key).is_some_and(|kept| kept.number == *number));
        }
        let number = self.next;
        self.next += 1;
        self.bytes += size;
        self.order.push_back((number, key.to_owned()));
        self.unstored += usize::from(!is_stored);
        self.by_key.insert(key.to_owned(), Kept { number, value, is_stored, until: now + LIFETIME });
    }

    /// Returns the value of `key`, for a call whose backend cannot be read.
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<CachedValue> {
        self.kept(key, now).map(|kept| kept.value.clone())
    }

    /// Returns the value of `key` if it could not be stored and is newer than the one that the backend has.
    pub(super) fn newer(&self, key: &str, found: Option<&CachedValue>, now: Instant) -> Option<CachedValue> {
        let Kept { value, .. } = self.kept(key, now).filter(|kept| !kept.is_stored)?;
        let is_newer = found.is_none_or(|found| value.metadata.creation_time > found.metadata.creation_time);
        is_newer.then(|| value.clone())
    }

    fn kept(&self, key: &str, now: Instant) -> Option<&Kept> {
        self.by_key.get(key).filter(|kept| now < kept.until)
    }

    /// Notes that `key` is written: what was created before is superseded.
    pub(super) fn written(&mut self, key: &str) {
        let slot = self.slot(key);
        self.writes[slot] += 1;
        self.take(key);
    }

    /// Returns what was forgotten, to be dropped without a lock.
    pub(super) fn take_dropped(&mut self) -> Vec<CachedValue> {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets the values that are too old.
    pub(super) fn prune(&mut self, now: Instant) {
        while let Some((number, key)) = self.order.front() {
            let is_kept = |kept: &&Kept| kept.number == *number && now < kept.until;
            if self.by_key.get(key).filter(is_kept).is_some() {
                break;
            }
            let Some((number, key)) = self.order.pop_front() else { break };
            self.take_numbered(&key, number);
        }
    }

    fn take_numbered(&mut self, key: &str, number: u64) {
        if self.by_key.get(key).is_some_and(|kept| kept.number == number) {
            self.take(key);
        }
    }

    fn take(&mut self, key: &str) {
        if let Some(kept) = self.by_key.remove(key) {
            self.bytes -= key.len() + kept.value.payload.size();
            self.unstored -= usize::from(!kept.is_stored);
            self.dropped.push(kept.value);
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use dogpile_sdk::{CreationTime, Metadata, Payload};

    use super::*;

    fn value(bytes: usize) -> CachedValue {
        created_at(1.0, bytes)
    }

    fn created_at(seconds: f64, bytes: usize) -> CachedValue {
        let metadata = Metadata::new(CreationTime::from_seconds(seconds));
        CachedValue { payload: Payload::Bytes(vec![0; bytes].into()), metadata }
    }

    fn keep(values: &mut RecentValues, key: &str, bytes: usize, now: Instant) {
        let mark = values.mark(key);
        values.keep(key, value(bytes), mark, false, now);
    }

    #[test]
    fn value_is_kept_for_its_lifetime_and_no_longer() {
        let (mut values, now) = (RecentValues::default(), Instant::now());
        keep(&mut values, "key", 5, now);
        let almost = now + LIFETIME - Duration::from_millis(1);
        assert!(values.get("key", almost).is_some());
        assert!(values.get("key", now + LIFETIME).is_none());
        values.prune(almost);
        assert!(!values.is_empty());
        values.prune(now + LIFETIME);
        assert!(values.is_empty() && values.order.is_empty() && !values.has_unstored());
        assert_eq!(values.bytes, 0);
    }

    #[test]
    fn write_forgets_and_keeps_out_what_was_being_stored() {
        let (mut values, now) = (RecentValues::default(), Instant::now());
        let mark = values.mark("key");
        keep(&mut values, "key", 5, now);
        values.written("key");
        assert!(values.get("key", now).is_none());
        values.keep("key", value(5), mark, false, now);
        assert!(values.get("key", now).is_none(), "it was superseded while it was being stored");
    }

    #[test]
    fn values_and_bytes_are_bounded() {
        let (mut values, now) = (RecentValues::default(), Instant::now());
        for number in 0..2 * VALUES {
            keep(&mut values, &number.to_string(), 1, now);
            keep(&mut values, "again", 1, now);
        }
        assert_eq!(values.by_key.len(), VALUES);
        assert!(values.order.len() <= 2 * VALUES + 2, "{}", values.order.len());
        assert!(values.get("0", now).is_none() && values.get("again", now).is_some());
        keep(&mut values, "large", BYTES - 100, now);
        assert!(values.get("large", now).is_some() && values.bytes <= BYTES);
        keep(&mut values, "too large", BYTES + 1, now);
        assert!(values.get("too large", now).is_none());
        values.prune(now + LIFETIME);
        assert!(values.is_empty() && values.bytes == 0 && !values.has_unstored());
    }

    /// The backend works again: another process may have stored a newer value, and an older one may have survived.
    #[test]
    fn unstored_value_is_preferred_to_none_and_to_an_older_one() {
        let (mut values, now) = (RecentValues::default(), Instant::now());
        let keep = |values: &mut RecentValues, is_stored| {
            let mark = values.mark("key");
            values.keep("key", created_at(5.0, 1), mark, is_stored, now);
        };
        keep(&mut values, false);
        assert!(values.has_unstored());
        for (found, expected) in [(None, true), (Some(4.0), true), (Some(5.0), false), (Some(6.0), false)] {
            let found_value = found.map(|seconds| created_at(seconds, 1));
            assert_eq!(values.newer("key", found_value.as_ref(), now).is_some(), expected, "{found:?}");
        }
        assert!(values.newer("key", None, now + LIFETIME).is_none(), "a second later");
        // The backend had this one. If it has none now, it was deleted.
        keep(&mut values, true);
        assert!(!values.has_unstored());
        assert!(values.newer("key", None, now).is_none());
        assert!(values.get("key", now).is_some(), "where the backend cannot be read");
    }
}
