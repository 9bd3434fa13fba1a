//! One guard per store. Regions over one store share their knowledge of its backend.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, WeakRegistry};

use super::store_identity::StoreIdentity;
use crate::outage::Guard;

/// Returns the guard of the store `actual`, whose backend is called `name`. All regions over that store share it.
pub(super) fn guard_of(name: &str, actual: &Arc<dyn CacheBackend>) -> Arc<Guard> {
    static GUARDS: WeakRegistry<StoreIdentity, Guard> = WeakRegistry::new();

    GUARDS.get_or_create(StoreIdentity::of(actual), || Guard::new(name))
}
