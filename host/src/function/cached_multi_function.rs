//! [`CachedMultiFunction`]: a cached closure with one value per key.

use std::fmt;
use std::marker::PhantomData;

use super::cache_key::CacheKey;
use super::evaluate_many::{evaluate_many_as, get_many, refresh_many_as};
use super::fallibility::{Fallibility, Fallible, Sure};
use super::function_call::Argument;
use super::key_generator::MultiKeyGenerator;
use super::many_values::ManyValues;
use super::options::FunctionOptions;
use super::should_cache::{CacheAll, ShouldCache};
use crate::error::RegionError;

/// A cached closure that is called with a slice of keys. [`FunctionOptions::wrap`] creates it.
///
/// Its calls block as those of a region do. To cache an `async fn`, use the attribute
/// [`cache_multi_on_arguments`](macro@crate::cache_multi_on_arguments).
pub struct CachedMultiFunction<'r, F, O, P = CacheAll> {
    options: FunctionOptions<'r, MultiKeyGenerator, P>,
    function: F,
    outcome: PhantomData<fn() -> O>,
}

impl<'r, P> FunctionOptions<'r, MultiKeyGenerator, P> {
    /// Returns `function` as a cached function. Each of its values is cached.
    pub fn wrap<F>(self, function: F) -> CachedMultiFunction<'r, F, Sure, P> {
        CachedMultiFunction::new(self, function)
    }

    /// Returns `function` as a cached function. Only the values in `Ok` are cached.
    pub fn wrap_fallible<F>(self, function: F) -> CachedMultiFunction<'r, F, Fallible, P> {
        CachedMultiFunction::new(self, function)
    }
}

impl<'r, F, O, P> CachedMultiFunction<'r, F, O, P> {
    fn new(options: FunctionOptions<'r, MultiKeyGenerator, P>, function: F) -> Self {
        CachedMultiFunction { options, function, outcome: PhantomData }
    }

    /// Returns one key per argument, in order.
    pub fn key<K: CacheKey>(&self, arguments: &[K]) -> Vec<String> {
        let argument = |value| Argument::new(self.options.name_of(0), value);
        let listed: Vec<Argument<'_>> =
            arguments.iter().map(|value| argument(value as &dyn CacheKey)).collect();
        self.options.keys(&listed, |generate, call| generate(call))
    }

    /// Returns the closure, which can be called without the cache.
    pub fn original(&self) -> &F {
        &self.function
    }

    /// Returns the values for `arguments`, calling the closure once for the missing or stale ones.
    ///
    /// If the region fails, this logs a warning and calls the closure as if it were not cached.
    pub fn call<K, R>(&self, arguments: &[K]) -> R
    where
        K: CacheKey + Clone,
        F: Fn(&[K]) -> R,
        O: Fallibility<R, Value: ManyValues<K>>,
        P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
    {
        let (call, keys) = (self.options.filtered_call(), self.key(arguments));
        evaluate_many_as::<O, _, _, _>(call, &keys, arguments, |arguments| (self.function)(arguments))
    }

    /// Returns the cached values for `arguments`, without calling the closure.
    ///
    /// # Errors
    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    pub fn get<K, R>(&self, arguments: &[K]) -> Result<<O::Value as ManyValues<K>>::Known, RegionError>
    where
        K: CacheKey,
        F: Fn(&[K]) -> R,
        O: Fallibility<R, Value: ManyValues<K>>,
    {
        get_many::<K, O::Value>(self.options.call(), &self.key(arguments), arguments)
    }

    /// Stores each of `values` for the argument beside it.
    ///
    /// # Errors
    /// See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
    pub fn set<K, R>(
        &self,
        values: impl IntoIterator<Item = (K, <O::Value as ManyValues<K>>::Value)>,
    ) -> Result<(), RegionError>
    where
        K: CacheKey,
        F: Fn(&[K]) -> R,
        O: Fallibility<R, Value: ManyValues<K>>,
    {
        let (arguments, values): (Vec<K>, Vec<_>) = values.into_iter().unzip();
        self.options.region().set_multi(self.key(&arguments).into_iter().zip(values))
    }

    /// Calls the closure once for all `arguments`, stores its values, and returns them.
    ///
    /// # Errors
    /// Returns the closure's own error. See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi) for the others.
    pub fn refresh<K, R>(&self, arguments: &[K]) -> Result<O::Value, O::Failure>
    where
        K: CacheKey,
        F: Fn(&[K]) -> R,
        O: Fallibility<R, Value: ManyValues<K>>,
        P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
    {
        let (call, keys) = (self.options.filtered_call(), self.key(arguments));
        refresh_many_as::<O, _, _, _>(call, keys, arguments, || (self.function)(arguments))
    }

    /// Deletes the cached values for `arguments`.
    ///
    /// # Errors
    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    pub fn invalidate<K: CacheKey>(&self, arguments: &[K]) -> Result<(), RegionError> {
        self.options.region().delete_multi(&self.key(arguments))
    }
}

impl<F, O, P> fmt::Debug for CachedMultiFunction<'_, F, O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedMultiFunction").field(&self.options).finish()
    }
}
