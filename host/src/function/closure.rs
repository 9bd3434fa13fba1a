//! [`CachedFunction`] and [`CachedMultiFunction`]: closures that are cached.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use super::argument::KeyArgument;
use super::buffer::KeyBuffer;
use super::call::Argument;
use super::many::ManyValues;
use super::multi::{evaluate_many, get_many, refresh_many};
use super::options::{FunctionOptions, KeyGenerator, MultiKeyGenerator};
use super::single::{evaluate, refresh};
use crate::error::{CreateError, RegionError};
use crate::region::{CacheAll, ShouldCache};
use crate::value::CacheValue;

/// A closure that is cached: made by [`FunctionOptions::wrap`]. It is called with a tuple of arguments.
pub struct CachedFunction<'r, F, O, P = CacheAll> {
    options: FunctionOptions<'r, KeyGenerator, P>,
    function: F,
    outcome: PhantomData<fn() -> O>,
}

/// A closure of many keys that is cached: made by [`FunctionOptions::wrap`]. It is called with a slice of them.
pub struct CachedMultiFunction<'r, F, O, P = CacheAll> {
    options: FunctionOptions<'r, MultiKeyGenerator, P>,
    function: F,
    outcome: PhantomData<fn() -> O>,
}

/// How what a closure returns is cached.
pub trait Outcome<R> {
    /// What is cached of it.
    type Value;
    /// What is not.
    type Error: std::fmt::Display;
    /// What a call fails with that has no value of the region or the closure.
    type Failure;

    /// What was returned, taken apart.
    fn result(returned: R) -> Result<Self::Value, Self::Error>;

    /// The reverse.
    fn returned(result: Result<Self::Value, Self::Error>) -> R;

    /// The error of a call that failed.
    fn failure(error: CreateError<Self::Error>) -> Self::Failure;
}

/// All that is returned is cached.
#[derive(Clone, Copy, Debug)]
pub enum Sure {}

/// A `Result` is returned, and what is `Ok` is cached.
#[derive(Clone, Copy, Debug)]
pub enum Fallible {}

impl<T> Outcome<T> for Sure {
    type Value = T;
    type Error = Infallible;
    type Failure = RegionError;

    fn result(returned: T) -> Result<T, Infallible> {
        Ok(returned)
    }

    fn returned(result: Result<T, Infallible>) -> T {
        let Ok(value) = result;
        value
    }

    fn failure(error: CreateError<Infallible>) -> RegionError {
        error.into_region()
    }
}

impl<T, E: std::fmt::Display> Outcome<Result<T, E>> for Fallible {
    type Value = T;
    type Error = E;
    type Failure = CreateError<E>;

    fn result(returned: Result<T, E>) -> Result<T, E> {
        returned
    }

    fn returned(result: Result<T, E>) -> Result<T, E> {
        result
    }

    fn failure(error: CreateError<E>) -> CreateError<E> {
        error
    }
}

/// A closure that takes the tuple `A` as its arguments.
pub trait CallWith<A> {
    /// What it returns.
    type Returned;

    /// Calls it.
    fn call_with(&self, arguments: A) -> Self::Returned;
}

/// A tuple of up to six arguments that keys are made of.
pub trait ClosureArguments {
    /// What `with` makes of the arguments, whose names are found by their number.
    fn listed<'a, R>(&'a self, name: impl Fn(usize) -> &'a str, with: impl FnOnce(&[Argument<'a>]) -> R)
    -> R;
}

macro_rules! tuples {
    ($(($($parameter:ident $argument:ident $index:tt)*))*) => {$(
        impl<F: Fn($($parameter),*) -> R, R, $($parameter),*> CallWith<($($parameter,)*)> for F {
            type Returned = R;

            fn call_with(&self, ($($argument,)*): ($($parameter,)*)) -> R {
                self($($argument),*)
            }
        }

        impl<$($parameter: KeyArgument),*> ClosureArguments for ($($parameter,)*) {
            #[allow(unused_variables, reason = "there may be no argument")]
            fn listed<'a, R>(
                &'a self,
                name: impl Fn(usize) -> &'a str,
                with: impl FnOnce(&[Argument<'a>]) -> R,
            ) -> R {
                with(&[$(Argument::new(name($index), &self.$index)),*])
            }
        }
    )*};
}

tuples! {
    ()
    (A a 0)
    (A a 0 B b 1)
    (A a 0 B b 1 C c 2)
    (A a 0 B b 1 C c 2 D d 3)
    (A a 0 B b 1 C c 2 D d 3 E e 4)
    (A a 0 B b 1 C c 2 D d 3 E e 4 G g 5)
}

impl<'r, F, O, P> CachedFunction<'r, F, O, P> {
    pub(super) fn new(options: FunctionOptions<'r, KeyGenerator, P>, function: F) -> Self {
        CachedFunction { options, function, outcome: PhantomData }
    }

    fn buffer<A: ClosureArguments>(&self, arguments: &A) -> KeyBuffer {
        let name = |argument| self.options.name_of(argument);
        KeyBuffer::written(|key| {
            arguments
                .listed(name, |arguments| self.options.keys(arguments, |generate, call| generate(call, key)));
        })
    }

    /// The key of a call.
    pub fn key<A: ClosureArguments>(&self, arguments: &A) -> String {
        (*self.buffer(arguments)).to_owned()
    }

    /// The closure itself, to be called without the cache.
    pub fn original(&self) -> &F {
        &self.function
    }

    /// Calls the closure, unless its value for these arguments is cached. When the region fails, a warning is logged,
    /// and the closure is called as if it were not cached.
    pub fn call<A>(&self, arguments: A) -> F::Returned
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Outcome<F::Returned, Value: CacheValue>,
        P: ShouldCache<O::Value>,
    {
        let key = self.buffer(&arguments);
        let original = |arguments| O::result(self.function.call_with(arguments));
        O::returned(evaluate(self.options.call_wanting(), &key, arguments, original))
    }

    /// What is cached for these arguments, for which the closure is not called.
    ///
    /// # Errors
    /// As [`CacheRegion::get`](crate::CacheRegion::get).
    pub fn get<A>(&self, arguments: &A) -> Result<Option<O::Value>, RegionError>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Outcome<F::Returned, Value: CacheValue>,
    {
        self.options.call().get(&self.buffer(arguments))
    }

    /// Stores `value` for these arguments.
    ///
    /// # Errors
    /// As [`CacheRegion::set`](crate::CacheRegion::set).
    pub fn set<A>(&self, value: O::Value, arguments: &A) -> Result<(), RegionError>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Outcome<F::Returned, Value: CacheValue>,
    {
        self.options.region().set(&self.buffer(arguments), value)
    }

    /// Calls the closure at once, and stores what it returns.
    ///
    /// # Errors
    /// As [`CacheRegion::set`](crate::CacheRegion::set), or what the closure fails with.
    pub fn refresh<A>(&self, arguments: A) -> Result<O::Value, O::Failure>
    where
        A: ClosureArguments,
        F: CallWith<A>,
        O: Outcome<F::Returned, Value: CacheValue>,
        P: ShouldCache<O::Value>,
    {
        let key = self.buffer(&arguments);
        let original = || O::result(self.function.call_with(arguments));
        refresh(self.options.call_wanting(), &key, original).map_err(O::failure)
    }

    /// Removes what is cached for these arguments.
    ///
    /// # Errors
    /// As [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub fn invalidate<A: ClosureArguments>(&self, arguments: &A) -> Result<(), RegionError> {
        self.options.region().delete(&self.buffer(arguments))
    }
}

