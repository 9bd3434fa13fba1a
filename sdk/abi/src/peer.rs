//! [`peer_of`]: which process is at the other end of a unix socket.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;

/// The process at the other end of a unix socket.
///
/// It is the one that called `connect`, `listen`, or `socketpair`.
/// A process that it forked may have the socket by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The process ID. `None` if the process is in another PID namespace, so that it has no ID here.
    pub process: Option<NonZeroU32>,
    /// The effective user ID.
    pub user: u32,
}

/// Returns the process at the other end of the connected unix socket `socket`.
///
/// Returns `None` on systems that do not record it. Those are all except Linux.
///
/// # Errors
/// If `socket` is not a socket.
pub fn peer_of(socket: BorrowedFd<'_>) -> io::Result<Option<Peer>> {
    system::peer_of(socket)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::ffi::{c_int, c_void};
    use std::os::fd::AsRawFd;

    use super::*;

    // SAFETY: this is the declaration of POSIX. `socklen_t` is an unsigned integer of 32 bits on Linux.
    unsafe extern "C" {
        fn getsockopt(
            socket: c_int,
            level: c_int,
            name: c_int,
            value: *mut c_void,
            length: *mut u32,
        ) -> c_int;
    }

    /// `SOL_SOCKET` and `SO_PEERCRED`, which a few processors number in their own way.
    const OPTION: (c_int, c_int) = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6"
    )) {
        (0xffff, 18)
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        (0xffff, 0x40)
    } else if cfg!(any(target_arch = "powerpc", target_arch = "powerpc64")) {
        (1, 21)
    } else {
        (1, 17)
    };

    /// The layout of `ucred`. A process without an ID in this namespace has the ID 0.
    #[derive(Default)]
    #[repr(C)]
    struct Credentials {
        process: u32,
        user: u32,
        group: u32,
    }

    pub(super) fn peer_of(socket: BorrowedFd<'_>) -> io::Result<Option<Peer>> {
        let mut found = Credentials::default();
        let mut length = size_of::<Credentials>() as u32;
        // SAFETY: the descriptor is open as long as it is borrowed. The kernel writes at most `length` bytes to `found`,
        // which is as long, and every value of its bytes is valid.
        let result = unsafe {
            getsockopt(socket.as_raw_fd(), OPTION.0, OPTION.1, (&raw mut found).cast(), &raw mut length)
        };
        match result {
            0 if length as usize == size_of::<Credentials>() => {
                Ok(Some(Peer { process: NonZeroU32::new(found.process), user: found.user }))
            }
            0 => Err(io::ErrorKind::InvalidData.into()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::*;

    pub(super) fn peer_of(_socket: BorrowedFd<'_>) -> io::Result<Option<Peer>> {
        Ok(None)
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn peer_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().expect("a pair of sockets");
        let peer = peer_of(one.as_fd()).expect("it is a socket");
        let user = std::fs::metadata("/proc/self").expect("it is this process").uid();
        assert_eq!(peer, Some(Peer { process: NonZeroU32::new(std::process::id()), user }));
    }

    #[test]
    fn file_has_no_peer() {
        let file = File::open("/dev/null").expect("each system has it");
        assert!(peer_of(file.as_fd()).is_err());
    }
}
