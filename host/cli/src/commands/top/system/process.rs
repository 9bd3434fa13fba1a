//! [`Process`]: a connection to the statistics socket of a process.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use dogpile_abi::peer_of;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::{Pid, test_kill_process};

use super::super::snapshot::Snapshot;

/// The longest reply, in bytes.
const LONGEST: usize = 16 << 20;

/// A connection to the statistics socket of a process. It is opened when it is needed.
#[derive(Debug, Default)]
pub(crate) struct Process(Option<UnixStream>);

impl Process {
    /// Returns what the process at `path` counted, by `deadline` at the latest.
    ///
    /// # Errors
    /// Why there is no reply, as a sentence about the socket.
    pub(crate) fn ask(&mut self, path: &Path, deadline: Instant) -> Result<Snapshot, String> {
        let kept = self.0.take();
        let was_kept = kept.is_some();
        let mut stream = kept.map_or_else(|| connect(path), Ok)?;
        let reply = match exchange(&mut stream, deadline) {
            // The process closed an idle connection, or has ended.
            Err(error) if was_kept && error.kind() != io::ErrorKind::TimedOut => {
                stream = connect(path)?;
                exchange(&mut stream, deadline)
            }
            replied => replied,
        };
        let snapshot = Snapshot::read(&reply.map_err(|error| no_reply(&error))?)?;
        self.0 = Some(stream);
        Ok(snapshot)
    }
}

fn no_reply(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "the process does not reply in time".to_owned(),
        io::ErrorKind::UnexpectedEof => "the process closed the connection".to_owned(),
        _ => format!("the process does not reply: {error}"),
    }
}

fn connect(path: &Path) -> Result<UnixStream, String> {
    try_connect(path).map_err(|error| match error {
        Errno::NOENT => "no process has opened it".to_owned(),
        Errno::CONNREFUSED | Errno::SRCH => "the process that opened it has ended".to_owned(),
        Errno::ACCESS => "it belongs to another user".to_owned(),
        Errno::AGAIN => "the process accepts no connection".to_owned(),
        error => format!("cannot connect: {}", io::Error::from(error)),
    })
}

/// Connects without blocking: the queue of a process that is stopped may be full.
fn try_connect(path: &Path) -> Result<UnixStream, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::net::connect(&socket, &address)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    check_listening(&socket)?;
    Ok(socket.into())
}

/// Fails if the process that listens has ended. A child that it forked keeps its socket open, and never replies.
///
/// A process in another container has no ID here. It is asked.
fn check_listening(socket: &OwnedFd) -> Result<(), Errno> {
    let process = peer_of(socket.as_fd()).ok().flatten().and_then(|peer| peer.process);
    let pid = process.and_then(|process| Pid::from_raw(i32::try_from(process.get()).ok()?));
    match pid.map(test_kill_process) {
        Some(Err(Errno::SRCH)) => Err(Errno::SRCH),
        _ => Ok(()),
    }
}

/// Sends a request, and returns the reply.
fn exchange(stream: &mut UnixStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let left = || -> io::Result<Duration> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    };
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(b"statistics\n").map_err(timed_out)?;
    let (mut reply, mut part) = (Vec::new(), [0; 16 << 10]);
    while reply.last() != Some(&b'\n') {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut part) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) if reply.len() + length > LONGEST => {
                return Err(io::Error::other("the reply is too long"));
            }
            Ok(length) => reply.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
    Ok(reply)
}

/// A read or write that takes too long is reported in two ways.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn process_that_is_gone_or_hangs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let ask = || Process::default().ask(&path, Instant::now() + SHORT).unwrap_err();
        assert_eq!(ask(), "no process has opened it");
        let listener = UnixListener::bind(&path).unwrap();
        let began = Instant::now();
        assert_eq!(ask(), "the process does not reply in time");
        assert!(began.elapsed() < Duration::from_secs(20));
        // Closing it would not be enough: a program that another test starts has it open as well until it begins.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        assert_eq!(ask(), "the process that opened it has ended");
    }

    #[test]
    fn connection_that_the_process_closed_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || {
            for reply in ["{\"version\":1,\"pid\":1}\n", "{\"version\":1,\"pid\":2}\n", "{\"version\""] {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 11]).unwrap();
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        let mut process = Process::default();
        let mut ask = || process.ask(&path, Instant::now() + Duration::from_secs(20));
        assert_eq!((ask().unwrap().pid, ask().unwrap().pid), (1, 2));
        assert_eq!(ask().unwrap_err(), "the process closed the connection");
        serving.join().unwrap();
    }
}
