//! [`Fallibility`]: the part of a function's result that is cached.

use std::convert::Infallible;

use crate::error::{CreateError, RegionError};

/// Splits what a function returns into a value, which is cached, and an error, which is not.
#[diagnostic::on_unimplemented(
    message = "`{R}` is not the `Result` of the standard library",
    label = "written as `Result<T, E>`, but of another type",
    note = "rename the type, or return it through an alias: `type Answer = {R};`"
)]
pub trait Fallibility<R> {
    /// The type of a cached value.
    type Value;
    /// The type of an error, which is not cached.
    type Error: std::fmt::Display;
    /// The error of a call for which neither the region nor the function has a value.
    type Failure;

    /// Converts what the function returned to a `Result`.
    fn result(returned: R) -> Result<Self::Value, Self::Error>;

    /// Converts a `Result` back to what the function returns.
    fn returned(result: Result<Self::Value, Self::Error>) -> R;

    /// Converts the error of a failed call.
    fn failure(error: CreateError<Self::Error>) -> Self::Failure;
}

/// The fallibility of a function that cannot fail: everything that it returns is cached.
#[derive(Clone, Copy, Debug)]
pub enum Sure {}

/// The fallibility of a function that returns a `Result`: only values in `Ok` are cached.
#[derive(Clone, Copy, Debug)]
pub enum Fallible {}

impl<T> Fallibility<T> for Sure {
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

impl<T, E: std::fmt::Display> Fallibility<Result<T, E>> for Fallible {
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

/// What a cached closure of this fallibility may return. The compiler infers the `Kind`.
///
/// A closure of `wrap` may not return a `Result`, whose errors would be cached: use `wrap_fallible`.
pub trait Returns<R, Kind> {}

impl<R: PlainReturn<Kind>, Kind> Returns<R, Kind> for Sure {}

impl<T, E> Returns<Result<T, E>, AnyReturn> for Fallible {}

/// A returned value that is not a `Result`.
///
/// Every type implements it for one `Kind`, and a `Result` for two. The compiler then cannot infer the `Kind` of a
/// `Result`, and its error names both implementations. The module is private, so that other crates cannot implement the trait.
pub trait PlainReturn<Kind> {}

/// The kind of every returned value.
#[derive(Debug)]
pub enum AnyReturn {}

/// Named so that the compiler's error states what to do.
mod use_wrap_fallible {
    /// The kind that makes a `Result` ambiguous.
    ///
    /// A closure that returns a `Result` may fail: call `wrap_fallible`, which does not cache the error.
    #[derive(Debug)]
    pub enum ForAResult {}
}

impl<T> PlainReturn<AnyReturn> for T {}

impl<T, E> PlainReturn<use_wrap_fallible::ForAResult> for Result<T, E> {}
