//! [`Stream`]: the bytes that are sent to a server and received from it, each by a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, SockRef, Type};

use super::failure::Failure;
use super::resolver::Resolver;
use super::server::{Address, Profile, Server};
use crate::config::Node;

/// The bytes read at a time, until a reply is larger.
const CHUNK: usize = 8 << 10;
/// The most bytes read at a time. A connection keeps a buffer of at most this size.
const LARGE_CHUNK: usize = 64 << 10;

/// A connection's bytes.
pub(super) struct Stream {
    socket: Socket,
    /// The bytes that were read last are those from `begin` to `end`. Those before `begin` have been used.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

enum Socket {
    Tcp(Bounded<TcpStream>),
    Unix(Bounded<UnixStream>),
    Tls(Box<StreamOwned<ClientConnection, Bounded<TcpStream>>>),
}

/// A socket whose calls end by a deadline. It lies beneath TLS, which may call it many times for one byte.
struct Bounded<S> {
    socket: S,
    deadline: Instant,
    /// The current timeouts of the socket.
    timeout: Duration,
}

/// A socket with timeouts.
trait Timed: Read + Write + AsFd {
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
    fn new(socket: S, deadline: Instant) -> Self {
        Bounded { socket, deadline, timeout: Duration::ZERO }
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
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.timeout.abs_diff(left) > left / 32 {
            self.socket.set_timeout(left)?;
            self.timeout = left;
        }
        Ok(())
    }
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

impl Stream {
    /// Connects by `deadline`, TLS included.
    pub(super) fn connect(server: &Server, resolver: &Resolver, deadline: Instant) -> Result<Self, Failure> {
        let socket = match &server.address {
            Address::Unix(path) => {
                let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.connect_timeout(&SockAddr::unix(path)?, left_until(deadline)?)?;
                Socket::Unix(Bounded::new(socket.into(), deadline))
            }
            Address::Tcp(node) => {
                let profile = &server.profile;
                let tcp = Bounded::new(connect_tcp(node, resolver, profile, deadline)?, deadline);
                match &profile.tls {
                    None => Socket::Tcp(tcp),
                    Some(tls) => Socket::Tls(Box::new(encrypted(tls.client(&node.host)?, tcp)?)),
                }
            }
        };
        Ok(Stream { socket, buffer: vec![0; CHUNK], begin: 0, end: 0 })
    }

    /// Sets the deadline of all further sends and reads.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.socket {
            Socket::Tcp(tcp) => tcp.deadline = deadline,
            Socket::Unix(unix) => unix.deadline = deadline,
            Socket::Tls(tls) => tls.sock.deadline = deadline,
        }
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)?;
        self.socket.flush()
    }

    /// Returns the bytes that were read and not [consumed](Self::consume).
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.begin = (self.begin + count).min(self.end);
    }

    /// Reads at least one byte. All bytes must have been consumed. `missing` is the number of bytes known to come.
    pub(super) fn fill(&mut self, missing: usize) -> io::Result<()> {
        // Probably more is to come if the last read filled the buffer.
        let (size, was_full) = (self.buffer.len(), self.end == self.buffer.len());
        let wanted = missing.max(if was_full { size * 2 } else { size }).min(LARGE_CHUNK);
        if wanted > size {
            self.buffer.resize(wanted, 0);
        }
        (self.begin, self.end) = (0, 0);
        self.end = self.socket.read(&mut self.buffer)?;
        if self.end == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Returns whether there are unread bytes, here or in the system's buffer. Does not wait for any.
    pub(super) fn has_unread(&mut self) -> io::Result<bool> {
        if !self.unread().is_empty() {
            return Ok(true);
        }
        match &mut self.socket {
            Socket::Tcp(tcp) => has_arrived(&tcp.socket),
            Socket::Unix(unix) => has_arrived(&unix.socket),
            Socket::Tls(tls) => {
                // Messages of TLS itself, such as new session tickets, may arrive at any time.
                while has_arrived(&tls.sock.socket)? && tls.conn.wants_read() {
                    if tls.conn.read_tls(&mut tls.sock)? == 0 {
                        break;
                    }
                    let state = tls.conn.process_new_packets().map_err(io::Error::other)?;
                    if state.plaintext_bytes_to_read() > 0 {
                        return Ok(true);
                    }
                }
                Ok(!tls.conn.wants_read())
            }
        }
    }
}

/// Returns whether bytes have arrived. The end of the connection does not count: the next call reports it.
fn has_arrived(socket: impl AsFd) -> io::Result<bool> {
    match rustix::net::recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, count)) => Ok(count > 0),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns the time left, which is not zero.
fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Performs the handshake.
fn encrypted(
    mut client: ClientConnection,
    mut tcp: Bounded<TcpStream>,
) -> io::Result<StreamOwned<ClientConnection, Bounded<TcpStream>>> {
    while client.is_handshaking() {
        client.complete_io(&mut tcp)?;
    }
    Ok(StreamOwned::new(client, tcp))
}

fn connect_tcp(
    node: &Node,
    resolver: &Resolver,
    profile: &Profile,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let addresses = match resolver.resolve(node, deadline) {
        Ok(addresses) => addresses,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(Failure::TimedOut),
        Err(error) => return Err(Failure::Broken(error)),
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for (number, address) in (0..).zip(&addresses) {
        // Leave time for the other addresses.
        let others = addresses.len() as u32 - number;
        let connected = left_until(deadline).and_then(|left| {
            let tcp = TcpStream::connect_timeout(address, (left / others).max(Duration::from_nanos(1)))?;
            tcp.set_nodelay(true)?;
            if let Some(keepalive) = &profile.keepalive {
                SockRef::from(&tcp).set_tcp_keepalive(keepalive)?;
            }
            Ok(tcp)
        });
        match connected {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.read(buffer),
            Socket::Unix(unix) => unix.read(buffer),
            Socket::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.write(bytes),
            Socket::Unix(unix) => unix.write(bytes),
            Socket::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Tcp(_) | Socket::Unix(_) => Ok(()),
            Socket::Tls(tls) => tls.flush(),
        }
    }
}
