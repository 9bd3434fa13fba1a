//! The proxy of the example `proxy_stack` masks every value, in each form of a call, and over each kind of backend.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "only the proxy is of interest, and not the program")]
#[path = "../proxy_stack.rs"]
mod proxy_stack;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, Completion, CreationTime, Entry, Metadata, Object,
    Operations, Payload, Running, StoreOptions,
};
use dogpile::{CacheRegion, Created, RegionConfig};

const SECRET: &str = "open sesame";

/// How tasks call a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// They make the blocking calls themselves.
    Immediate,
    /// Threads make the blocking calls for them.
    Threads,
    /// They begin asynchronous calls.
    Operations,
}

/// Stores values in a map. Its asynchronous calls are completed by threads.
#[derive(Debug)]
struct Shelf {
    kind: Kind,
    values: Mutex<BTreeMap<String, CachedValue>>,
    begun: AtomicUsize,
}

#[derive(Debug)]
struct Begun(Arc<Shelf>);

/// The store behind the proxy: a backend shares it with the test.
#[derive(Debug)]
struct Shared(Arc<Shelf>);

impl Shelf {
    fn get(&self, key: &str) -> Option<CachedValue> {
        self.values.lock().unwrap().get(key).cloned()
    }

    fn set(&self, key: &str, value: CachedValue) {
        self.values.lock().unwrap().insert(key.to_owned(), value);
    }

    fn delete(&self, key: &str) {
        self.values.lock().unwrap().remove(key);
    }
}

impl CacheBackend for Shared {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.0.get(key))
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.0.set(key, value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_immediate(self.0.kind == Kind::Immediate)
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        (self.0.kind == Kind::Operations)
            .then(|| -> Arc<dyn Operations> { Arc::new(Begun(Arc::clone(&self.0))) })
    }
}

impl Begun {
    fn begin<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        call: impl FnOnce(&Shelf) -> T + Send + 'static,
    ) -> Running {
        self.0.begun.fetch_add(1, SeqCst);
        let shelf = Arc::clone(&self.0);
        thread::spawn(move || completion.complete(Ok(call(&shelf))));
        Running::done()
    }
}

impl Operations for Begun {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let key = key.to_owned();
        self.begin(completion, move |shelf| shelf.get(&key))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        self.begin(completion, move |shelf| keys.iter().map(|key| shelf.get(key)).collect())
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        _options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let key = key.to_owned();
        self.begin(completion, move |shelf| shelf.set(&key, value))
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        self.begin(completion, |shelf| {
            entries.into_iter().for_each(|entry| shelf.set(&entry.key, entry.value));
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        let key = key.to_owned();
        self.begin(completion, move |shelf| shelf.delete(&key))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        self.begin(completion, move |shelf| keys.iter().for_each(|key| shelf.delete(key)))
    }
}

/// Returns a region behind the proxy of the example, and the store of its backend.
fn masked(kind: Kind) -> (CacheRegion, Arc<Shelf>) {
    let shelf = Arc::new(Shelf { kind, values: Mutex::default(), begun: AtomicUsize::new(0) });
    let config = RegionConfig::from_instance(Arc::new(Shared(Arc::clone(&shelf))))
        .serializer_named("json")
        .wrap_with("acme.mask", BTreeMap::from([("mask", 90)]));
    let region = CacheRegion::new("tokens");
    region.configure(config).unwrap();
    (region, shelf)
}

fn secret() -> String {
    SECRET.to_owned()
}

/// Stores the secret in each blocking form. Returns the keys.
fn store(region: &CacheRegion) -> Vec<&'static str> {
    region.set("set", secret()).unwrap();
    region.set_multi([("set_multi", secret()), ("set_multi_2", secret())]).unwrap();
    region.get_or_create("create", secret).unwrap();
    region.get_or_create_multi(&["create_multi", "create_multi_2"], |_| vec![secret(); 2]).unwrap();
    let decides = |_| Ok::<_, BackendError>(Created::new(secret()));
    region.options().get_or_create_with("decide", decides).unwrap();
    region.options().background().get_or_create("background", secret).unwrap();
    vec![
        "set",
        "set_multi",
        "set_multi_2",
        "create",
        "create_multi",
        "create_multi_2",
        "decide",
        "background",
    ]
}

