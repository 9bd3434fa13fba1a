//! What a region does with a backend, as `docs/plugins.md` and the documentation of the SDK state it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ErrorKind, Fence, NoArguments,
    StoreOptions, register_backend,
};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use parking_lot::Mutex;

/// A store that records what a region does with it.
#[derive(Debug, Default)]
struct Observed {
    capabilities: Capabilities,
    has_mutexes: bool,
    values: Mutex<BTreeMap<String, CachedValue>>,
    /// The keys of each `set` and `set_multi`, with their options.
    stored: Mutex<Vec<(String, StoreOptions)>>,
    mutexes: AtomicUsize,
    unexpected: AtomicUsize,
}

/// A mutex that is always free.
#[derive(Debug)]
struct Free;

impl CacheMutex for Free {
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

    fn fence(&self) -> Option<Fence> {
        Some(Fence::new(b"token".as_slice()))
    }
}

/// The backend of a region, which shares its store with the test.
#[derive(Debug)]
struct Backend(Arc<Observed>);

impl CacheBackend for Backend {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.0.values.lock().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.stored.lock().push((key.to_owned(), options.clone()));
        self.0.values.lock().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.values.lock().remove(key);
        Ok(())
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        entries.into_iter().try_for_each(|entry| self.set(&entry.key, entry.value, &entry.options))
    }

    fn get_mutex(&self, _key: &str) -> Option<Arc<dyn CacheMutex>> {
        self.0.mutexes.fetch_add(1, SeqCst);
        self.0.has_mutexes.then(|| -> Arc<dyn CacheMutex> { Arc::new(Free) })
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities.clone()
    }

    fn health(&self) -> Result<(), BackendError> {
        self.0.unexpected.fetch_add(1, SeqCst);
        Ok(())
    }

    fn close(&self) -> Result<(), BackendError> {
        self.0.unexpected.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn region_over(observed: &Arc<Observed>, change: impl Fn(RegionConfig) -> RegionConfig) -> CacheRegion {
    let region = CacheRegion::new("observed");
    let config = RegionConfig::from_instance(Arc::new(Backend(Arc::clone(observed))));
    region.configure(change(config)).unwrap();
    region
}

/// Neither `native_expiry` nor `fencing` is reported.
#[test]
fn lifetime_and_fence_are_passed_to_every_backend() {
    let observed = Arc::new(Observed { has_mutexes: true, ..Observed::default() });
    let region =
        region_over(&observed, |config| config.expiration_time(60).max_stale(Duration::from_secs(60)));
    region.get_or_create("tea", || 350).unwrap();
    let stored = std::mem::take(&mut *observed.stored.lock());
    let [(_, options)] = &stored[..] else { panic!("one value is stored: {stored:?}") };
    assert!(options.keep_for.is_some_and(|keep_for| keep_for >= Duration::from_secs(120)), "{options:?}");
    assert_eq!(options.fence, Some(Fence::new(b"token".as_slice())));
}

/// A backend refuses such a value by itself.
#[test]
fn value_above_the_limit_is_passed_to_the_backend() {
    let capabilities = Capabilities::default().with_serializer("json").with_value_limit(4);
    let observed = Arc::new(Observed { capabilities, ..Observed::default() });
    let region = region_over(&observed, |config| config);
    region.set("tea", "longer than four bytes".to_owned()).unwrap();
    assert_eq!(observed.stored.lock().len(), 1);
}

#[test]
fn repeated_key_reaches_the_backend_and_its_last_value_wins() {
    let observed = Arc::new(Observed::default());
    let region = region_over(&observed, |config| config);
    region.set_multi([("tea", 1), ("milk", 2), ("tea", 3)]).unwrap();
    let keys: Vec<String> = observed.stored.lock().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, ["tea", "milk", "tea"]);
    assert_eq!(region.get_multi(&["tea", "milk", "tea"]).unwrap(), [Some(3), Some(2), Some(3)]);
    region.delete_multi(&["tea", "tea"]).unwrap();
    assert_eq!(region.get::<i32>("tea").unwrap(), None);
}

#[test]
fn hit_takes_no_mutex_and_backend_is_neither_checked_nor_closed() {
    let observed = Arc::new(Observed::default());
    {
        let region = region_over(&observed, |config| config);
        region.get_or_create("tea", || 350).unwrap();
        let for_the_creation = observed.mutexes.load(SeqCst);
        assert!(for_the_creation > 0);
        assert_eq!(region.get_or_create("tea", || 400).unwrap(), 350);
        assert_eq!(smol::block_on(region.get_or_create_async("tea", async || 400)).unwrap(), 350);
        assert_eq!(observed.mutexes.load(SeqCst), for_the_creation);
    }
    assert_eq!(observed.unexpected.load(SeqCst), 0);
}

/// A backend without storage has creators side by side: no value is kept, and no mutex is requested.
#[test]
fn backend_without_storage_is_neither_locked_nor_filled() {
    let capabilities = Capabilities::default().without_storage();
    let observed = Arc::new(Observed { capabilities, has_mutexes: true, ..Observed::default() });
    let region = region_over(&observed, |config| config);
    assert_eq!(region.get_or_create("tea", || 350).unwrap(), 350);
    assert_eq!((observed.mutexes.load(SeqCst), observed.stored.lock().len()), (0, 0));
}

/// Whether the server of `tests.late` is up.
static IS_UP: AtomicBool = AtomicBool::new(false);

register_backend! {
    name: "tests.late",
    config: NoArguments,
    build: |_| {
        let refused = || BackendError::new(ErrorKind::Unavailable, "the server cannot be reached");
        IS_UP.load(SeqCst).then(|| Backend(Arc::default())).ok_or_else(refused)
    },
}

/// If `build` fails, the region stays as it was, and `configure` can be called again.
#[test]
fn failed_build_changes_nothing_and_can_be_repeated() {
    let region = CacheRegion::new("late");
    let text = told(&region.configure(RegionConfig::new("tests.late")).unwrap_err());
    assert!(text.contains("the server cannot be reached") && text.contains("\"late\""), "{text}");
    assert!(!region.is_configured());

    IS_UP.store(true, SeqCst);
    region.configure(RegionConfig::new("tests.late")).unwrap();
    region.set("tea", 350).unwrap();

    IS_UP.store(false, SeqCst);
    region.configure(RegionConfig::new("tests.late").replace_existing_backend()).unwrap_err();
    assert_eq!(region.get("tea").unwrap(), Some(350));
}
