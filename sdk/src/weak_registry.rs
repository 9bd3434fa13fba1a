//! [`WeakRegistry`]: shared objects by key, each kept only as long as it is used elsewhere.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The number of entries from which on the unused ones are removed.
const FIRST_PRUNE: usize = 8;

/// Shared objects by key. An object lives as long as an [`Arc`] of it is held elsewhere.
///
/// Use it for what all users of one file, address, or name in a process must share, such as a lock:
///
/// ```
/// use std::path::PathBuf;
/// use std::sync::{Arc, Mutex};
///
/// use dogpile_sdk::WeakRegistry;
///
/// static LOCKS: WeakRegistry<PathBuf, Mutex<()>> = WeakRegistry::new();
///
/// let this = LOCKS.get_or_create("a.lock".into(), Mutex::default);
/// let that = LOCKS.get_or_create("a.lock".into(), Mutex::default);
/// assert!(Arc::ptr_eq(&this, &that));
/// drop((this, that));
/// assert!(LOCKS.is_empty());
/// ```
///
/// The entries of unused objects are removed when the registry grows, so that it has at most twice as many entries as
/// objects in use.
pub struct WeakRegistry<K, V> {
    entries: Mutex<Entries<K, V>>,
}

struct Entries<K, V> {
    by_key: BTreeMap<K, Weak<V>>,
    /// The number of entries at which the unused ones are removed.
    prune_at: usize,
}

impl<K: Ord, V> WeakRegistry<K, V> {
    /// Creates an empty registry.
    pub const fn new() -> Self {
        let entries = Entries { by_key: BTreeMap::new(), prune_at: FIRST_PRUNE };
        WeakRegistry { entries: Mutex::new(entries) }
    }

    /// Returns the object of `key`, or calls `create` for it if the key has none.
    ///
    /// `create` runs while the registry is locked, so that it runs once per object. Other calls block meanwhile, and a
    /// `create` that uses the same registry deadlocks.
    pub fn get_or_create(&self, key: K, create: impl FnOnce() -> V) -> Arc<V> {
        match self.get_or_try_create(key, || Ok::<V, Infallible>(create())) {
            Ok(object) => object,
            Err(never) => match never {},
        }
    }

    /// Returns the object of `key`, or calls `create` for it if the key has none. See
    /// [`get_or_create`](Self::get_or_create).
    ///
    /// # Errors
    /// The error of `create`. The key then still has no object.
    pub fn get_or_try_create<E>(&self, key: K, create: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut entries = self.entries();
        if let Some(object) = entries.by_key.get(&key).and_then(Weak::upgrade) {
            return Ok(object);
        }
        let object = Arc::new(create()?);
        entries.insert(key, Arc::downgrade(&object));
        Ok(object)
    }

    /// Returns the object of `key`, or `None` if the key has none.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries().by_key.get(key).and_then(Weak::upgrade)
    }

    /// Returns the number of objects in use.
    pub fn len(&self) -> usize {
        self.entries().by_key.values().filter(|object| is_used(object)).count()
    }

    /// Returns whether no object is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A `create` that panicked has changed nothing.
    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord, V> Entries<K, V> {
    fn insert(&mut self, key: K, object: Weak<V>) {
        if self.by_key.len() >= self.prune_at {
            self.by_key.retain(|_, object| is_used(object));
            // Pruning costs as much as there are entries. It pays once their number has doubled.
            self.prune_at = FIRST_PRUNE.max(2 * self.by_key.len());
        }
        self.by_key.insert(key, object);
    }
}

impl<K: Ord, V> Default for WeakRegistry<K, V> {
    fn default() -> Self {
        WeakRegistry::new()
    }
}

impl<K: Ord, V> fmt::Debug for WeakRegistry<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakRegistry({} in use)", self.len())
    }
}

fn is_used<V>(object: &Weak<V>) -> bool {
    object.strong_count() > 0
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn one_key_has_one_object_while_it_is_used() {
        let registry = WeakRegistry::new();
        let (one, same) = (registry.get_or_create("a", || 1), registry.get_or_create("a", || 2));
        let other = registry.get_or_create("b", || 3);
        assert!(Arc::ptr_eq(&one, &same));
        assert_eq!((*one, *other, registry.len()), (1, 3, 2));
        assert!(Arc::ptr_eq(&registry.get(&"a").unwrap(), &one));
        drop((one, same));
        assert_eq!((registry.get(&"a"), registry.len()), (None, 1));
        assert_eq!(*registry.get_or_create("a", || 4), 4);
    }

    #[test]
    fn failed_creation_leaves_no_object() {
        let registry = WeakRegistry::new();
        assert_eq!(registry.get_or_try_create("a", || Err::<u8, _>("failed")), Err("failed"));
        let panicked = catch_unwind(AssertUnwindSafe(|| registry.get_or_create("a", || panic!("planned"))));
        assert!(panicked.is_err() && registry.is_empty());
        assert_eq!(*registry.get_or_create("a", || 1), 1);
    }

    #[test]
    fn entries_of_unused_objects_are_removed() {
        let registry = WeakRegistry::new();
        let kept: Vec<_> = (0..100).map(|key| registry.get_or_create(key, || key)).collect();
        for key in 100..10_000 {
            drop(registry.get_or_create(key, || key));
            let entries = registry.entries().by_key.len();
            assert!(entries <= 2 * (kept.len() + 1), "{entries} entries");
        }
        assert_eq!(registry.len(), kept.len());
    }

    #[test]
    fn threads_create_one_object_per_key() {
        let registry = WeakRegistry::new();
        let get = |number: u8| registry.get_or_create("a", || number);
        let objects: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || get(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(objects.iter().all(|object| Arc::ptr_eq(object, &objects[0])));
    }
}
