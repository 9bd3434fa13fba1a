//! `std::collections::HashMap` behind an `RwLock`: what many programs use as a cache.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::subject::{Cache, Value};

/// The standard library's map and its hasher.
pub const STD_MAP: &str = "std HashMap in an RwLock";

#[derive(Default)]
pub(super) struct StdMap(RwLock<HashMap<String, Value>>);

impl Cache for StdMap {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        if let Some(value) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return value.clone();
        }
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(key.to_owned()).or_insert_with(creator).clone()
    }
}
