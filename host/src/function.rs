//! Cached functions: what the macros expand to, and the same for closures.
//!
//! [`cache_on_arguments`](macro@crate::cache_on_arguments) and
//! [`cache_multi_on_arguments`](macro@crate::cache_multi_on_arguments) cache a function;
//! [`CacheRegion::cache_on_arguments`](crate::CacheRegion::cache_on_arguments) and
//! [`CacheRegion::cache_multi_on_arguments`](crate::CacheRegion::cache_multi_on_arguments) a closure. A key is made of
//! the function's name and its arguments by a key generator: [`default_key_generator`], unless another is named.
//!
//! Source: dogpile.cache `region.py`, `CacheRegion.cache_on_arguments` and `cache_multi_on_arguments`, and
//! `util/__init__.py`.

mod argument;
mod buffer;
mod call;
mod closure;
mod draft;
mod exact;
mod expiration;
mod generator;
mod many;
mod multi;
mod options;
mod python;
mod single;

pub use self::argument::{KeyArgument, KeyForm, KeyText};
pub use self::call::{Argument, Function, FunctionCall};
pub use self::closure::{
    CachedFunction, CachedMultiFunction, CallWith, ClosureArguments, Fallible, Outcome, Sure,
};
pub use self::expiration::FunctionExpiration;
pub use self::generator::{
    default_key_generator, default_multi_key_generator, dogpile_key_generator, dogpile_multi_key_generator,
    kwarg_key_generator,
};
pub use self::many::ManyValues;
pub use self::options::{FunctionOptions, KeyGenerator, MultiKeyGenerator};
pub use self::single::evaluate;

/// What the macros expand to. No part of what is promised to applications.
#[doc(hidden)]
pub mod expansion {
    pub use super::buffer::KeyBuffer;
    pub use super::call::of_function_body;
    pub use super::draft::KeyDraft;
    pub use super::multi::{
        evaluate_many, evaluate_many_in_background, evaluate_many_sure, evaluate_many_sure_in_background,
        get_many, refresh_many, refresh_many_sure,
    };
    pub use super::single::{
        evaluate, evaluate_in_background, evaluate_sure, evaluate_sure_in_background, refresh, refresh_sure,
    };

    /// A `Result` by whatever name.
    pub trait AnyResult {
        /// What it has when all went well.
        type Value;
        /// What it has otherwise.
        type Error;
    }

    impl<T, E> AnyResult for Result<T, E> {
        type Value = T;
        type Error = E;
    }
}
