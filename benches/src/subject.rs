//! [`Subject`]: a cache that is measured.

use std::error::Error;
use std::sync::Arc;

/// What is cached. Every cache answers a clone of the `Arc`.
pub type Value = Arc<u64>;

/// Why a bench cannot be run.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A cache, one of ours or a rival's.
pub trait Cache: Send + Sync + 'static {
    /// The value of `key`, made by `creator` if there is none.
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value;
}

/// A cache and its name.
pub struct Subject {
    /// What the tables call it.
    pub name: &'static str,
    cache: Box<dyn Drive>,
}

impl Subject {
    /// The cache called `name`.
    pub fn new(name: &'static str, cache: impl Cache) -> Self {
        Subject { name, cache: Box::new(cache) }
    }

    /// The value of `key`, made by `creator` if there is none.
    pub fn get_or_create(&self, key: &str, mut creator: impl FnMut() -> Value) -> Value {
        self.cache.ask(key, &mut creator)
    }

    /// Creates the values of all `keys`.
    pub fn fill(&self, keys: &[String]) {
        for (number, key) in (0..).zip(keys) {
            self.get_or_create(key, || Arc::new(number));
        }
    }

    /// Asks for those of `keys` that `order` says, all of which are cached.
    pub fn hit(&self, keys: &[String], order: &[u32]) {
        self.cache.hit(keys, order);
    }
}

/// A [`Cache`] of any type. One call of it is many of the cache, so that the indirection costs nothing.
trait Drive: Send + Sync {
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
            let value = self.get_or_create(key, || panic!("{key:?} is to be a hit, and is not cached"));
            std::hint::black_box(value);
        }
    }
}
