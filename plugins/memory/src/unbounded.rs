//! [`Unbounded`]: the map of a memory backend without limits, optimized for reads.

use dogpile_sdk::CachedValue;
use foldhash::fast::RandomState;
use papaya::{Guard, HashMap, ResizeMode};
use seize::Collector;

use crate::key::{Asked, Key};
use crate::thread_end::{elsewhere, is_ending};

/// How many replaced values a thread gathers before it frees them together.
///
/// Each time costs a barrier across all threads, which takes some microseconds. With papaya's default of 32, a hundred
/// threads could hold back thousands of old values.
const BATCH: usize = 8;

/// How many entries each write moves while the map grows.
///
/// A map that receives no more writes while it grows stays in two parts, and a hit then often searches both. With
/// papaya's default of 64, many maps of a thousand keys stayed so, and their hits took a fifth more instructions.
const MOVED_TOGETHER: usize = 1024;

/// A lock-free map. The seed of its hasher is random, so that attackers cannot choose keys that collide.
///
/// Readers never wait. They write to nothing that they share, except to the reference counts of values. In return, a
/// replaced value is freed a little later.
pub(crate) struct Unbounded(HashMap<Key, CachedValue, RandomState>);

impl Unbounded {
    pub(crate) fn new() -> Self {
        let collector = Collector::new().batch_size(BATCH);
        let map = HashMap::builder().hasher(RandomState::default()).collector(collector);
        Unbounded(map.resize_mode(ResizeMode::Incremental(MOVED_TOGETHER)).build())
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<CachedValue> {
        if self.is_thread_ending() {
            return elsewhere(|| self.get(key)).flatten();
        }
        self.0.pin().get(&Asked(key)).cloned()
    }

    /// Calls `visit` with the value of `key`, and returns whether there was one.
    ///
    /// A guard keeps the value alive meanwhile. It is not a lock: others may replace or delete the value.
    #[inline]
    pub(crate) fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> bool {
        if self.is_thread_ending() {
            return elsewhere(|| self.get(key)).flatten().as_ref().map(visit).is_some();
        }
        self.0.pin().get(&Asked(key)).map(visit).is_some()
    }

    pub(crate) fn get_multi(&self, keys: &[&str]) -> Vec<Option<CachedValue>> {
        if self.is_thread_ending() {
            return elsewhere(|| self.get_multi(keys)).unwrap_or_else(|| vec![None; keys.len()]);
        }
        let map = self.0.pin();
        keys.iter().map(|key| map.get(&Asked(key)).cloned()).collect()
    }

    pub(crate) fn insert(&self, key: &str, value: CachedValue) {
        if self.is_thread_ending() {
            elsewhere(|| self.insert(key, value));
            return;
        }
        self.0.pin().insert(key.into(), value);
    }

    pub(crate) fn remove(&self, keys: &[&str]) {
        if self.is_thread_ending() {
            elsewhere(|| self.remove(keys));
            return;
        }
        let guard = self.0.guard();
        let removed = keys.iter().filter(|key| self.0.remove(&Asked(key), &guard).is_some()).count();
        if removed > 0 {
            // Callers delete rarely, and to get the memory back.
            guard.flush();
        }
    }

    #[inline]
    fn is_thread_ending(&self) -> bool {
        is_ending(|| drop(self.0.guard()))
    }
}
