//! [`Stream`]: a connection's bytes, with a deadline.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, SockRef, TcpKeepalive, Type};

use super::address::{Address, Place};
use super::options::Options;

/// A source of replies.
pub(super) trait Input {
    /// Reads the next line, without its end. A line much longer than `limit` is an error.
    fn line(&mut self, limit: usize) -> io::Result<&[u8]>;

    /// Reads the next `count` bytes.
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]>;
}

pub(super) struct Stream {
    socket: Socket,
    /// The bytes that were read. The first `used` of them have been returned.
    buffer: Vec<u8>,
    used: usize,
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
trait Timed: Read + Write {
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
    fn new(socket: S, timeout: Duration) -> io::Result<Self> {
        socket.set_timeout(timeout)?;
        Ok(Bounded { socket, deadline: Instant::now() + timeout, timeout })
    }

    /// Makes the next call to the socket end by the deadline.
    ///
    /// Makes a system call only if the deadline has come much nearer since the last time.
    fn bound(&mut self) -> io::Result<()> {
        const SLACK: Duration = Duration::from_millis(2);
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.timeout < left || self.timeout > left + SLACK {
            self.socket.set_timeout(left)?;
            self.timeout = left;
        }
        Ok(())
    }
}

impl<S: Timed> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.socket.read(buffer)
    }
}

impl<S: Timed> Write for Bounded<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Connects, within `options.connect_timeout` for each address of the host.
    pub(super) fn connect(address: &Address, options: &Options) -> io::Result<Self> {
        let timeout = options.timeout;
        let socket = match &address.place {
            Place::Unix(path) => {
                let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.connect_timeout(&SockAddr::unix(path)?, options.connect_timeout)?;
                Socket::Unix(Bounded::new(socket.into(), timeout)?)
            }
            Place::Tcp(host, port) => {
                let tcp = Bounded::new(connect_tcp(host, *port, options)?, timeout)?;
                match &options.tls {
                    None => Socket::Tcp(tcp),
                    Some(tls) => Socket::Tls(Box::new(StreamOwned::new(tls.client(host)?, tcp))),
                }
            }
        };
        Ok(Stream { socket, buffer: Vec::with_capacity(4096), used: 0 })
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
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.socket.flush()
    }

    /// Returns whether the connection uses TLS. Each [`send`](Stream::send) then starts a record of its own.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// Returns whether there are unread bytes.
    pub(super) fn has_unread(&self) -> bool {
        self.used < self.buffer.len()
    }

    /// Reads at least one byte, and makes room for `wanted` bytes.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        // Do not trust a length that a server sends: allocate only as bytes arrive.
        const MOST_AT_ONCE: usize = 256 << 10;
        self.buffer.drain(..self.used);
        self.used = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + wanted.clamp(4096, MOST_AT_ONCE), 0);
        let read = loop {
            match self.socket.read(&mut self.buffer[old..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Input for Stream {
    fn line(&mut self, limit: usize) -> io::Result<&[u8]> {
        let mut looked_at = 0;
        loop {
            let unread = &self.buffer[self.used..];
            if let Some(end) = unread[looked_at..].windows(2).position(|pair| pair == b"\r\n") {
                let begin = self.used;
                let end = begin + looked_at + end;
                self.used = end + 2;
                return Ok(&self.buffer[begin..end]);
            }
            if unread.len() > limit {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
            }
            looked_at = unread.len().saturating_sub(1);
            self.fill(1)?;
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.used < count {
            self.fill(count - (self.buffer.len() - self.used))?;
        }
        let begin = self.used;
        self.used += count;
        Ok(&self.buffer[begin..self.used])
    }
}

fn connect_tcp(host: &str, port: u16, options: &Options) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, options.connect_timeout) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                if let Some(keepalive) = options.keepalive {
                    let probes = TcpKeepalive::new()
                        .with_time(keepalive.idle)
                        .with_interval(keepalive.interval)
                        .with_retries(keepalive.count);
                    SockRef::from(&tcp).set_tcp_keepalive(&probes)?;
                }
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
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
