//! Proxies, which wrap a backend and see every call to it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use dogpile::sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, CreationTime, Entry, KeyMangler,
    Metadata, Payload, ProxyBackend, StoreOptions, proxy,
};

use dogpile::{CacheRegion, Configuration, ManualClock, RegionConfig};
use dogpile_tests::regions::{self, PassThrough, START, Subject, on_each};
use dogpile_tests::scripted::{ByteStore, Scripted};
use parking_lot::Mutex;

type Calls = Arc<Mutex<Vec<String>>>;

/// A proxy that records each `get` and `set` with the value's creation time.
#[derive(Debug)]
struct Noting {
    name: &'static str,
    calls: Calls,
    proxied: Arc<dyn CacheBackend>,
}

impl Noting {
    fn note(&self, call: &str, key: &str, value: Option<&CachedValue>) {
        let made = value.map(|value| value.metadata.creation_time.as_seconds() - START);
        self.calls.lock().push(format!("{} {call} {key} {made:?}", self.name));
    }
}

impl ProxyBackend for Noting {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let found = self.proxied.get(key)?;
        self.note("get", key, found.as_ref());
        Ok(found)
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.note("set", key, Some(&value));
        self.proxied.set(key, value, &StoreOptions::new())
    }
}

/// Returns a function that wraps a backend in a [`Noting`] proxy, which records into `calls`.
fn noting(
    name: &'static str,
    calls: &Calls,
) -> impl Fn(Arc<dyn CacheBackend>) -> Noting + Send + Sync + use<> {
    let calls = Arc::clone(calls);
    move |proxied| Noting { name, calls: Arc::clone(&calls), proxied }
}

fn region_of(config: RegionConfig) -> CacheRegion {
    regions::region_of("proxied", config.clock(Arc::new(ManualClock::at(START))))
}

/// `dogpile_tests::regions::on_each` runs most tests of a region behind such a proxy too.
///
/// Behavior: `proxy-transparent-for-region`
#[test]
fn empty_proxy_does_not_change_behavior() {
    on_each(|Subject { region, .. }| {
        region.set("before", 1).unwrap();
        region.wrap(PassThrough).unwrap().wrap(PassThrough).unwrap();
        assert_eq!(region.get("before").unwrap(), Some(1));
        region.set_multi([("a", 2), ("b", 3)]).unwrap();
        assert_eq!(region.get_or_create_multi(&["b", "c", "a"], |_| vec![4]).unwrap(), [3, 4, 2]);
        region.delete("a").unwrap();
        assert_eq!(region.get_multi::<i32>(&["a", "c"]).unwrap(), [None, Some(4)]);
    });
}

/// Behavior: `proxy-sees-cached-value-objects`
#[test]
fn proxy_sees_values_with_their_metadata() {
    for backend in ["dogpile.cache.memory", "dogpile.cache.memory_pickle"] {
        let calls = Calls::default();
        let region = region_of(RegionConfig::new(backend).wrap_in(noting("one", &calls)));
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        region.set("key", 1).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(1));
        let expected = ["one get key None", "one set key Some(0.0)", "one get key Some(0.0)"];
        assert_eq!(*calls.lock(), expected);
    }
}

