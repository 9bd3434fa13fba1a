//! [`ShouldCache`]: which values of a function are stored. [`FilteredCall`]: a call that stores only these.

use std::marker::PhantomData;

use crate::created::Created;
use crate::region::CallOptions;

/// Decides which values of a cached function are stored. Without a predicate, all are.
pub trait ShouldCache<T> {
    /// Returns whether `value` is stored under `key`.
    fn should_cache(&self, key: &str, value: &T) -> bool;
}

/// Stores every value. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheAll;

impl<T> ShouldCache<T> for CacheAll {
    fn should_cache(&self, _key: &str, _value: &T) -> bool {
        true
    }
}

impl<T, F: Fn(&T) -> bool> ShouldCache<T> for F {
    fn should_cache(&self, _key: &str, value: &T) -> bool {
        self(value)
    }
}

/// A predicate that takes the key and the value.
#[derive(Clone, Copy, Debug)]
pub struct WithKey<F>(pub(super) F);

impl<T, F: Fn(&str, &T) -> bool> ShouldCache<T> for WithKey<F> {
    fn should_cache(&self, key: &str, value: &T) -> bool {
        self.0(key, value)
    }
}

/// A function that decides by the value alone, or by the key and the value. The compiler infers the `Kind`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot decide which values are cached",
    label = "expected a function that returns `bool`",
    note = "`should_cache_fn` is a function of the value, `|value| ...`, or of the key and the value, `|key, value| ...`; both are references"
)]
pub trait Predicate<T, Kind> {
    /// Returns whether `value` is stored under `key`.
    fn accepts(&self, key: &str, value: &T) -> bool;
}

/// The kind of a predicate that takes the value.
#[derive(Debug)]
pub enum OfValue {}

/// The kind of a predicate that takes the key and the value.
#[derive(Debug)]
pub enum OfKeyAndValue {}

impl<T, F: Fn(&T) -> bool> Predicate<T, OfValue> for F {
    fn accepts(&self, _key: &str, value: &T) -> bool {
        self(value)
    }
}

impl<T, F: Fn(&str, &T) -> bool> Predicate<T, OfKeyAndValue> for F {
    fn accepts(&self, key: &str, value: &T) -> bool {
        self(key, value)
    }
}

/// A predicate whose kind was inferred.
#[derive(Debug)]
struct Inferred<F, Kind>(F, PhantomData<fn() -> Kind>);

impl<F: Clone, Kind> Clone for Inferred<F, Kind> {
    fn clone(&self) -> Self {
        Inferred(self.0.clone(), PhantomData)
    }
}

impl<T, Kind, F: Predicate<T, Kind>> ShouldCache<T> for Inferred<F, Kind> {
    fn should_cache(&self, key: &str, value: &T) -> bool {
        self.0.accepts(key, value)
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
    /// Creates a call that stores the values for which the closure `predicate` returns true.
    pub fn by_value<T>(options: CallOptions<'r>, predicate: P) -> Self
    where
        P: Fn(&T) -> bool,
    {
        FilteredCall { options, predicate }
    }

    /// Creates a call that stores the values for which `predicate` returns true. The closure gets the key and the
    /// value.
    pub fn by_key_and_value<T>(options: CallOptions<'r>, predicate: P) -> FilteredCall<'r, WithKey<P>>
    where
        P: Fn(&str, &T) -> bool,
    {
        FilteredCall { options, predicate: WithKey(predicate) }
    }

    /// Creates a call that stores the values that `predicate`, whose type is known, accepts.
    ///
    /// The result hides its type, so that the compiler reports an invalid predicate only here.
    pub fn by<T, Kind>(
        options: CallOptions<'r>,
        predicate: P,
    ) -> FilteredCall<'r, impl ShouldCache<T> + Clone + use<T, Kind, P>>
    where
        P: Predicate<T, Kind> + Clone,
    {
        FilteredCall { options, predicate: Inferred(predicate, PhantomData) }
    }
}

/// Returns the decision on a value that was created for `key`.
#[inline]
pub(super) fn decide<T>(key: &str, value: T, predicate: &impl ShouldCache<T>) -> Created<T> {
    if predicate.should_cache(key, &value) { Created::new(value) } else { Created::uncached(value) }
}