/// Stores the secret in each asynchronous form. Returns the keys.
async fn store_async(region: &CacheRegion) -> Vec<&'static str> {
    region.set_async("a_set", secret()).await.unwrap();
    region.set_multi_async([("a_set_multi", secret()), ("a_set_multi_2", secret())]).await.unwrap();
    region.get_or_create_async("a_create", async || secret()).await.unwrap();
    let keys = ["a_create_multi", "a_create_multi_2"];
    region.get_or_create_multi_async(&keys, async |_| vec![secret(); 2]).await.unwrap();
    let detached = region.options().detach();
    detached.get_or_create_async("a_detach", async || secret()).await.unwrap();
    vec![
        "a_set",
        "a_set_multi",
        "a_set_multi_2",
        "a_create",
        "a_create_multi",
        "a_create_multi_2",
        "a_detach",
    ]
}

fn on_each_kind(test: impl Fn(&CacheRegion, &Shelf)) {
    for kind in [Kind::Immediate, Kind::Threads, Kind::Operations] {
        let (region, shelf) = masked(kind);
        test(&region, &shelf);
    }
}

#[test]
fn secret_is_masked_in_the_store_in_every_form() {
    on_each_kind(|region, shelf| {
        let mut keys = store(region);
        keys.extend(smol::block_on(store_async(region)));
        let values = shelf.values.lock().unwrap();
        let stored: BTreeSet<&str> = values.keys().map(String::as_str).collect();
        assert_eq!(stored, keys.iter().copied().collect(), "{:?}", shelf.kind);
        for (key, value) in values.iter() {
            let bytes = value.payload.as_bytes().unwrap();
            assert_eq!(bytes.len(), SECRET.len() + 2, "{:?}: {key}", shelf.kind);
            assert!(
                !bytes.windows(4).any(|part| SECRET.as_bytes().windows(4).any(|known| known == part)),
                "{key}"
            );
        }
        assert_eq!(shelf.begun.load(SeqCst) > 0, shelf.kind == Kind::Operations);
    });
}

#[test]
fn secret_is_read_back_in_every_form() {
    on_each_kind(|region, _| {
        let mut keys = store(region);
        keys.extend(smol::block_on(store_async(region)));
        assert!(region.get_multi(&keys).unwrap().iter().all(|found| *found == Some(secret())));
        let found = smol::block_on(region.get_multi_async(&keys)).unwrap();
        assert!(found.iter().all(|found| *found == Some(secret())));
        for key in keys {
            assert_eq!(region.get(key).unwrap(), Some(secret()), "{key}");
            assert_eq!(smol::block_on(region.get_async(key)).unwrap(), Some(secret()), "{key}");
            assert_eq!(region.get_or_create(key, || "created".to_owned()).unwrap(), SECRET, "{key}");
        }
    });
}

/// What the proxy did not store is a miss, and is created again.
#[test]
fn value_that_was_never_masked_is_a_miss() {
    on_each_kind(|region, shelf| {
        let metadata = Metadata::new(CreationTime::now());
        for payload in
            [Payload::Object(Object::new(secret())), Payload::Bytes(b"\"open sesame\"".as_slice().into())]
        {
            shelf.set("foreign", CachedValue { payload, metadata: metadata.clone() });
            assert_eq!(region.get::<String>("foreign").unwrap(), None);
            assert_eq!(smol::block_on(region.get_async::<String>("foreign")).unwrap(), None);
            assert_eq!(region.get_or_create("foreign", || "created".to_owned()).unwrap(), "created");
        }
    });
}
