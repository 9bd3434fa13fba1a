//! [`CachedFunction`]: a cached closure with one value per call.

use std::fmt;
use std::marker::PhantomData;

use super::closure_arguments::{CallWith, ClosureArguments};
use super::evaluate::{evaluate_as, refresh_as};
use super::fallibility::{Fallibility, Fallible, Returns, Sure};
use super::key_buffer::KeyBuffer;
use super::key_generator::KeyGenerator;
use super::options::FunctionOptions;
use super::should_cache::{CacheAll, ShouldCache};
use crate::error::RegionError;
use crate::value::CacheValue;

/// A cached closure that is called with a tuple of arguments. [`FunctionOptions::wrap`] creates it.
///
/// Its calls block as those of a region do. To cache an `async fn`, use the attribute
/// [`cache_on_arguments`](macro@crate::cache_on_arguments).
pub struct CachedFunction<'r, F, O, P = CacheAll> {
    options: FunctionOptions<'r, KeyGenerator, P>,
    function: F,
    outcome: PhantomData<fn() -> O>,
}

impl<'r, P> FunctionOptions<'r, KeyGenerator, P> {
    /// Returns `function` as a cached function. Everything that it returns is cached.
    ///
    /// A call of a closure that returns a `Result` does not compile: use [`wrap_fallible`](Self::wrap_fallible), which does not
    /// cache errors.
    pub fn wrap<F>(self, function: F) -> CachedFunction<'r, F, Sure, P> {
        CachedFunction::new(self, function)
    }

    /// Returns `function` as a cached function. Only values in `Ok` are cached.
    pub fn wrap_fallible<F>(self, function: F) -> CachedFunction<'r, F, Fallible, P> {
        CachedFunction::new(self, function)
    }
}

impl<'r, F, O, P> CachedFunction<'r, F, O, P> {
    fn new(options: FunctionOptions<'r, KeyGenerator, P>, function: F) -> Self {
        CachedFunction { options, function, outcome: PhantomData }
    }

    /// Returns the key of a call.
    pub fn key<A: ClosureArguments>(&self, arguments: &A) -> String {
        (*self.buffer(arguments)).to_owned()
    }

    /// Returns the closure, which can be called without the cache.
    pub fn original(&self) -> &F {
        &self.function
    }

    /// Returns the cached value for `arguments`, calling the closure if it is missing or stale.
    ///
    /// If the region fails, this logs a warning and calls the closure as if it were not cached.
    pub fn call<A, Kind>(&self, arguments: A) -> F::Returned
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Fallibility<F::Returned, Value: CacheValue> + Returns<F::Returned, Kind>,
        P: ShouldCache<O::Value>,
    {
        let key = self.buffer(&arguments);
        let original = |arguments| self.function.call_with(arguments);
        evaluate_as::<O, _, _, _>(self.options.filtered_call(), &key, arguments, original)
    }

    /// Returns the cached value for `arguments`, without calling the closure.
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub fn get<A>(&self, arguments: &A) -> Result<Option<O::Value>, RegionError>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Fallibility<F::Returned, Value: CacheValue>,
    {
        self.options.call().get(&self.buffer(arguments))
    }

    /// Stores `value` for `arguments`.
    ///
    /// # Errors
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    pub fn set<A>(&self, value: O::Value, arguments: &A) -> Result<(), RegionError>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Fallibility<F::Returned, Value: CacheValue>,
    {
        self.options.region().set(&self.buffer(arguments), value)
    }

    /// Calls the closure in any case, stores its value, and returns it.
    ///
    /// # Errors
    /// Returns the closure's own error. See [`CacheRegion::set`](crate::CacheRegion::set) for the others.
    pub fn refresh<A, Kind>(&self, arguments: A) -> Result<O::Value, O::Failure>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Fallibility<F::Returned, Value: CacheValue> + Returns<F::Returned, Kind>,
        P: ShouldCache<O::Value>,
    {
        let key = self.buffer(&arguments);
        refresh_as::<O, _, _>(self.options.filtered_call(), &key, || self.function.call_with(arguments))
    }

    /// Deletes the cached value for `arguments`.
    ///
    /// # Errors
    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub fn invalidate<A: ClosureArguments>(&self, arguments: &A) -> Result<(), RegionError> {
        self.options.region().delete(&self.buffer(arguments))
    }

    fn buffer<A: ClosureArguments>(&self, arguments: &A) -> KeyBuffer {
        let name = |argument| self.options.name_of(argument);
        KeyBuffer::written(|key| {
            arguments
                .listed(name, |arguments| self.options.keys(arguments, |generate, call| generate(call, key)));
        })
    }
}

impl<F, O, P> fmt::Debug for CachedFunction<'_, F, O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedFunction").field(&self.options).finish()
    }
}
