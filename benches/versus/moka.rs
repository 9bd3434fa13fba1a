//! `moka`: a cache that creates each missing value once, as we do.

use moka::sync::Cache as Moka;

use crate::subject::{Cache, Value};
#[cfg(feature = "rivals")]
use crate::workload::KEYS;

/// Without limits.
pub const MOKA: &str = "moka get_with";
/// With room for twice the keys.
pub const MOKA_BOUNDED: &str = "moka get_with, bounded";

pub(super) fn unbounded() -> Moka<String, Value> {
    Moka::builder().build()
}

#[cfg(feature = "rivals")]
pub(super) fn bounded() -> Moka<String, Value> {
    Moka::new(2 * KEYS as u64)
}

impl Cache for Moka<String, Value> {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        // The form that needs no `String` for a hit.
        self.get_with_by_ref(key, creator)
    }
}
