//! [`contained`]: calls of observers, which are foreign code.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::log_targets::OBSERVER;
use crate::region_limits::RegionLimits;

/// The limits of the warnings about observers that panic.
static PANICS: RegionLimits = RegionLimits::new();

thread_local! {
    /// The observers that this thread is calling.
    static CALLED: RefCell<Vec<Called>> = const { RefCell::new(Vec::new()) };
}

/// The addresses of a region's name and of its observer.
type Called = (usize, usize);

/// Calls `observer` of `region`. A panic is logged, and does not reach the caller.
///
/// An observer that calls its region is not called for what it causes there. Otherwise it would not end.
pub(super) fn contained<O: ?Sized, R>(region: &str, observer: &O, call: impl FnOnce(&O) -> R) -> Option<R> {
    let _calling = Calling::begin((region.as_ptr().addr(), (&raw const *observer).addr()))?;
    match catch_unwind(AssertUnwindSafe(|| call(observer))) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            log_panic(region, &dogpile_abi::panic_message(payload));
            None
        }
    }
}

/// The time in which a thread calls an observer.
struct Calling;

impl Calling {
    /// Begins a call, unless the thread is calling this observer already.
    fn begin(observer: Called) -> Option<Self> {
        let is_new = CALLED.try_with(|called| {
            let mut called = called.borrow_mut();
            let is_new = !called.contains(&observer);
            if is_new {
                called.push(observer);
            }
            is_new
        });
        // Not `then_some`, which would drop a mark at once. A thread that is ending has no list any more.
        is_new.unwrap_or(true).then(|| Calling)
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        // It fails if the thread is ending.
        let _ = CALLED.try_with(|called| called.borrow_mut().pop());
    }
}

#[cold]
fn log_panic(region: &str, panic: &str) {
    let Some(suppressed) = PANICS.pass(region) else { return };
    tracing::error!(target: OBSERVER, region, panic, suppressed, "an observer panicked; the call goes on without it");
}
