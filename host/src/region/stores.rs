//! One set of gates per store: regions over one store wait for each other's creators.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use dogpile_sdk::CacheBackend;
use parking_lot::Mutex;

use super::release::release_later;
use crate::engine::Gates;

/// What tells one store from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Store {
    /// The backend told.
    Scope(u64),
    /// A backend instance: its address, which is not used again while a region holds the instance.
    Instance(usize),
}

/// Keys of one name in one of these are one key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeySpace {
    store: Store,
    /// What the proxies make of the store's scope: a proxy that renames keys tells another one.
    seen_as: Option<u64>,
}

/// The gates of the store `actual`, seen through the proxies up to `outermost`; shared with every region that has
/// the same keys there.
pub(super) fn gates_of(actual: &Arc<dyn CacheBackend>, outermost: &dyn CacheBackend) -> Arc<Gates> {
    static GATES: LazyLock<Mutex<HashMap<KeySpace, Weak<Gates>>>> = LazyLock::new(Mutex::default);

    let instance = || Store::Instance(Arc::as_ptr(actual).cast::<()>().addr());
    let store = actual.lock_scope().map_or_else(instance, Store::Scope);
    let keys = KeySpace { store, seen_as: outermost.lock_scope() };
    let mut all = GATES.lock();
    all.retain(|_, gates| gates.strong_count() > 0);
    if let Some(gates) = all.get(&keys).and_then(Weak::upgrade) {
        return gates;
    }
    let gates = Arc::new(Gates::new(release_later));
    all.insert(keys, Arc::downgrade(&gates));
    gates
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::{BackendError, CachedValue};

    use super::*;
    use crate::{CacheRegion, RegionConfig};

    /// A store that keeps one key, and forgets all others at once.
    #[derive(Debug, Default)]
    struct Forgetful(Mutex<Option<CachedValue>>);

    impl CacheBackend for Forgetful {
        fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
            Ok(if key == "kept" { self.0.lock().clone() } else { None })
        }

        fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
            if key == "kept" {
                *self.0.lock() = Some(value);
            }
            Ok(())
        }

        fn delete(&self, _key: &str) -> Result<(), BackendError> {
            Ok(())
        }
    }

    fn forgetful() -> (CacheRegion, Arc<Gates>) {
        let (region, backend) = (CacheRegion::new("forgetful"), Arc::new(Forgetful::default()));
        region.configure(RegionConfig::from_instance(backend.clone())).expect("nothing is wrong with it");
        let backend: Arc<dyn CacheBackend> = backend;
        (region, gates_of(&backend, &*backend))
    }

    #[test]
    fn a_million_keys_created_once_each_leave_no_gate() {
        let (region, gates) = forgetful();
        thread::scope(|scope| {
            for thread in 0..4 {
                let region = &region;
                scope.spawn(move || {
                    for key in (thread..1_000_000).step_by(4) {
                        // Some of the creators fail.
                        let made = if key % 1000 == 0 { Err("failed") } else { Ok(key) };
                        let answer = region.try_get_or_create(&format!("key:{key}"), || made);
                        assert_eq!(answer.is_ok(), made.is_ok());
                    }
                });
            }
        });
        assert_eq!(gates.len(), 0);
    }

    #[test]
    fn a_hit_touches_no_gate() {
        let (region, gates) = forgetful();
        region.set("kept", 7).unwrap();
        let (tell, told) = channel();
        let found = gates.while_held(|| {
            thread::spawn(move || tell.send(region.get_or_create("kept", || 8)));
            told.recv_timeout(Duration::from_secs(60))
        });
        assert_eq!(found.expect("a hit does not wait for a gate").unwrap(), 7);
    }
}
