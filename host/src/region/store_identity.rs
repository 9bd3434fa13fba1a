//! [`StoreIdentity`]: whether two backends use one store.

use std::cmp::Ordering;
use std::sync::{Arc, Weak};

use dogpile_sdk::CacheBackend;

/// The identity of a store.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StoreIdentity {
    /// The scope that the backend reports.
    Scope(String),
    Instance(Instance),
}

impl StoreIdentity {
    /// Returns the identity of the store of `actual`, a backend without its proxies.
    pub(super) fn of(actual: &Arc<dyn CacheBackend>) -> Self {
        let instance = || StoreIdentity::Instance(Instance(Arc::downgrade(actual)));
        actual.capabilities().scope.map_or_else(instance, StoreIdentity::Scope)
    }
}

/// A backend instance. No other one gets its address while this value exists.
pub(super) struct Instance(Weak<dyn CacheBackend>);

impl Instance {
    fn address(&self) -> usize {
        self.0.as_ptr().cast::<()>().addr()
    }
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Instance {}

impl PartialOrd for Instance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instance {
    fn cmp(&self, other: &Self) -> Ordering {
        self.address().cmp(&other.address())
    }
}
