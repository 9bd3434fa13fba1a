//! [`Outcome`]: the part of a function's result that is cached.

use std::convert::Infallible;

use crate::error::{CreateError, RegionError};

/// Splits what a function returns into a value, which is cached, and an error, which is not.
#[diagnostic::on_unimplemented(
    message = "`{R}` is not the `Result` of the standard library",
    label = "written as `Result<T, E>`, but of another type",
    note = "rename the type, or return it through an alias: `type Answer = {R};`"
)]
pub trait Outcome<R> {
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

/// The outcome of a function that cannot fail: everything that it returns is cached.
#[derive(Clone, Copy, Debug)]
pub enum Sure {}

/// The outcome of a function that returns a `Result`: only values in `Ok` are cached.
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
