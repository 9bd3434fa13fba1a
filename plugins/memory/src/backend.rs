//! [`MemoryBackend`]: `dogpile.cache.memory` and `dogpile.cache.memory_pickle`.

// Source: dogpile.cache `backends/memory.py`.

use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Capabilities, StoreOptions, register_backend};

use crate::bounded::Bounded;
use crate::config::{FOREIGN, MemoryConfig};
use crate::map::CacheMap;
use crate::unbounded::Unbounded;

register_backend! {
    name: "dogpile.cache.memory",
    config: MemoryConfig,
    foreign: FOREIGN,
    build: MemoryBackend::new,
}

register_backend! {
    name: "dogpile.cache.memory_pickle",
    config: MemoryConfig,
    foreign: FOREIGN,
    build: MemoryBackend::serialized,
}

/// A store in the memory of this process, for objects and bytes alike.
///
/// It has no mutex of its own, because the region's in-process lock suffices. A hit shares the stored object and does
/// not copy it. Without limits, the last 8 values that a thread replaced may be freed only when it replaces or deletes
/// the next ones, or when the backend is dropped. With limits, and in the caller's map, a value is freed at once.
// Source: dogpile.cache `backends/memory.py`, `MemoryBackend` and `MemoryPickleBackend`.
pub struct MemoryBackend {
    store: Store,
    serializer: Option<&'static str>,
}

enum Store {
    Unbounded(Unbounded),
    Bounded(Bounded),
    Map(Arc<dyn CacheMap>),
}

impl MemoryBackend {
    /// The largest entry, in bytes, that every limit `max_bytes` above 4 MiB admits. It counts the key and the
    /// payload.
    ///
    /// Under a smaller limit, it is 97% of the limit. A larger value is not kept, and neither is the one that it
    /// replaces.
    pub const LARGEST_ENTRY: u64 = 4_000_000;

    /// Creates a backend that keeps the values themselves: `dogpile.cache.memory`.
    ///
    /// # Errors
    /// If a limit of `config` is 0.
    pub fn new(config: MemoryConfig) -> Result<Self, BackendError> {
        config.check()?;
        let store = Bounded::new(&config).map_or_else(|| Store::Unbounded(Unbounded::new()), Store::Bounded);
        Ok(MemoryBackend { store, serializer: None })
    }

    /// Creates a backend that keeps a serialized copy of each value: `dogpile.cache.memory_pickle`.
    ///
    /// # Errors
    /// If a limit of `config` is 0.
    pub fn serialized(config: MemoryConfig) -> Result<Self, BackendError> {
        Ok(Self::new(config)?.with_serialized_values())
    }

    /// Creates a backend over the caller's map.
    ///
    /// If several backends share the map, their regions share the in-process lock too.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::{Arc, Mutex};
    ///
    /// use dogpile_memory::MemoryBackend;
    ///
    /// let map = Arc::new(Mutex::new(HashMap::new()));
    /// let backend = MemoryBackend::with_map(map.clone());
    /// assert!(map.lock().unwrap().is_empty());
    /// ```
    pub fn with_map(map: Arc<dyn CacheMap>) -> Self {
        MemoryBackend { store: Store::Map(map), serializer: None }
    }

    /// Makes regions store a serialized copy of each value.
    #[must_use]
    pub fn with_serialized_values(mut self) -> Self {
        self.serializer = Some("msgpack");
        self
    }
}

impl CacheBackend for MemoryBackend {
    #[inline]
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        match &self.store {
            Store::Unbounded(map) => Ok(map.get(key)),
            Store::Bounded(cache) => Ok(cache.get(key)),
            Store::Map(map) => Ok(map.get(key)),
        }
    }

    #[inline]
    fn get_with(&self, key: &str, visit: &mut dyn FnMut(&CachedValue)) -> Result<bool, BackendError> {
        let found = match &self.store {
            Store::Unbounded(map) => return Ok(map.get_with(key, visit)),
            // These two could lend a value only under a lock.
            Store::Bounded(cache) => cache.get(key),
            Store::Map(map) => map.get(key),
        };
        found.iter().for_each(visit);
        Ok(found.is_some())
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        match &self.store {
            Store::Unbounded(map) => map.insert(key, value),
            Store::Bounded(cache) => cache.insert(key, value),
            Store::Map(map) => map.insert(key, value),
        }
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        match &self.store {
            Store::Unbounded(map) => map.remove(&[key]),
            Store::Bounded(cache) => cache.remove(key),
            Store::Map(map) => map.remove(key),
        }
        Ok(())
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        match &self.store {
            Store::Unbounded(map) => Ok(map.get_multi(keys)),
            Store::Bounded(_) | Store::Map(_) => keys.iter().map(|key| self.get(key)).collect(),
        }
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        if let Store::Unbounded(map) = &self.store {
            map.remove(keys);
            return Ok(());
        }
        keys.iter().try_for_each(|key| self.delete(key))
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default().with_immediate(true).with_scope(self.scope());
        capabilities.serializer = self.serializer.map(str::to_owned);
        capabilities
    }
}

