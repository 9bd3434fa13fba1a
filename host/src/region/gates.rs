//! One set of gates per store. Regions over one store wait for each other's creators.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, PerProcess, WeakRegistry};

use super::release::release_later;
use super::store_identity::StoreIdentity;
use super::work::Work;
use crate::engine::Gates;

/// The gates of a store.
pub(crate) struct StoreGates {
    /// A forked child has its own: no leader of its parent exists there.
    gates: PerProcess<Arc<Gates>>,
    /// The mutexes of dropped leaders, which are released in the background.
    pub(super) releases: Arc<Work>,
}

impl StoreGates {
    fn new() -> Self {
        let releases = Arc::new(Work::new());
        let counted = Arc::clone(&releases);
        let build = move || {
            let counted = Arc::clone(&counted);
            Arc::new(Gates::new(move |mutex| release_later(mutex, counted.begin())))
        };
        StoreGates { gates: PerProcess::new(build, |_| {}), releases }
    }

    /// Returns the gates of this process.
    pub(crate) fn get(&self) -> &Arc<Gates> {
        self.gates.get()
    }
}

/// Returns the gates of the store `actual`, which all regions over that store share.
///
/// A gate is identified by `CacheBackend::store_key` of the outermost backend.
pub(super) fn gates_of(actual: &Arc<dyn CacheBackend>) -> Arc<StoreGates> {
    static GATES: WeakRegistry<StoreIdentity, StoreGates> = WeakRegistry::new();

    GATES.get_or_create(StoreIdentity::of(actual), StoreGates::new)
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::{BackendError, CachedValue, StoreOptions};
    use parking_lot::Mutex;

    use super::*;
    use crate::{CacheRegion, RegionConfig};

    /// A store that keeps one key and loses all others.
    #[derive(Debug, Default)]
    struct Forgetful(Mutex<Option<CachedValue>>);

    impl CacheBackend for Forgetful {
        fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
            Ok(if key == "kept" { self.0.lock().clone() } else { None })
        }

        fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
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
        (region, Arc::clone(gates_of(&backend).get()))
    }

    #[test]
    fn million_created_keys_leave_no_gate() {
        let (region, gates) = forgetful();
        thread::scope(|scope| {
            for thread in 0..4 {
                let region = &region;
                scope.spawn(move || {
                    for key in (thread..1_000_000).step_by(4) {
                        // Some of the creators fail.
                        let made = if key % 1000 == 0 { Err("failed") } else { Ok(key) };
                        let created = region.try_get_or_create(&format!("key:{key}"), || made);
                        assert_eq!(created.is_ok(), made.is_ok());
                    }
                });
            }
        });
        assert_eq!(gates.len(), 0);
    }

    #[test]
    fn hit_takes_no_lock_of_a_gate() {
        let (region, gates) = forgetful();
        region.set("kept", 7).unwrap();
        let (sender, receiver) = channel();
        let found = gates.while_held(|| {
            thread::spawn(move || sender.send(region.get_or_create("kept", || 8)));
            receiver.recv_timeout(Duration::from_secs(60))
        });
        assert_eq!(found.expect("a hit does not wait for a gate").unwrap(), 7);
    }
}
