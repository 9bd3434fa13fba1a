//! [`contained`]: calls of observers, which are foreign code.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::log_targets::OBSERVER;

/// Calls an observer of `region`. A panic is logged, and does not reach the caller.
pub(super) fn contained<R>(region: &str, call: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            log_panic(region, &dogpile_abi::panic_message(payload));
            None
        }
    }
}

#[cold]
fn log_panic(region: &str, panic: &str) {
    tracing::error!(target: OBSERVER, region, panic, "an observer panicked; the call goes on without it");
}
