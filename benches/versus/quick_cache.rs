//! `quick_cache`: a bounded cache made for speed.

use std::convert::Infallible;

use quick_cache::sync::Cache as QuickCache;

use crate::subject::{Cache, Value};
use crate::workload::KEYS;

/// With room for twice the keys.
pub const QUICK_CACHE: &str = "quick_cache, bounded";

pub(super) fn bounded() -> QuickCache<String, Value> {
    QuickCache::new(2 * KEYS)
}

impl Cache for QuickCache<String, Value> {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        let Ok(value) = self.get_or_insert_with(key, || Ok::<_, Infallible>(creator()));
        value
    }
}
