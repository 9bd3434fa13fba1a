//! Panics stop at the FFI boundary. Every function that the other side may call runs inside [`contain`].

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

#[cfg(feature = "plugins")]
use crate::error::AbiError;

thread_local! {
    /// The file and line of this thread's last panic.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records where a thread panicked. A panic hook calls it, because a caught panic no longer has its location.
pub fn record_panic_location(location: &Location<'_>) {
    let text = location.to_string();
    // The thread may be ending. The location is lost then, and nothing else.
    let _ = LAST_PANIC.try_with(|last| last.replace(Some(text)));
}

/// Runs `work` and returns its result, or an error if it panics.
#[cfg(feature = "plugins")]
#[inline(always)]
pub(crate) fn contain<R>(work: impl FnOnce() -> Result<R, AbiError>) -> Result<R, AbiError> {
    // A panic may leave data half changed, but only behind the backend's own locks. The caller sees only the error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(payload) => Err(panicked(payload)),
    }
}

#[cfg(feature = "plugins")]
#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> AbiError {
    AbiError::panicked(panic_message(payload), take_panic_location())
}

/// Returns the file and line of this thread's last panic, and forgets it.
///
/// They are known if a panic hook passed them to [`record_panic_location`].
pub fn take_panic_location() -> Option<String> {
    LAST_PANIC.try_with(RefCell::take).ok().flatten()
}

/// Runs `work` and drops its panic. For calls that cannot return an error, such as a `Drop`.
pub(crate) fn contain_drop(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        panic_message(payload);
    }
}

/// Returns the message of a panic.
///
/// A payload of a type that `panic!` does not make is leaked. Its own `Drop` might panic again, and nothing would catch
/// that.
pub fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(other) => {
                std::mem::forget(other);
                "a panic without a message".to_owned()
            }
        },
    }
}
