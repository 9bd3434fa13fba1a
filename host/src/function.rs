//! Cached functions: the code that the macros expand to, and its counterpart for closures.
//!
//! [`cache_on_arguments`](macro@crate::cache_on_arguments) and
//! [`cache_multi_on_arguments`](macro@crate::cache_multi_on_arguments) cache a function.
//! [`CacheRegion::cache_on_arguments`](crate::CacheRegion::cache_on_arguments) and
//! [`CacheRegion::cache_multi_on_arguments`](crate::CacheRegion::cache_multi_on_arguments) cache a closure. A key
//! generator makes a key from the function's name and its arguments. The default is [`default_key_generator`].
// Source: dogpile.cache `region.py`, `CacheRegion.cache_on_arguments` and `cache_multi_on_arguments`, and
// `util/__init__.py`.

mod cache_key;
mod cached_function;
mod cached_multi_function;
mod closure_arguments;
mod default_key;
mod enclosing_body;
mod evaluate;
mod evaluate_async;
mod evaluate_many;
mod evaluate_many_async;
mod expiration;
mod fallback;
mod fallibility;
mod found;
mod function_call;
mod function_name;
mod key_buffer;
mod key_generator;
mod key_types;
mod many_values;
mod options;
mod place;
mod progress;
mod python_repr;
mod quoting;
mod result_type;
mod should_cache;

pub use self::cache_key::{CacheKey, KeyForm, KeyText};
#[cfg(feature = "macros")]
pub use dogpile_macros::CacheKey;

pub use self::cached_function::CachedFunction;
pub use self::cached_multi_function::CachedMultiFunction;
pub use self::closure_arguments::{CallWith, ClosureArguments};
pub use self::evaluate::evaluate;
pub use self::expiration::FunctionExpiration;
pub use self::fallibility::{Fallibility, Fallible, Sure};
pub use self::function_call::{Argument, Function, FunctionCall};
pub use self::key_generator::{
    KeyGenerator, MultiKeyGenerator, default_key_generator, default_multi_key_generator,
    dogpile_key_generator, dogpile_multi_key_generator, kwarg_key_generator,
};
pub use self::many_values::ManyValues;
pub use self::options::FunctionOptions;
pub use self::should_cache::{CacheAll, ShouldCache, WithKey};

/// The items that the macros expand to. They may change in any release; applications do not use them.
#[doc(hidden)]
pub mod expansion {
    pub use super::cache_key::KeyShape;
    pub use super::default_key::KeyDraft;
    pub use super::enclosing_body::{of_function_body, of_method, path_len};
    pub use super::evaluate::{evaluate_as, evaluate_in_background_as, refresh_as};
    pub use super::evaluate_async::{evaluate_async_as, evaluate_detached_as, refresh_async_as};
    pub use super::evaluate_many::{
        evaluate_many_as, evaluate_many_in_background_as, get_many, refresh_many_as,
    };
    pub use super::evaluate_many_async::{
        evaluate_many_async_as, evaluate_many_detached_as, get_many_async, refresh_many_async_as,
    };
    pub use super::key_buffer::KeyBuffer;
    pub use super::key_types::KeyFields;
    pub use super::many_values::{ListOfValues, MapOfValues};
    pub use super::place::Place;
    pub use super::result_type::{NotAResult, Probe, Recognition, Recognized};
    pub use super::should_cache::{FilteredCall, OfKeyAndValue, OfValue, Predicate};

    /// Does nothing. It does not compile if a region cannot cache `T`.
    ///
    /// The macros call this and [`has_fallibility`] before all else, so that the compiler reports a type once per function.
    #[inline]
    pub const fn is_cacheable<T: crate::value::CacheValue>() {}

    /// Does nothing. It does not compile if `O` is not the fallibility of a function that returns `R`.
    #[inline]
    pub const fn has_fallibility<O: super::Fallibility<R>, R>() {}
}
