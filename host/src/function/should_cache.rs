//! [`ShouldCache`]: which values of a function are stored. [`FilteredCall`]: a call that stores only these.

use crate::created::Created;
use crate::region::CallOptions;

/// Decides which values of a cached function are stored: all, or those for which a predicate returns true.
pub trait ShouldCache<T> {
    /// Returns whether `value` is stored.
    fn should_cache(&self, value: &T) -> bool;
}

/// Stores every value. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheAll;

impl<T> ShouldCache<T> for CacheAll {
    fn should_cache(&self, _value: &T) -> bool {
        true
    }
}

impl<T, F: Fn(&T) -> bool> ShouldCache<T> for F {
    fn should_cache(&self, value: &T) -> bool {
        self(value)
    }
}

/// The options of a call, and which of the created values it stores.
#[derive(Clone, Copy, Debug)]
pub struct FilteredCall<'r, P> {
    pub(super) options: CallOptions<'r>,
    pub(super) predicate: P,
}

impl<'r> FilteredCall<'r, CacheAll> {
    /// Creates a call that stores every value.
    pub fn all(options: CallOptions<'r>) -> Self {
        FilteredCall { options, predicate: CacheAll }
    }
}

impl<'r, P> FilteredCall<'r, P> {
    /// Creates a call that stores the values for which `predicate` returns true.
    pub fn only<T>(options: CallOptions<'r>, predicate: P) -> Self
    where
        P: Fn(&T) -> bool,
    {
        FilteredCall { options, predicate }
    }

    pub(super) fn by(options: CallOptions<'r>, predicate: P) -> Self {
        FilteredCall { options, predicate }
    }
}

/// Returns the decision on a created value.
#[inline]
pub(super) fn decide<T>(value: T, predicate: &impl ShouldCache<T>) -> Created<T> {
    if predicate.should_cache(&value) { Created::new(value) } else { Created::uncached(value) }
}
