//! [`contained`]: calls of observers, which are foreign code.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::observer::Observer;
use crate::log_targets::OBSERVER;
use crate::region_limits::RegionLimits;

/// The limits of the warnings about observers that panic.
static PANICS: RegionLimits = RegionLimits::new();

thread_local! {
    /// The observers that this thread is calling.
    static CALLED: RefCell<Vec<Identity>> = const { RefCell::new(Vec::new()) };
}

/// An observer of a region. It is the same after the region was configured again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The hash of the region's name.
    region: u64,
    /// The address of the registered observer.
    observer: usize,
}

impl Identity {
    pub(super) fn of(region: &str, registered: &Arc<dyn Observer>) -> Self {
        let mut hasher = DefaultHasher::new();
        region.hash(&mut hasher);
        Identity { region: hasher.finish(), observer: Arc::as_ptr(registered).addr() }
    }
}

/// An observer of a region, which a registered one may have made.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) identity: Identity,
    pub(super) observer: Arc<dyn Observer>,
}

/// Calls `observed`, an observer of `region` or a span of that observer. A panic is logged, and does not reach the caller.
///
/// An observer that calls its region is not called for what it causes there. Otherwise it would not end.
pub(super) fn contained<O: ?Sized, R>(
    region: &str,
    observer: Identity,
    observed: &O,
    call: impl FnOnce(&O) -> R,
) -> Option<R> {
    let _calling = Calling::begin(observer)?;
    match catch_unwind(AssertUnwindSafe(|| call(observed))) {
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
    fn begin(observer: Identity) -> Option<Self> {
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
