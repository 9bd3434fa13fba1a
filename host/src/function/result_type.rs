//! Recognizes a `Result` by its type. An alias of `Result` counts, and another type of the same name does not.
//!
//! The compiler prefers the inherent constant of [`Probe`] to the one of the trait [`NotAResult`]. It chooses while it
//! knows the type, which is why generic parameters of a function cannot be recognized this way. The macros use it as
//! the parameter of [`Recognized`] in the signatures of companions.

use std::marker::PhantomData;

use super::fallibility::{Fallible, Sure};

/// Has the constant `IS_RESULT` for the type `T`.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T, E> Probe<Result<T, E>> {
    /// Preferred to the constant of [`NotAResult`].
    pub const IS_RESULT: bool = true;

    /// Does not compile. Preferred to the function of [`NotAResult`].
    pub const fn is_not_a_result()
    where
        Result<T, E>: WrittenOut,
    {
    }
}

/// A `Result` that was mistaken for another type, which nothing implements.
#[diagnostic::on_unimplemented(
    message = "the return type of a cached function is an alias of `{Self}` with generic parameters",
    label = "write `{Self}` out",
    note = "the macro recognizes an alias of `Result` by its type, except where the alias contains generic parameters"
)]
pub trait WrittenOut {}

/// Has the constant for every other type.
pub trait NotAResult {
    /// Whether the type is a `Result`.
    const IS_RESULT: bool = false;

    /// Does nothing.
    fn is_not_a_result() {}
}

impl<T> NotAResult for Probe<T> {}

/// Whether a return type is a `Result`.
#[derive(Debug)]
pub enum Recognized<const IS_RESULT: bool> {}

/// Which part of a return type is cached.
pub trait Recognition {
    /// [`Sure`] or [`Fallible`].
    type Fallibility;
}

impl Recognition for Recognized<false> {
    type Fallibility = Sure;
}

impl Recognition for Recognized<true> {
    type Fallibility = Fallible;
}
