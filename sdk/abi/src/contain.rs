//! Panics stop at the border: every function that the other side may call runs inside [`contain`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::AbiError;

/// Runs `work`; a panic in it becomes an error that says so.
#[inline(always)]
pub(crate) fn contain<R>(work: impl FnOnce() -> Result<R, AbiError>) -> Result<R, AbiError> {
    // Whatever `work` left half done is behind the backend's own locks: the caller sees only the error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(payload) => Err(AbiError::panicked(panic_message(payload))),
    }
}

/// Runs `work`, which has nobody to report a panic to (a `Drop`), and reports it as lost.
pub(crate) fn contain_drop(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        panic_message(payload);
    }
}

/// The text that a panic was raised with.
///
/// The payload is leaked where it is neither of the two texts that `panic!` makes: its own `Drop` might panic
/// again, with nobody left to catch it.
pub fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(other) => {
                std::mem::forget(other);
                "a panic without a text".to_owned()
            }
        },
    }
}
