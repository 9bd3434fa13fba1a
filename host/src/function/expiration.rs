//! [`FunctionExpiration`]: the expiration time of a cached function.

use std::time::Duration;

use crate::expiration::Expiration;

/// The expiration time of a cached function: a number of seconds, a duration, an [`Expiration`], or a function that
/// answers one of these and is asked at each call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no expiration time",
    label = "not an expiration time",
    note = "give a whole number of seconds, a `Duration`, an `Expiration`, or a function without arguments that answers one of these"
)]
pub trait FunctionExpiration {
    /// What it is now.
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
        Expiration::After(*self)
    }
}

/// Seconds.
impl FunctionExpiration for u64 {
    fn now(&self) -> Expiration {
        Expiration::After(Duration::from_secs(*self))
    }
}

impl<E: FunctionExpiration, F: Fn() -> E> FunctionExpiration for F {
    fn now(&self) -> Expiration {
        self().now()
    }
}