impl<'r, F, O, P> CachedMultiFunction<'r, F, O, P> {
    pub(super) fn new(options: FunctionOptions<'r, MultiKeyGenerator, P>, function: F) -> Self {
        CachedMultiFunction { options, function, outcome: PhantomData }
    }

    /// The key of each of `arguments`.
    pub fn key<K: KeyArgument>(&self, arguments: &[K]) -> Vec<String> {
        let argument = |value| Argument::new(self.options.name_of(0), value);
        let listed: Vec<Argument<'_>> =
            arguments.iter().map(|value| argument(value as &dyn KeyArgument)).collect();
        self.options.keys(&listed, |generate, call| generate(call))
    }

    /// The closure itself, to be called without the cache.
    pub fn original(&self) -> &F {
        &self.function
    }

    /// Calls the closure for those of `arguments` whose values are not cached. When the region fails, a warning is
    /// logged, and the closure is called as if it were not cached.
    pub fn call<K, R>(&self, arguments: &[K]) -> R
    where
        K: KeyArgument + Clone,
        F: Fn(&[K]) -> R,
        O: Outcome<R, Value: ManyValues<K>>,
        P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
    {
        let original = |arguments: &[K]| O::result((self.function)(arguments));
        O::returned(evaluate_many(self.options.call_wanting(), &self.key(arguments), arguments, original))
    }

    /// What is cached for `arguments`, for which the closure is not called.
    ///
    /// # Errors
    /// As [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    pub fn get<K, R>(&self, arguments: &[K]) -> Result<<O::Value as ManyValues<K>>::Known, RegionError>
    where
        K: KeyArgument,
        F: Fn(&[K]) -> R,
        O: Outcome<R, Value: ManyValues<K>>,
    {
        get_many::<K, O::Value>(self.options.call(), &self.key(arguments), arguments)
    }

    /// Stores values, each for an argument.
    ///
    /// # Errors
    /// As [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
    pub fn set<K, R>(
        &self,
        values: impl IntoIterator<Item = (K, <O::Value as ManyValues<K>>::Value)>,
    ) -> Result<(), RegionError>
    where
        K: KeyArgument,
        F: Fn(&[K]) -> R,
        O: Outcome<R, Value: ManyValues<K>>,
    {
        let (arguments, values): (Vec<K>, Vec<_>) = values.into_iter().unzip();
        self.options.region().set_multi(self.key(&arguments).into_iter().zip(values))
    }

    /// Calls the closure for all `arguments` at once, and stores what it returns.
    ///
    /// # Errors
    /// As [`CacheRegion::set_multi`](crate::CacheRegion::set_multi), or what the closure fails with.
    pub fn refresh<K, R>(&self, arguments: &[K]) -> Result<O::Value, O::Failure>
    where
        K: KeyArgument,
        F: Fn(&[K]) -> R,
        O: Outcome<R, Value: ManyValues<K>>,
        P: ShouldCache<<O::Value as ManyValues<K>>::Value>,
    {
        let original = || O::result((self.function)(arguments));
        refresh_many(self.options.call_wanting(), self.key(arguments), arguments, original)
            .map_err(O::failure)
    }

    /// Removes what is cached for `arguments`.
    ///
    /// # Errors
    /// As [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    pub fn invalidate<K: KeyArgument>(&self, arguments: &[K]) -> Result<(), RegionError> {
        self.options.region().delete_multi(&self.key(arguments))
    }
}

impl<F, O, P> fmt::Debug for CachedFunction<'_, F, O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedFunction").field(&self.options).finish()
    }
}

impl<F, O, P> fmt::Debug for CachedMultiFunction<'_, F, O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedMultiFunction").field(&self.options).finish()
    }
}
