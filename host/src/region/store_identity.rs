//! [`StoreIdentity`]: whether two backends use one store.

use std::sync::Arc;

use dogpile_sdk::CacheBackend;

/// The identity of a store.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StoreIdentity {
    /// The scope that the backend reports.
    Scope(String),
    /// The address of a backend instance. It is not reused while a region holds the instance.
    Instance(usize),
}

impl StoreIdentity {
    /// Returns the identity of the store of `actual`, a backend without its proxies.
    pub(super) fn of(actual: &Arc<dyn CacheBackend>) -> Self {
        let instance = || StoreIdentity::Instance(Arc::as_ptr(actual).cast::<()>().addr());
        actual.capabilities().scope.map_or_else(instance, StoreIdentity::Scope)
    }
}
