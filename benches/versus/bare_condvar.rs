//! A bare mutex and condition variable. Waiting threads need at least these to share a value that one of them
//! creates.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::subject::{Cache, Value};

/// The standard library's mutex and condition variable.
pub const BARE_CONDVAR: &str = "bare condition variable";

/// One map, one mutex, and one condition variable. It has no failures, no timeouts, and no errors.
#[derive(Default)]
pub(super) struct BareCondvar {
    /// A key without a value is being created.
    values: Mutex<HashMap<String, Option<Value>>>,
    created: Condvar,
}

impl Cache for BareCondvar {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(entry) = values.get(key) {
            if let Some(value) = entry {
                return value.clone();
            }
            values = self.created.wait(values).unwrap_or_else(PoisonError::into_inner);
        }
        values.insert(key.to_owned(), None);
        drop(values);
        let value = creator();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.to_owned(), Some(value.clone()));
        // Unlock before notifying, so that no thread wakes only to wait for the mutex.
        drop(values);
        self.created.notify_all();
        value
    }
}
