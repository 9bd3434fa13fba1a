//! [`Subject`]: a cache to be measured.

use std::error::Error;
use std::sync::Arc;

/// A cached value. Every cache returns a clone of the `Arc`.
pub type Value = Arc<u64>;

/// The reason why a bench cannot run.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A cache: ours, or a rival.
pub trait Cache: Send + Sync + 'static {
    /// Returns the value of `key`, creating it if needed.
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value;
}

/// A cache and its name.
pub struct Subject {
    /// The name in the tables.
    pub name: &'static str,
    pub(crate) cache: Box<dyn Drive>,
}

impl Subject {
    /// Creates a measured cache.
    pub fn new(name: &'static str, cache: impl Cache) -> Self {
        Subject { name, cache: Box::new(cache) }
    }

    /// Returns the value of `key`, creating it if needed.
    pub fn get_or_create(&self, key: &str, mut creator: impl FnMut() -> Value) -> Value {
        self.cache.ask(key, &mut creator)
    }

    /// Creates the values of all `keys`.
    pub fn fill(&self, keys: &[String]) {
        for (number, key) in (0..).zip(keys) {
            self.get_or_create(key, || Arc::new(number));
        }
    }

    /// Requests the keys with the indices in `order`, all of which are cached.
    pub fn hit(&self, keys: &[String], order: &[u32]) {
        self.cache.hit(keys, order);
    }
}

/// A [`Cache`] of any type. One call of it calls the cache many times, so that the indirection costs nothing.
pub(crate) trait Drive: Send + Sync {
    fn ask(&self, key: &str, creator: &mut dyn FnMut() -> Value) -> Value;
    fn hit(&self, keys: &[String], order: &[u32]);
}

impl<C: Cache> Drive for C {
    fn ask(&self, key: &str, creator: &mut dyn FnMut() -> Value) -> Value {
        self.get_or_create(key, creator)
    }

    fn hit(&self, keys: &[String], order: &[u32]) {
        for &index in order {
            let key = &keys[index as usize];
            let value = self
                .get_or_create(key, || panic!("{key:?} is not cached, although every request must be a hit"));
            std::hint::black_box(value);
        }
    }
}
