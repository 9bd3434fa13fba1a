//! [`process_id`]: the ID of this process, which a fork changes.

#[cfg(target_os = "linux")]
pub use self::linux::process_id;
#[cfg(not(target_os = "linux"))]
pub use std::process::id as process_id;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_int;
    use std::process;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    /// What the C library calls around a fork.
    type Handler = unsafe extern "C" fn();

    // SAFETY: this is the declaration of POSIX, which the C libraries of Linux follow.
    unsafe extern "C" {
        fn pthread_atfork(prepare: Option<Handler>, parent: Option<Handler>, child: Option<Handler>)
        -> c_int;
    }

    /// The known ID, or 0.
    static KNOWN: AtomicU32 = AtomicU32::new(0);

    /// Returns the ID of this process, as [`std::process::id`] does, but without a system call.
    ///
    /// Asking the system takes longer than a read of many stores. On Linux, a handler in the child of a fork therefore
    /// discards the known ID. This takes the `fork` of the C library: a raw `clone` is not noticed.
    #[inline]
    pub fn process_id() -> u32 {
        match KNOWN.load(Relaxed) {
            0 => ask(),
            known => known,
        }
    }

    #[cold]
    fn ask() -> u32 {
        static ARE_NOTICED: AtomicBool = AtomicBool::new(false);
        // A fork may come at any moment, so nothing here waits for another thread. Two threads may both arrange it, which
        // is harmless. Without the handler, the system is asked each time.
        if ARE_NOTICED.load(Relaxed) || notice_forks() {
            ARE_NOTICED.store(true, Relaxed);
            // Ask last: had the process forked before, the child would have its parent's ID.
            KNOWN.store(process::id(), Relaxed);
        }
        process::id()
    }

    /// Has [`forget`] called in the child of each fork, and returns whether that was arranged.
    fn notice_forks() -> bool {
        // SAFETY: `forget` only writes an atomic, which is allowed in the child of a fork. The library that contains it is
        // never unloaded, as no library of dogpile is, so that it can be called as long as the process lives.
        unsafe { pthread_atfork(None, None, Some(forget)) == 0 }
    }

    /// Runs in the child of a fork, where little is allowed.
    extern "C" fn forget() {
        KNOWN.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_id_is_that_of_the_system() {
        for _ in 0..2 {
            assert_eq!(process_id(), std::process::id());
        }
    }
}