/// In Python, a proxy must also override `get_serialized` to see the reads of a store of bytes.
#[test]
fn proxy_overriding_get_sees_every_read_of_a_store_of_bytes() {
    let (calls, store) = (Calls::default(), ByteStore::default());
    let region = region_of(RegionConfig::from_instance(store.backend()).wrap_in(noting("one", &calls)));
    region.get_or_create("key", || 1).unwrap();
    region.get::<i32>("key").unwrap();
    region.options().ignore_expiration().get::<i32>("key").unwrap();
    region.get_value_metadata::<i32>("key").unwrap();
    let calls = calls.lock();
    assert_eq!(calls.iter().filter(|call| call.starts_with("one get")).count(), 5, "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.starts_with("one set")).count(), 1, "{calls:?}");
}

/// Behavior: `proxy-chain-intercepts`
#[test]
fn first_proxy_is_outermost_and_each_sees_every_call_once() {
    let calls = Calls::default();
    let config = RegionConfig::new("dogpile.cache.memory");
    let region = region_of(config.wrap_in(noting("outer", &calls)).wrap_in(noting("inner", &calls)));
    (0..10).for_each(|number| region.set(&format!("{number}"), number).unwrap());
    assert_eq!(calls.lock()[..2], ["outer set 0 Some(0.0)", "inner set 0 Some(0.0)"]);
    assert_eq!(calls.lock().len(), 20);
    (0..10).for_each(|number| assert_eq!(region.get(&format!("{number}")).unwrap(), Some(number)));
    let calls = calls.lock();
    for (name, call) in [("outer", "set"), ("inner", "set"), ("outer", "get"), ("inner", "get")] {
        let begin = format!("{name} {call} ");
        assert_eq!(calls.iter().filter(|call| call.starts_with(&begin)).count(), 10, "{begin}");
    }
}

/// Behavior: `proxy-passes-through-rest`
#[test]
fn calls_that_a_proxy_does_not_override_reach_the_backend() {
    let (calls, store) = (Calls::default(), Scripted::new());
    let region = region_of(RegionConfig::from_instance(store.clone()).wrap_in(noting("one", &calls)));
    region.set("key", 1).unwrap();
    region.delete("key").unwrap();
    assert_eq!(store.keys_of("delete"), ["key"]);
    assert_eq!(region.get::<i32>("key").unwrap(), None);
    region.set_multi([("a", 1), ("b", 2)]).unwrap();
    region.delete_multi(&["a"]).unwrap();
    assert_eq!((store.calls("set_multi"), store.calls("delete_multi")), (1, 1));
    assert_eq!(calls.lock().len(), 2, "one set and one get");
}

/// A backend that counts its calls. No method returns what its default implementation returns.
#[derive(Debug, Default)]
struct Everything(AtomicUsize);

impl Everything {
    fn called<R>(&self, result: R) -> R {
        self.0.fetch_add(1, SeqCst);
        result
    }
}

#[derive(Debug)]
struct FreeMutex;

impl CacheMutex for FreeMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(false)
    }
}

fn some_value() -> CachedValue {
    let metadata = Metadata::new(CreationTime::from_seconds(START));
    CachedValue { payload: Payload::Bytes(b"1".to_vec().into()), metadata }
}

impl CacheBackend for Everything {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.called(Ok(Some(some_value())))
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.called(Ok(()))
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        self.called(Ok(()))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.called(Ok(vec![Some(some_value()); keys.len()]))
    }

    fn set_multi(&self, _entries: Vec<Entry>) -> Result<(), BackendError> {
        self.called(Ok(()))
    }

    fn delete_multi(&self, _keys: &[&str]) -> Result<(), BackendError> {
        self.called(Ok(()))
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.called(Some(Arc::new(FreeMutex)))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        self.called(Some(KeyMangler::new(|key| format!("<{key}>"))))
    }

    fn store_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        self.called(Cow::Owned(format!("({key})")))
    }

    fn capabilities(&self) -> Capabilities {
        let able = Capabilities::default().with_key_limit(9).with_serializer("pickle");
        self.called(able.with_lock_timeout(true).with_scope("everything").with_immediate(true))
    }

    fn health(&self) -> Result<(), BackendError> {
        self.called(Ok(()))
    }

    fn close(&self) -> Result<(), BackendError> {
        self.called(Ok(()))
    }
}

/// Python does not forward the serializer and `has_lock_timeout`.
#[test]
fn empty_proxy_forwards_every_method() {
    let everything = Arc::new(Everything::default());
    let proxied = proxy(PassThrough(everything.clone()));
    assert!(proxied.get("a").unwrap().is_some());
    proxied.set("a", some_value(), &StoreOptions::new()).unwrap();
    proxied.delete("a").unwrap();
    assert_eq!(proxied.get_multi(&["a", "b"]).unwrap().len(), 2);
    proxied.set_multi(vec![Entry::new("a", some_value())]).unwrap();
    proxied.delete_multi(&["a"]).unwrap();
    assert!(proxied.get_mutex("a").is_some());
    assert_eq!(proxied.key_mangler().unwrap().mangle("a"), "<a>");
    let capabilities = proxied.capabilities();
    assert_eq!(capabilities.serializer.as_deref(), Some("pickle"));
    assert_eq!((capabilities.lock_timeout, capabilities.scope.as_deref()), (true, Some("everything")));
    assert_eq!(capabilities.max_key_bytes, Some(9));
    // The methods of a proxy may block.
    assert!(!capabilities.immediate);
    assert_eq!(proxied.store_key("a"), "(a)");
    proxied.health().unwrap();
    proxied.close().unwrap();
    assert_eq!(everything.0.load(SeqCst), 12);
}

