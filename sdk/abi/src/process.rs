//! Facts about this process: its ID, and whether it has more privileges than its caller.
//!
//! The ID is known without a system call. A fork changes it.

#[cfg(target_os = "linux")]
pub use self::linux::{is_secure_execution, process_id};
#[cfg(not(target_os = "linux"))]
pub use std::process::id as process_id;

/// Returns whether the kernel started this program with privileges that its caller does not have. Always false here.
#[cfg(not(target_os = "linux"))]
pub fn is_secure_execution() -> bool {
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_ulong};
    use std::process;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    /// What the C library calls around a fork.
    type Handler = unsafe extern "C" fn();

    // SAFETY: this is the declaration of POSIX, which the C libraries of Linux follow.
    unsafe extern "C" {
        fn pthread_atfork(prepare: Option<Handler>, parent: Option<Handler>, child: Option<Handler>)
        -> c_int;
        fn getauxval(kind: c_ulong) -> c_ulong;
    }

    /// The entry of the auxiliary vector that requests the secure-execution mode.
    const AT_SECURE: c_ulong = 23;

    /// Returns whether the kernel started this program in secure-execution mode.
    ///
    /// It does so if the program has privileges that its caller does not have: by a set-user-ID or set-group-ID bit, by
    /// capabilities of the file, or by the decision of a security module. The dynamic linker then ignores variables of
    /// the environment such as `LD_LIBRARY_PATH`.
    pub fn is_secure_execution() -> bool {
        // SAFETY: the function reads what the kernel passed to this process. It accepts every number.
        unsafe { getauxval(AT_SECURE) != 0 }
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
    fn ordinary_program_is_not_privileged() {
        assert!(!is_secure_execution());
    }

    #[test]
    fn process_id_is_that_of_the_system() {
        for _ in 0..2 {
            assert_eq!(process_id(), std::process::id());
        }
    }
}
