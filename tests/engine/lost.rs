//! The value of a creator that lost its mutex is returned and not stored, whatever lies between region and mutex.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use dogpile::sdk::{CacheBackend, ExportedBackend, LoadedBackend, ProxyBackend, proxy};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;

#[derive(Debug)]
struct PassThrough(Arc<dyn CacheBackend>);

impl ProxyBackend for PassThrough {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }
}

/// Puts something between a region and its backend.
type Wrap = fn(Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend>;

fn bare(backend: Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend> {
    backend
}

fn proxied(backend: Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend> {
    proxy(PassThrough(backend))
}

/// Takes every call through the tables that a plugin library has.
fn exported(backend: Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend> {
    Arc::new(LoadedBackend::new(ExportedBackend::object(backend), "the test"))
}

const WRAPS: [Wrap; 4] = [bare, proxied, exported, |backend| exported(proxied(exported(proxied(backend))))];

fn on_each(test: impl Fn(&Scripted, &CacheRegion)) {
    for wrap in WRAPS {
        let store = Scripted::with_mutexes();
        let region = region_of("lost", RegionConfig::from_instance(wrap(store.clone())));
        test(&store, &region);
    }
}

#[test]
fn value_whose_mutex_is_lost_is_not_stored() {
    on_each(|store, region| {
        let created = region.get_or_create("key", || {
            store.mutex("key").loses_its_lease.store(true, SeqCst);
            1
        });
        assert_eq!(created.unwrap(), 1);
        assert_eq!((store.calls("set"), store.stored_keys().len()), (0, 0));
        store.mutex("key").loses_its_lease.store(false, SeqCst);
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
        assert_eq!(store.stored_keys(), ["key"]);
    });
}

#[test]
fn lost_mutex_of_one_key_keeps_no_other_value_from_the_store() {
    on_each(|store, region| {
        let created = region.get_or_create_multi(&["a", "b", "c"], |keys| {
            store.mutex("b").loses_its_lease.store(true, SeqCst);
            vec![7; keys.len()]
        });
        assert_eq!(created.unwrap(), [7; 3]);
        assert_eq!(store.stored_keys(), ["a", "c"]);
    });
}