/// A proxy that counts the calls of `set` and drops those for its unwanted key.
#[derive(Debug)]
struct Dropping {
    unwanted: String,
    sets: Arc<AtomicUsize>,
    proxied: Arc<dyn CacheBackend>,
}

impl ProxyBackend for Dropping {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.sets.fetch_add(1, SeqCst);
        if key == self.unwanted { Ok(()) } else { self.proxied.set(key, value, &StoreOptions::new()) }
    }
}

fn region_that_drops(unwanted: &str, sets: &Arc<AtomicUsize>) -> CacheRegion {
    let (unwanted, sets) = (unwanted.to_owned(), Arc::clone(sets));
    region_of(RegionConfig::new("dogpile.cache.memory").wrap_in(move |proxied| Dropping {
        unwanted: unwanted.clone(),
        sets: Arc::clone(&sets),
        proxied,
    }))
}

/// Behavior: `proxy-instances`
#[test]
fn proxies_of_two_regions_have_separate_state() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let regions = counts.each_ref().map(|sets| region_that_drops("", sets));
    for region in &regions {
        (0..15).for_each(|number| region.set(&format!("{number}"), number).unwrap());
    }
    assert_eq!(counts.map(|sets| sets.load(SeqCst)), [15, 15]);
}

/// Behavior: `proxy-constructor-arguments`
#[test]
fn proxy_uses_its_constructor_arguments() {
    let region = region_that_drops("5", &Arc::default());
    region.set("5", 1).unwrap();
    region.set("1", 1).unwrap();
    assert_eq!(region.get_multi::<i32>(&["5", "1"]).unwrap(), [None, Some(1)]);
}

/// Behavior: `proxy-actual-backend`
#[test]
fn actual_backend_is_the_one_beneath_all_proxies() {
    let store = Scripted::new();
    let region =
        region_of(RegionConfig::from_instance(store.clone()).wrap_in(PassThrough).wrap_in(PassThrough));
    assert!(format!("{:?}", region.backend().unwrap()).starts_with("PassThrough(PassThrough(Scripted"));
    assert!(Arc::ptr_eq(&(store as Arc<dyn CacheBackend>), &region.actual_backend().unwrap()));
}

/// Behavior: `proxy-actual-backend-without-proxy`
#[test]
fn actual_backend_is_the_backend_if_there_are_no_proxies() {
    let region = region_of(RegionConfig::new("dogpile.cache.memory"));
    assert!(Arc::ptr_eq(&region.backend().unwrap(), &region.actual_backend().unwrap()));
}

/// In Python, a replacement drops the proxies, and `actual_backend` remains the old one.
#[test]
fn replacing_the_backend_keeps_proxies_and_sets_actual_backend() {
    let (calls, store) = (Calls::default(), Scripted::new());
    let region = region_of(RegionConfig::new("dogpile.cache.memory").wrap_in(noting("one", &calls)));
    region.wrap(noting("added", &calls)).unwrap();
    region.configure(RegionConfig::from_instance(store.clone()).replace_existing_backend()).unwrap();
    assert!(Arc::ptr_eq(&(store.clone() as Arc<dyn CacheBackend>), &region.actual_backend().unwrap()));
    region.set("key", 1).unwrap();
    assert_eq!(*calls.lock(), ["added set key Some(0.0)", "one set key Some(0.0)"]);
    let bare = RegionConfig::from_instance(store).without_proxies().replace_existing_backend();
    region.configure(bare).unwrap();
    region.set("key", 2).unwrap();
    assert_eq!(calls.lock().len(), 2);
}

/// The first name is the outermost proxy. In Python, `wrap` in a configuration file fails.
#[test]
fn proxies_in_documents_and_flat_settings_wrap_the_backend() {
    let document = r#"
        [regions.r]
        backend = "dogpile.cache.memory"
        wrap = ["dogpile.proxy.readonly", { name = "dogpile.proxy.key_prefix", arguments = { prefix = "p:" } }]
    "#;
    let toml = Configuration::from_toml(document).unwrap().region_config("r").unwrap();
    let outermost = |config| format!("{:?}", region_of(config).backend().unwrap());
    assert!(outermost(toml).starts_with("ReadOnly(KeyPrefix { prefix: \"p:\", proxied: MemoryBackend"));
    let flat =
        [("backend", "dogpile.cache.memory"), ("wrap", "dogpile.proxy.readonly, dogpile.proxy.logging")];
    assert!(outermost(RegionConfig::from_flat(flat, "").unwrap()).starts_with("ReadOnly(Logging {"));
}
