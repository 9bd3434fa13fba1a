//! [`Unbounded`]: the map behind a memory backend without limits, made for reads.

use dogpile_sdk::CachedValue;
use foldhash::fast::RandomState;
use papaya::{Guard, HashMap};
use seize::Collector;

use crate::key::{Asked, Key};

/// How many replaced values a thread gathers before it frees them together. Each time costs a barrier across all
/// threads, some microseconds; with papaya's own 32, a hundred threads could hold back thousands of old values.
const BATCH: usize = 8;

/// A lock-free map; its hasher's seed is random, so that keys from outside cannot be made to collide.
///
/// Readers never wait and write to nothing that they share, except the value's own reference count. In return a
/// value that was replaced is freed a little later.
pub(crate) struct Unbounded(HashMap<Key, CachedValue, RandomState>);

impl Unbounded {
    pub(crate) fn new() -> Self {
        let collector = Collector::new().batch_size(BATCH);
        Unbounded(HashMap::builder().hasher(RandomState::default()).collector(collector).build())
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<CachedValue> {
        self.0.pin().get(&Asked(key)).cloned()
    }

    pub(crate) fn get_multi(&self, keys: &[&str]) -> Vec<Option<CachedValue>> {
        let map = self.0.pin();
        keys.iter().map(|key| map.get(&Asked(key)).cloned()).collect()
    }

    pub(crate) fn insert(&self, key: &str, value: CachedValue) {
        self.0.pin().insert(key.into(), value);
    }

    pub(crate) fn remove(&self, keys: &[&str]) {
        let guard = self.0.guard();
        let removed = keys.iter().filter(|key| self.0.remove(&Asked(key), &guard).is_some()).count();
        if removed > 0 {
            // Who deletes wants the memory back, and rarely.
            guard.flush();
        }
    }
}
