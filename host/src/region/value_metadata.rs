//! [`ValueMetadata`]: a cached value and its age.

use std::time::Duration;

use dogpile_sdk::CreationTime;

/// A cached value and its age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueMetadata<T> {
    /// The value.
    pub value: T,
    /// The time at which the value was created.
    pub cached_time: CreationTime,
    /// The time since then.
    pub age: Duration,
}
