//! One set of gates per store: regions over one store wait for each other's creators.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use dogpile_sdk::CacheBackend;
use parking_lot::Mutex;

use crate::lock::Gates;

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
    let gates = Arc::new(Gates::new());
    all.insert(keys, Arc::downgrade(&gates));
    gates
}
