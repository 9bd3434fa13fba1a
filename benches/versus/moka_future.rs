//! `moka` for tasks: its `future` cache.

use std::sync::Arc;

use moka::future::Cache as Moka;

use crate::async_subject::{AsyncCache, AsyncCreator};
use crate::subject::Value;

/// Without limits.
pub const MOKA_FUTURE: &str = "moka::future get_with";

pub(super) fn unbounded() -> Moka<String, Value> {
    Moka::builder().build()
}

impl AsyncCache for Moka<String, Value> {
    async fn get_or_create(&self, key: &str, creator: &AsyncCreator) -> u64 {
        // The form that needs no `String` for a hit.
        *self.get_with_by_ref(key, async { Arc::new(creator.create().await) }).await
    }
}
