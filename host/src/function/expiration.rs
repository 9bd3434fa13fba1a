//! [`FunctionExpiration`]: the expiration time of a cached function.

use std::time::Duration;

use crate::expiration::Expiration;

/// The expiration time of a cached function.
///
/// It is a number of seconds, a `Duration`, an [`Expiration`], or a function that returns one of these. Such a function
/// is called for each call of the cached function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid expiration time",
    label = "expected an expiration time",
    note = "use a whole number of seconds, a `Duration`, an `Expiration`, or a function without arguments that returns one of these"
)]
pub trait FunctionExpiration {
    /// Returns the expiration time of the current call.
    fn now(&self) -> Expiration;
}

impl FunctionExpiration for Expiration {
    fn now(&self) -> Expiration {
        *self
    }
}

impl FunctionExpiration for Duration {
    #[inline]
    fn now(&self) -> Expiration {
        (*self).into()
    }
}

/// A number of seconds.
impl FunctionExpiration for u64 {
    fn now(&self) -> Expiration {
        (*self).into()
    }
}

impl<E: FunctionExpiration, F: Fn() -> E> FunctionExpiration for F {
    fn now(&self) -> Expiration {
        self().now()
    }
}
