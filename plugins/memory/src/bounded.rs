//! [`Bounded`]: the cache behind a memory backend with limits.
//!
//! It is cut into parts with a lock each, and room is made within a part: the more parts, the less readers get in
//! each other's way (with one part, two reading threads take thrice as long), and the sooner a part is full before
//! the whole is.

use dogpile_sdk::CachedValue;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::config::MemoryConfig;
use crate::key::{Asked, Key};

const MAX_PARTS: u64 = 64;

/// A part has room for at least this many entries, so that chance fills parts unevenly by a few percent only.
const MIN_PART_ENTRIES: u64 = 256;

/// A part has room for at least this many bytes: an entry must fit into a part.
const MIN_PART_BYTES: u64 = 4 << 20;

/// The guess of an entry's bytes where only bytes are limited; it sizes the history of what was dropped.
const TYPICAL_ENTRY_BYTES: u64 = 1024;

/// Far more than there is memory, and far enough from the end for sums of weights not to overflow.
const MAX_WEIGHT: u64 = 1 << 60;

/// Drops what is used least (by CLOCK-Pro), so that the weights never sum to more than the limit.
pub(crate) struct Bounded(Cache<Key, CachedValue, Weights, RandomState>);

/// What an entry weighs.
#[derive(Clone, Copy)]
struct Weights {
    /// The least that an entry weighs: its share of the entries, in the unit of the limit.
    least: u64,
    /// Whether its bytes count.
    bytes: bool,
}

impl Bounded {
    /// A cache with the limits of `config`; `None` if it names none.
    pub(crate) fn new(config: &MemoryConfig) -> Option<Self> {
        let plan = Plan::new(config)?;
        let mut options = OptionsBuilder::new();
        options.shards(plan.parts).estimated_items_capacity(plan.entries).weight_capacity(plan.weight);
        if plan.entries == 1 {
            // By default an entry may take 97 % of a part, and a sole one weighs as much as all of it.
            options.hot_allocation(1.0);
        }
        let options = options.build().ok()?;
        let weights = Weights { least: plan.least, bytes: plan.bytes };
        Some(Bounded(Cache::with_options(
            options,
            weights,
            RandomState::default(),
            DefaultLifecycle::default(),
        )))
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<CachedValue> {
        self.0.get(&Asked(key))
    }

    pub(crate) fn insert(&self, key: &str, value: CachedValue) {
        self.0.insert(key.into(), value);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.0.remove(&Asked(key));
    }
}

impl Weighter<Key, CachedValue> for Weights {
    fn weight(&self, key: &Key, value: &CachedValue) -> u64 {
        if self.bytes { self.least.max(entry_bytes(key, value)) } else { self.least }
    }
}

fn entry_bytes(key: &Key, value: &CachedValue) -> u64 {
    (key.as_bytes().len() as u64).saturating_add(value.payload.size() as u64)
}

/// What the cache is made with.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    parts: usize,
    entries: usize,
    weight: u64,
    least: u64,
    bytes: bool,
}

