//! [`Bounded`]: a socket whose calls end by a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;

/// A socket whose calls end by a deadline. It lies beneath TLS, which may call it many times for one byte.
pub(crate) struct Bounded<S> {
    socket: S,
    deadline: Instant,
    /// The current timeouts of the socket.
    timeout: Duration,
}

/// A socket with timeouts.
pub(crate) trait Timed: Read + Write + AsFd {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout)).and_then(|()| self.set_write_timeout(Some(timeout)))
    }
}

impl Timed for UnixStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout)).and_then(|()| self.set_write_timeout(Some(timeout)))
    }
}

impl<S: Timed> Bounded<S> {
    pub(crate) fn new(socket: S, deadline: Instant) -> Self {
        Bounded { socket, deadline, timeout: Duration::ZERO }
    }

    /// Sets the deadline of all further calls.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Returns whether bytes have arrived. The end of the connection does not count: the next call reports it.
    pub(crate) fn has_arrived(&self) -> io::Result<bool> {
        match rustix::net::recv(&self.socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, count)) => Ok(count > 0),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Repeats `call` until it ends with something other than a timeout, or until the deadline.
    fn bounded<T>(&mut self, mut call: impl FnMut(&mut S) -> io::Result<T>) -> io::Result<T> {
        loop {
            self.limit_next_call()?;
            match call(&mut self.socket) {
                Err(error) if is_interruption(&error) => {}
                ended => return ended,
            }
        }
    }

    /// Makes the next call to the socket end near the deadline.
    ///
    /// Makes a system call only if the timeout is wrong by more than a thirty-second. It rarely is, because exchanges
    /// have the same timeout.
    fn limit_next_call(&mut self) -> io::Result<()> {
        let left = left_until(self.deadline)?;
        if self.timeout.abs_diff(left) > left / 32 {
            self.socket.set_timeout(left)?;
            self.timeout = left;
        }
        Ok(())
    }
}

/// Returns the time left, which is not zero.
///
/// # Errors
/// If the deadline has passed.
pub(crate) fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Returns whether a call ended early and may be repeated. The socket's timeout may end before the deadline.
fn is_interruption(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

impl<S: Timed> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bounded(|socket| socket.read(buffer))
    }
}

impl<S: Timed> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bounded(|socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
