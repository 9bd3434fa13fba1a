//! A concurrent map without expiry, bounds, or single creation. It shows the least that a hit costs.

use foldhash::fast::RandomState;
use papaya::HashMap;

use crate::subject::{Cache, Value};

/// `papaya`, with the hasher that our memory backend uses.
pub const BARE_MAP: &str = "bare papaya map";

#[derive(Default)]
pub(super) struct BareMap(HashMap<String, Value, RandomState>);

impl Cache for BareMap {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        let map = self.0.pin();
        map.get(key).cloned().unwrap_or_else(|| {
            let value = creator();
            map.insert(key.to_owned(), value.clone());
            value
        })
    }
}
