//! [`Bounded`]: the cache behind a memory backend with limits.
//!
//! The cache is split into shards. Each shard has its own lock and evicts its own entries. More shards mean less
//! contention between readers: with a single shard, two reading threads take three times as long. They also mean that
//! a shard may be full, and evict, before the whole cache is full.

use dogpile_sdk::CachedValue;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::config::MemoryConfig;
use crate::key::{Asked, Key};

/// The maximum number of shards.
const MAX_SHARDS: u64 = 64;

/// The minimum capacity of a shard in entries.
///
/// It keeps shards from filling unevenly by more than a few percent.
const MIN_SHARD_ENTRIES: u64 = 256;

/// The minimum capacity of a shard in bytes. An entry must fit into one shard.
const MIN_SHARD_BYTES: u64 = 4 << 20;

/// The assumed size of an entry if only bytes are limited. It determines how many evicted keys are remembered.
const TYPICAL_ENTRY_BYTES: u64 = 1024;

/// The largest limit: more than any memory, but sums of weights do not overflow.
const MAX_WEIGHT: u64 = 1 << 60;

/// A cache that evicts by CLOCK-Pro, so that its weight never exceeds the limit.
pub(crate) struct Bounded(Cache<Key, CachedValue, Weights, RandomState>);

/// The rule for the weights of entries.
#[derive(Clone, Copy)]
struct Weights {
    /// The minimum weight of an entry, in the unit of the limit. It enforces the limit on entries.
    least: u64,
    /// Whether the size of an entry counts.
    bytes: bool,
}

impl Bounded {
    /// Creates a cache with the limits of `config`, or returns `None` without limits.
    pub(crate) fn new(config: &MemoryConfig) -> Option<Self> {
        let plan = Plan::new(config)?;
        let mut options = OptionsBuilder::new();
        options.shards(plan.shards).estimated_items_capacity(plan.entries).weight_capacity(plan.weight);
        if plan.entries == 1 {
            // By default, an entry may take only 97 % of a shard, but a single entry weighs as much as all of it.
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

/// The parameters of a cache.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    shards: usize,
    entries: usize,
    weight: u64,
    least: u64,
    bytes: bool,
}

impl Plan {
    /// Derives the parameters from the limits of `config`, or returns `None` without limits.
    fn new(config: &MemoryConfig) -> Option<Self> {
        let max_entries = config.max_entries.map(|entries| entries.min(MAX_WEIGHT));
        let max_bytes = config.max_bytes.map(|bytes| bytes.min(MAX_WEIGHT));
        let (entries, weight, least) = match (max_entries, max_bytes) {
            (None, None) => return None,
            (Some(entries), None) => (entries, entries, 1),
            (None, Some(bytes)) => (bytes.div_ceil(TYPICAL_ENTRY_BYTES), bytes, 1),
            // Round up: the cache may hold slightly fewer entries than the limit, but never more.
            (Some(entries), Some(bytes)) => (entries, bytes, bytes.div_ceil(entries)),
        };
        let fitting =
            (entries / MIN_SHARD_ENTRIES).min(max_bytes.map_or(u64::MAX, |bytes| bytes / MIN_SHARD_BYTES));
        let shards = 1 << fitting.clamp(1, MAX_SHARDS).ilog2();
        // quick_cache rounds each shard's limit up. A multiple of the number of shards leaves nothing to round.
        let weight = weight / shards * shards;
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        Some(Plan { shards: shards as usize, entries, weight, least, bytes: max_bytes.is_some() })
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

    /// Returns a pseudorandom size from 0 to 4 KiB.
    fn size(number: u64) -> usize {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
    }

    #[test]
    fn limits_hold_after_each_insert() {
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
    fn total_capacity_of_shards_is_within_the_limit() {
        let [ragged, huge] = [1 << 20 | 77, u64::MAX];
        let limits =
            [(Some(1001), None), (Some(ragged), None), (None, Some(ragged << 10)), (Some(huge), Some(huge))];
        for (max_entries, max_bytes) in limits {
            let cache = bounded(max_entries, max_bytes);
            let limit = max_bytes.or(max_entries).unwrap();
            assert!(cache.0.capacity() <= limit, "{} of {limit}", cache.0.capacity());
            assert!(cache.0.capacity() >= limit.min(MAX_WEIGHT) - MAX_SHARDS);
        }
    }

    #[test]
    fn number_of_shards_grows_with_the_limits() {
        let shards = |entries: Option<u64>, bytes: Option<u64>| bounded(entries, bytes).0.num_shards();
        assert_eq!(shards(Some(511), None), 1);
        assert_eq!(shards(Some(512), None), 2);
        assert_eq!(shards(None, Some(7 << 20)), 1);
        assert_eq!(shards(None, Some(64 << 20)), 16);
        assert_eq!(shards(Some(600), Some(1 << 40)), 2);
        assert_eq!(shards(Some(1 << 40), Some(1 << 40)), 64);
    }

    #[test]
    fn cache_of_one_entry_keeps_the_last_one() {
        for cache in [bounded(1, None), bounded(1, 10_000)] {
            cache.insert("a", value(3));
            cache.insert("b", value(4));
            assert_eq!(cache.get("a"), None);
            assert_eq!(cache.get("b"), Some(value(4)));
        }
    }

    #[test]
    fn oversized_value_removes_the_one_it_replaces() {
        let cache = bounded(None, 1000);
        cache.insert("a", value(900));
        assert_eq!(cache.get("a"), Some(value(900)));
        cache.insert("a", value(1000));
        assert_eq!(cache.get("a"), None);
        cache.insert("b", value(10));
        assert_eq!(cache.get("b"), Some(value(10)));
    }

    #[test]
    fn largest_documented_entry_is_kept() {
        let cache = bounded(None, 64 << 20);
        cache.insert("a", value(crate::MemoryBackend::LARGEST_ENTRY as usize - 1));
        assert!(cache.get("a").is_some());
        let cache = bounded(None, 1000);
        cache.insert("a", value(969));
        assert!(cache.get("a").is_some());
    }

    #[test]
    fn used_entry_survives_many_inserts() {
        let cache = bounded(100, None);
        cache.insert("used", value(1));
        for number in 0..10_000 {
            assert!(cache.get("used").is_some(), "dropped after {number} inserts");
            cache.insert(&format!("key {number}"), value(1));
        }
    }

    #[test]
    fn limits_hold_while_threads_write() {
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
