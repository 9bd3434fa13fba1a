//! [`Stream`]: the bytes sent to a server and received from it, each by a deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustls::{ClientConnection, StreamOwned};

use crate::bounded::Bounded;
use crate::failure::Failure;

/// The bytes read at a time, until a reply is larger.
const CHUNK: usize = 8 << 10;
/// The most bytes read at a time. A connection keeps a buffer of at most this size.
const LARGE_CHUNK: usize = 64 << 10;

/// A connection's bytes. All calls end by one [deadline](Self::set_deadline), however slowly bytes arrive.
pub struct Stream {
    socket: Socket,
    /// The bytes that were read last are those from `begin` to `end`. Those before `begin` have been consumed.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

pub(crate) enum Socket {
    Tcp(Bounded<TcpStream>),
    Unix(Bounded<UnixStream>),
    Tls(Box<StreamOwned<ClientConnection, Bounded<TcpStream>>>),
}

impl Stream {
    pub(crate) fn new(socket: Socket) -> Self {
        Stream { socket, buffer: vec![0; CHUNK], begin: 0, end: 0 }
    }

    /// Sets the deadline of all further calls.
    pub fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.socket {
            Socket::Tcp(tcp) => tcp.set_deadline(deadline),
            Socket::Unix(unix) => unix.set_deadline(deadline),
            Socket::Tls(tls) => tls.sock.set_deadline(deadline),
        }
    }

    /// Returns whether the connection uses TLS. Each [`send`](Self::send) then starts a record of its own.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// Sends all of `bytes`. Blocks until the system has accepted them, or until the deadline.
    ///
    /// # Errors
    /// If the connection breaks, or the deadline passes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.socket.write_all(bytes)?;
        Ok(self.socket.flush()?)
    }

    /// Returns the bytes that were read and not [consumed](Self::consume).
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Removes the first `count` unread bytes.
    pub fn consume(&mut self, count: usize) {
        self.begin = (self.begin + count).min(self.end);
    }

    /// Reads at least one byte. Blocks until one arrives, or until the deadline.
    ///
    /// Unread bytes are lost, so all of them must have been consumed. `missing` is the number of bytes known to come. It
    /// is a hint only: at most 64 KiB are read at a time.
    ///
    /// # Errors
    /// If the connection breaks or ends, or the deadline passes.
    pub fn fill(&mut self, missing: usize) -> Result<(), Failure> {
        // Probably more is to come if the last read filled the buffer.
        let (size, was_full) = (self.buffer.len(), self.end == self.buffer.len());
        let wanted = missing.max(if was_full { size * 2 } else { size }).min(LARGE_CHUNK);
        if wanted > size {
            self.buffer.resize(wanted, 0);
        }
        (self.begin, self.end) = (0, 0);
        self.end = self.socket.read(&mut self.buffer)?;
        if self.end == 0 { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) } else { Ok(()) }
    }

    /// Returns whether there are unread bytes, here or in the system's buffer. Does not wait for any.
    ///
    /// # Errors
    /// If the connection is broken. The end of the connection is not an error here.
    pub fn has_unread(&mut self) -> Result<bool, Failure> {
        if !self.unread().is_empty() {
            return Ok(true);
        }
        match &mut self.socket {
            Socket::Tcp(tcp) => Ok(tcp.has_arrived()?),
            Socket::Unix(unix) => Ok(unix.has_arrived()?),
            Socket::Tls(tls) => {
                // Messages of TLS itself, such as new session tickets, may arrive at any time.
                while tls.sock.has_arrived()? && tls.conn.wants_read() {
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

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Leave out the bytes, which may be a value or a password.
        f.debug_struct("Stream").field("unread", &self.unread().len()).finish_non_exhaustive()
    }
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
