//! [`ShouldCache`]: which created values are stored.

/// Decides which created values are stored: all, or those for which a function returns true.
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
