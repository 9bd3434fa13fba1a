//! [`Calls`]: the asynchronous calls of a [`Reference`](super::Reference). They complete before they return.

use std::sync::Arc;

use dogpile_sdk::{CachedValue, Completion, Entry, Operations, Running, StoreOptions};

use super::store::Store;

/// The asynchronous calls of a store.
#[derive(Debug)]
pub(super) struct Calls(pub(super) Arc<Store>);

impl Operations for Calls {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        completion.complete(self.0.get(key));
        Running::done()
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        completion.complete(keys.iter().map(|key| self.0.get(key)).collect());
        Running::done()
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        completion.complete(self.0.set(key, value, options));
        Running::done()
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        completion.complete(self.0.set_multi(entries));
        Running::done()
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        completion.complete(self.0.delete(key));
        Running::done()
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        completion.complete(keys.iter().try_for_each(|key| self.0.delete(key)));
        Running::done()
    }
}
