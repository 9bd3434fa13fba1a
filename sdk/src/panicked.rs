//! Errors that stand for panics, and the panic hook that records where they happen.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use dogpile_abi::{panic_message, record_panic_location, take_panic_location};

use crate::error::{BackendError, ErrorKind};

/// Returns the error for a panic of `origin` that was caught on this thread.
#[cold]
pub(crate) fn panicked(origin: &str, payload: Box<dyn Any + Send>) -> BackendError {
    let message = panic_message(payload);
    match take_panic_location() {
        None => BackendError::new(ErrorKind::Panicked, format!("{origin} panicked: {message}")),
        Some(location) => {
            let message = format!("{origin} panicked at {location}: {message}");
            BackendError::new(ErrorKind::Panicked, message).at_location(location)
        }
    }
}

/// Runs `work` and drops its panic. For calls that cannot return an error.
pub(crate) fn without_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| drop(panic_message(payload))).ok()
}

/// Has the location of each panic recorded from now on, for the error that may stand for it.
///
/// A panic that was caught has lost its location. The previous panic hook is called afterwards.
pub(crate) fn record_panic_locations() {
    static ONCE: Once = Once::new();
    // A panicking thread cannot change the hook.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if let Some(location) = panic.location() {
                record_panic_location(location);
            }
            previous(panic);
        }));
    });
}
