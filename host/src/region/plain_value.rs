//! [`PlainValue`]: what the creator of `get_or_create` returns, which is not a `Result`.

/// A value that is not a `Result`.
///
/// Every type implements it for one `Kind`, and a `Result` for two. The compiler then cannot infer the `Kind` of a
/// `Result`, and its error names both implementations. The module is private, so that other crates cannot implement the trait.
pub trait PlainValue<Kind> {}

/// The kind of every value.
#[derive(Debug)]
pub enum AnyValue {}

/// Named so that the compiler's error states what to do.
mod use_try_get_or_create {
    /// The kind that makes a `Result` ambiguous.
    ///
    /// A creator that returns a `Result` may fail: call `try_get_or_create`, which does not cache the error.
    #[derive(Debug)]
    pub enum ForAResult {}
}

impl<T> PlainValue<AnyValue> for T {}

impl<T, E> PlainValue<use_try_get_or_create::ForAResult> for Result<T, E> {}
