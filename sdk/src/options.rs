//! [`StoreOptions`]: how a value is to be stored.

use std::fmt;
use std::time::Duration;

use crate::value::{Bytes, CachedValue};

/// How a value is to be stored. The default sets nothing.
///
/// A later version may add options. A backend that does not know an option stores the value without it. A proxy passes
/// on the options that it was given.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile_sdk::StoreOptions;
///
/// let options = StoreOptions::new().with_keep_for(Duration::from_secs(60));
/// assert_eq!((options.keep_for, options.fence), (Some(Duration::from_secs(60)), None));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The time after which the store may drop the value. Default: none, the store's own setting.
    ///
    /// A backend with native expiry honors it, and never drops the value earlier: round up to the units of the store.
    /// All others may ignore it, because regions judge a value's age themselves.
    pub keep_for: Option<Duration>,
    /// The token of the mutex under which the value was created. Default: none.
    ///
    /// A backend that made the mutex and reports [`fencing`](crate::Capabilities::fencing) stores the value only if the
    /// mutex is still held, in one step. Otherwise it stores nothing and returns
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced). All others ignore it.
    pub fence: Option<Fence>,
    /// A trial option, which stands for any that a later version adds.
    #[cfg(dogpile_abi_next)]
    pub trial: Option<u32>,
}

impl StoreOptions {
    /// Creates options that set nothing.
    pub const fn new() -> Self {
        StoreOptions {
            keep_for: None,
            fence: None,
            #[cfg(dogpile_abi_next)]
            trial: None,
        }
    }

    /// Sets the time after which the store may drop the value.
    #[must_use]
    pub fn with_keep_for(mut self, keep_for: Duration) -> Self {
        self.keep_for = Some(keep_for);
        self
    }

    /// Sets the token of the mutex under which the value was created.
    #[must_use]
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Returns whether nothing is set.
    #[inline]
    pub fn is_default(&self) -> bool {
        #[cfg(dogpile_abi_next)]
        if self.trial.is_some() {
            return false;
        }
        self.keep_for.is_none() && self.fence.is_none()
    }
}

/// A token that proves to a store that a mutex is still held. Only the backend that made the mutex can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fence(Bytes);

impl Fence {
    /// Creates a token from bytes that the same backend understands.
    pub fn new(token: impl Into<Bytes>) -> Self {
        Fence(token.into())
    }

    /// Returns the bytes of the token.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(feature = "plugins")]
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Omits the token, which is as good as a lock.
impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

/// One of the values that [`CacheBackend::set_multi`](crate::CacheBackend::set_multi) stores.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: CachedValue,
    /// How the value is to be stored.
    pub options: StoreOptions,
}

impl Entry {
    /// Creates an entry with default options.
    pub fn new(key: impl Into<String>, value: CachedValue) -> Self {
        Entry { key: key.into(), value, options: StoreOptions::new() }
    }

    /// Sets how the value is to be stored.
    #[must_use]
    pub fn with_options(mut self, options: StoreOptions) -> Self {
        self.options = options;
        self
    }
}

impl From<(String, CachedValue)> for Entry {
    fn from((key, value): (String, CachedValue)) -> Self {
        Entry::new(key, value)
    }
}

/// One of the values that [`BytesBackend::set_multi`](crate::BytesBackend::set_multi) stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BytesEntry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: &'a [u8],
    /// How the value is to be stored.
    pub options: &'a StoreOptions,
}

impl<'a> BytesEntry<'a> {
    /// Creates an entry.
    pub const fn new(key: &'a str, value: &'a [u8], options: &'a StoreOptions) -> Self {
        BytesEntry { key, value, options }
    }
}
