//! The ID of this process, which a fork changes.
//!
//! Asking the system takes longer than a read from LMDB. On Linux, a handler in the child of a fork therefore discards
//! the known ID. A process that clones itself without the C library's `fork` is not noticed.

#[cfg(target_os = "linux")]
use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(target_os = "linux")]
use crate::lmdb::at_fork;

/// The known ID, or 0.
#[cfg(target_os = "linux")]
static KNOWN: AtomicU32 = AtomicU32::new(0);

/// Returns the ID of this process.
#[cfg(target_os = "linux")]
pub(crate) fn process_id() -> u32 {
    match KNOWN.load(Ordering::Relaxed) {
        0 => ask(),
        known => known,
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

#[cfg(target_os = "linux")]
#[cold]
fn ask() -> u32 {
    static IS_NOTICED: OnceLock<bool> = OnceLock::new();
    let process = std::process::id();
    // Without the handler, the system is asked each time.
    if *IS_NOTICED.get_or_init(|| at_fork(forget)) {
        KNOWN.store(process, Ordering::Relaxed);
    }
    process
}

/// Runs in the child of a fork, where little is allowed.
#[cfg(target_os = "linux")]
extern "C" fn forget() {
    KNOWN.store(0, Ordering::Relaxed);
}