impl Plan {
    /// The plan for the limits of `config`; `None` if there is none.
    fn new(config: &MemoryConfig) -> Option<Self> {
        let max_entries = config.max_entries.map(|entries| entries.min(MAX_WEIGHT));
        let max_bytes = config.max_bytes.map(|bytes| bytes.min(MAX_WEIGHT));
        let (entries, weight, least) = match (max_entries, max_bytes) {
            (None, None) => return None,
            (Some(entries), None) => (entries, entries, 1),
            (None, Some(bytes)) => (bytes.div_ceil(TYPICAL_ENTRY_BYTES), bytes, 1),
            // Rounded up: too many entries would break a promise, one too few breaks none.
            (Some(entries), Some(bytes)) => (entries, bytes, bytes.div_ceil(entries)),
        };
        let fitting =
            (entries / MIN_PART_ENTRIES).min(max_bytes.map_or(u64::MAX, |bytes| bytes / MIN_PART_BYTES));
        let parts = 1 << fitting.clamp(1, MAX_PARTS).ilog2();
        // quick_cache rounds each part's limit up; with a multiple of the parts there is nothing to round.
        let weight = weight / parts * parts;
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        Some(Plan { parts: parts as usize, entries, weight, least, bytes: max_bytes.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use dogpile_sdk::{Bytes, CreationTime, Metadata, Payload};

    use super::*;

    fn value(size: usize) -> CachedValue {
        let metadata = Metadata::new(CreationTime::from_seconds(1.0));
        CachedValue { payload: Payload::Bytes(Bytes::from(vec![7; size])), metadata }
    }

    fn bounded(max_entries: impl Into<Option<u64>>, max_bytes: impl Into<Option<u64>>) -> Bounded {
        Bounded::new(&MemoryConfig { max_entries: max_entries.into(), max_bytes: max_bytes.into() }).unwrap()
    }

    impl Bounded {
        fn held(&self) -> (u64, u64) {
            let bytes = self.0.iter().map(|(key, value)| entry_bytes(&key, &value)).sum();
            (self.0.len() as u64, bytes)
        }
    }

    /// Sizes from 0 to 4 KiB in an order without a pattern.
    fn size(number: u64) -> usize {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
    }

    #[test]
    fn the_limits_hold_after_each_insert() {
        let limits: [(Option<u64>, Option<u64>); 7] = [
            (Some(1), None),
            (Some(7), None),
            (Some(1001), None),
            (None, Some(1)),
            (None, Some(50_000)),
            (Some(1), Some(10_000)),
            (Some(30), Some(50_000)),
        ];
        for (max_entries, max_bytes) in limits {
            let cache = bounded(max_entries, max_bytes);
            for number in 0..3000 {
                cache.insert(&format!("key {}", number % 1500), value(size(number)));
                if number % 7 == 0 {
                    cache.get(&format!("key {}", number / 2));
                }
                let (entries, bytes) = cache.held();
                assert!(max_entries.is_none_or(|limit| entries <= limit), "{entries} of {max_entries:?}");
                assert!(max_bytes.is_none_or(|limit| bytes <= limit), "{bytes} bytes of {max_bytes:?}");
            }
        }
    }

    #[test]
    fn the_parts_together_hold_no_more_than_the_limit() {
        let [ragged, huge] = [1 << 20 | 77, u64::MAX];
        let limits =
            [(Some(1001), None), (Some(ragged), None), (None, Some(ragged << 10)), (Some(huge), Some(huge))];
        for (max_entries, max_bytes) in limits {
            let cache = bounded(max_entries, max_bytes);
            let limit = max_bytes.or(max_entries).unwrap();
            assert!(cache.0.capacity() <= limit, "{} of {limit}", cache.0.capacity());
            assert!(cache.0.capacity() >= limit.min(MAX_WEIGHT) - MAX_PARTS);
        }
    }

    #[test]
    fn small_caches_are_one_part_and_large_ones_many() {
        let parts = |entries: Option<u64>, bytes: Option<u64>| bounded(entries, bytes).0.num_shards();
        assert_eq!(parts(Some(511), None), 1);
        assert_eq!(parts(Some(512), None), 2);
        assert_eq!(parts(None, Some(7 << 20)), 1);
        assert_eq!(parts(None, Some(64 << 20)), 16);
        assert_eq!(parts(Some(600), Some(1 << 40)), 2);
        assert_eq!(parts(Some(1 << 40), Some(1 << 40)), 64);
    }

    #[test]
    fn a_sole_entry_is_kept() {
        for cache in [bounded(1, None), bounded(1, 10_000)] {
            cache.insert("a", value(3));
            cache.insert("b", value(4));
            assert_eq!(cache.get("a"), None);
            assert_eq!(cache.get("b"), Some(value(4)));
        }
    }

    #[test]
    fn a_value_too_large_is_not_kept_nor_is_the_one_it_replaces() {
        let cache = bounded(None, 1000);
        cache.insert("a", value(900));
        assert_eq!(cache.get("a"), Some(value(900)));
        cache.insert("a", value(1000));
        assert_eq!(cache.get("a"), None);
        cache.insert("b", value(10));
        assert_eq!(cache.get("b"), Some(value(10)));
    }

    #[test]
    fn the_largest_entry_that_the_docs_promise_is_kept() {
        let cache = bounded(None, 64 << 20);
        cache.insert("a", value(crate::MemoryBackend::LARGEST_ENTRY as usize - 1));
        assert!(cache.get("a").is_some());
        let cache = bounded(None, 1000);
        cache.insert("a", value(969));
        assert!(cache.get("a").is_some());
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let cache = bounded(100, None);
        cache.insert("used", value(1));
        for number in 0..10_000 {
            assert!(cache.get("used").is_some(), "dropped after {number} inserts");
            cache.insert(&format!("key {number}"), value(1));
        }
    }

    #[test]
    fn the_limits_hold_while_threads_write() {
        let cache = bounded(100, 20_000);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|thread| {
                    let cache = &cache;
                    scope.spawn(move || {
                        for number in 0..5000 {
                            cache.insert(
                                &format!("key {}", (number * (thread + 1)) % 700),
                                value(size(number)),
                            );
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    assert!(cache.0.len() <= 100 && cache.0.weight() <= 20_000);
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Release);
        });
    }
}
