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

/// The gates of the store behind `backend`, shared with every region over the same one.
pub(super) fn gates_of(backend: &Arc<dyn CacheBackend>) -> Arc<Gates> {
    static GATES: LazyLock<Mutex<HashMap<Store, Weak<Gates>>>> = LazyLock::new(Mutex::default);

    let instance = || Store::Instance(Arc::as_ptr(backend).cast::<()>().addr());
    let store = backend.lock_scope().map_or_else(instance, Store::Scope);
    let mut all = GATES.lock();
    all.retain(|_, gates| gates.strong_count() > 0);
    if let Some(gates) = all.get(&store).and_then(Weak::upgrade) {
        return gates;
    }
    let gates = Arc::new(Gates::new());
    all.insert(store, Arc::downgrade(&gates));
    gates
}