impl MemoryBackend {
    /// Returns the address of the store, which identifies it for as long as it exists.
    ///
    /// Regions ask once the backend has its final place behind an `Arc`, so that any number of proxies see one address.
    fn scope(&self) -> String {
        let address = match &self.store {
            Store::Map(map) => Arc::as_ptr(map).addr(),
            Store::Unbounded(_) | Store::Bounded(_) => std::ptr::from_ref(self).addr(),
        };
        format!("memory:{address:#x}")
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.store {
            Store::Unbounded(_) => "without limits",
            Store::Bounded(_) => "with limits",
            Store::Map(_) => "over the caller's map",
        };
        f.debug_struct("MemoryBackend").field("store", &store).field("serializer", &self.serializer).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Barrier, Mutex, RwLock};

    use dogpile_sdk::{Arguments, BackendEntry, Bytes, CreationTime, Metadata, Object, Payload};

    use super::*;

    fn of(payload: Payload) -> CachedValue {
        CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.5)) }
    }

    fn object(value: impl Send + Sync + 'static) -> CachedValue {
        of(Payload::Object(Object::new(value)))
    }

    fn limited() -> MemoryConfig {
        MemoryConfig::default().with_max_entries(1000).with_max_bytes(1 << 20)
    }

    /// One backend over each kind of store.
    fn backends() -> [MemoryBackend; 4] {
        [
            MemoryBackend::new(MemoryConfig::default()).unwrap(),
            MemoryBackend::new(limited()).unwrap(),
            MemoryBackend::with_map(Arc::new(Mutex::new(HashMap::new()))),
            MemoryBackend::with_map(Arc::new(RwLock::new(HashMap::new()))),
        ]
    }

    #[test]
    fn hit_shares_the_object() {
        for backend in backends() {
            let value = object(String::from("x"));
            backend.set("a", value.clone(), &StoreOptions::new()).unwrap();
            // Objects are equal if they are identical.
            assert_eq!(backend.get("a").unwrap(), Some(value));
        }
    }

    #[test]
    fn lent_value_may_be_replaced_and_deleted_meanwhile() {
        for backend in backends() {
            backend.set("a", object(String::from("old")), &StoreOptions::new()).unwrap();
            let mut visits = 0;
            let found = backend.get_with("a", &mut |lent| {
                visits += 1;
                backend.set("a", object(String::from("new")), &StoreOptions::new()).unwrap();
                backend.delete_multi(&["a"]).unwrap();
                assert!(backend.get("a").unwrap().is_none());
                let Payload::Object(lent) = &lent.payload else { panic!("an object was stored") };
                assert_eq!(lent.downcast_ref::<String>().map(String::as_str), Some("old"));
            });
            assert!(found.unwrap());
            assert_eq!(visits, 1);
            assert!(!backend.get_with("a", &mut |_| visits += 1).unwrap());
            assert_eq!(visits, 1, "{backend:?}");
        }
    }

    #[test]
    fn objects_and_bytes_are_stored() {
        for backend in backends() {
            let (object, bytes) = (object(7), of(Payload::Bytes(Bytes::from(b"7".to_vec()))));
            backend.set("a", object, &StoreOptions::new()).unwrap();
            backend.set("a", bytes.clone(), &StoreOptions::new()).unwrap();
            assert_eq!(backend.get("a").unwrap(), Some(bytes));
            backend.delete("a").unwrap();
            assert_eq!(backend.get("a").unwrap(), None);
        }
    }

    #[test]
    fn deleted_value_is_dropped() {
        for backend in backends() {
            let value = Arc::new(7);
            backend.set("a", object(Arc::clone(&value)), &StoreOptions::new()).unwrap();
            backend.set("b", object(Arc::clone(&value)), &StoreOptions::new()).unwrap();
            assert_eq!(Arc::strong_count(&value), 3);
            backend.delete("a").unwrap();
            assert_eq!(Arc::strong_count(&value), 2, "{backend:?}");
            backend.delete_multi(&["a", "b"]).unwrap();
            assert_eq!(Arc::strong_count(&value), 1, "{backend:?}");
        }
    }

    #[test]
    fn replacing_holds_back_at_most_eight_values() {
        for backend in backends() {
            let value = Arc::new(7);
            for _ in 0..1000 {
                backend.set("a", object(Arc::clone(&value)), &StoreOptions::new()).unwrap();
                assert!(Arc::strong_count(&value) <= 2 + 8, "{} by {backend:?}", Arc::strong_count(&value));
            }
            drop(backend);
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }

    #[test]
    fn concurrent_writes_and_deletes_lose_nothing() {
        for backend in backends() {
            let start = Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (backend, start) = (&backend, &start);
                    scope.spawn(move || {
                        start.wait();
                        for number in 0..100 {
                            let (kept, gone) =
                                (format!("{thread} {number}"), format!("{thread} {number} gone"));
                            backend.set(&kept, object((thread, number)), &StoreOptions::new()).unwrap();
                            backend.set(&gone, object(()), &StoreOptions::new()).unwrap();
                            backend.delete(&gone).unwrap();
                        }
                    });
                }
            });
            for (thread, number) in (0..4).flat_map(|thread| (0..100).map(move |number| (thread, number))) {
                let found = backend.get(&format!("{thread} {number}")).unwrap().unwrap();
                let Payload::Object(found) = found.payload else { panic!("an object was stored") };
                assert_eq!(found.downcast_ref(), Some(&(thread, number)));
                assert_eq!(backend.get(&format!("{thread} {number} gone")).unwrap(), None);
            }
        }
    }

    /// Behavior: `memory-cache-dict-argument`
    #[test]
    fn backend_works_on_the_callers_map() {
        let map = Arc::new(Mutex::new(HashMap::new()));
        let backend = MemoryBackend::with_map(Arc::clone(&map) as Arc<dyn CacheMap>);
        map.lock().unwrap().insert("theirs".to_owned(), object(1));
        assert!(backend.get("theirs").unwrap().is_some());
        backend.set("ours", object(2), &StoreOptions::new()).unwrap();
        assert!(map.lock().unwrap().contains_key("ours"));
        backend.delete("theirs").unwrap();
        assert_eq!(map.lock().unwrap().len(), 1);
    }

    #[test]
    fn backends_over_one_map_share_a_scope() {
        let map: Arc<dyn CacheMap> = Arc::new(Mutex::new(HashMap::new()));
        let [one, two] = [(); 2].map(|()| MemoryBackend::with_map(Arc::clone(&map)));
        let other = MemoryBackend::with_map(Arc::new(Mutex::new(HashMap::new())));
        assert_eq!(one.scope(), two.with_serialized_values().scope());
        assert_ne!(one.scope(), other.scope());
        let [third, fourth] = [(); 2].map(|()| MemoryBackend::new(MemoryConfig::default()).unwrap());
        assert_ne!(third.scope(), fourth.scope());
    }

    #[test]
    fn backends_are_found_by_name() {
        let build = |name: &str, limit: Option<u64>| {
            let entry = BackendEntry::linked().find(|entry| entry.name == name).unwrap();
            let config = MemoryConfig { max_entries: limit, max_bytes: None };
            (entry.build)(Arguments::from_serialize(config).unwrap())
        };
        assert_eq!(build("dogpile.cache.memory", None).unwrap().capabilities().serializer, None);
        let pickle = build("dogpile.cache.memory_pickle", Some(1)).unwrap();
        assert_eq!(pickle.capabilities().serializer.as_deref(), Some("msgpack"));
        assert_eq!(
            format!("{pickle:?}"),
            r#"MemoryBackend { store: "with limits", serializer: Some("msgpack") }"#
        );
        let error = build("dogpile.cache.memory", Some(0)).unwrap_err();
        assert!(error.to_string().starts_with("invalid argument \"max_entries\": 0 is too low"), "{error}");
    }
}
