//! [`Client`]: a connection to a statistics socket.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

/// How long a client may send no request.
const IDLE: Duration = Duration::from_secs(300);

/// How long a client may take to read a reply.
const READING: Duration = Duration::from_secs(10);

/// The most bytes of a request.
const LONGEST: usize = 256;

/// A connection to a statistics socket. It never blocks.
pub(super) struct Client {
    pub(super) stream: UnixStream,
    request: Vec<u8>,
    reply: Vec<u8>,
    /// How much of the reply is sent.
    sent: usize,
    /// When the connection is closed if nothing happens.
    pub(super) deadline: Instant,
    /// When the last request came, or the client.
    pub(super) last_request: Instant,
}

/// Ends the connection, even if a forked child has a copy of it.
impl Drop for Client {
    fn drop(&mut self) {
        // It fails if the other end is closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Client {
    /// Creates the client of a connection, which does not block.
    pub(super) fn new(stream: UnixStream, now: Instant) -> Self {
        let (request, reply) = (Vec::new(), Vec::new());
        Client { stream, request, reply, sent: 0, deadline: now + IDLE, last_request: now }
    }

    /// Returns what the client waits for.
    pub(super) fn events(&self) -> PollFlags {
        if self.reply.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Returns whether a request is there already, which came together with the one before it.
    pub(super) fn has_request(&self) -> bool {
        self.reply.is_empty() && self.request.contains(&b'\n')
    }

    /// Reads and writes what is possible without blocking. Returns whether the connection stays open.
    ///
    /// A client gets one reply in each turn, so that it does not keep out the others.
    pub(super) fn proceed(&mut self, now: Instant, reply: impl FnOnce(&str) -> String) -> bool {
        if self.reply.is_empty() && !self.has_request() && !self.receive() {
            return false;
        }
        if let Some(end) =
            self.request.iter().position(|byte| *byte == b'\n').filter(|_| self.reply.is_empty())
        {
            let line: Vec<u8> = self.request.drain(..=end).collect();
            self.reply = format!("{}\n", reply(String::from_utf8_lossy(&line).trim())).into_bytes();
            (self.deadline, self.last_request) = (now + READING, now);
        }
        self.request.len() <= LONGEST && self.send(now)
    }

    /// Reads a part of a request. Returns whether the connection stays open.
    fn receive(&mut self) -> bool {
        let mut part = [0; LONGEST];
        match self.stream.read(&mut part) {
            Ok(0) => false,
            Ok(length) => {
                self.request.extend_from_slice(&part[..length]);
                true
            }
            Err(error) => is_harmless(error.kind()),
        }
    }

    /// Sends a part of the reply, if there is one. Returns whether the connection stays open.
    fn send(&mut self, now: Instant) -> bool {
        while self.sent < self.reply.len() {
            match self.stream.write(&self.reply[self.sent..]) {
                Ok(0) => return false,
                Ok(length) => self.sent += length,
                Err(error) => return is_harmless(error.kind()),
            }
        }
        if self.sent > 0 {
            (self.sent, self.deadline) = (0, now + IDLE);
            self.reply.clear();
        }
        true
    }
}

/// Returns whether an error only means that nothing is possible at the moment.
fn is_harmless(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::io::BufRead;

    use super::*;

    /// Returns a client, and the other end of its connection.
    fn client() -> (Client, UnixStream, Instant) {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        here.set_nonblocking(true).expect("it can be changed");
        let now = Instant::now();
        (Client::new(here, now), there, now)
    }

    #[test]
    fn request_in_pieces_gets_one_reply() {
        let (mut client, mut there, now) = client();
        assert!(client.proceed(now, |_| unreachable!("there is no request")));
        there.write_all(b"statis").unwrap();
        assert!(client.proceed(now, |_| unreachable!("the request is not complete")));
        there.write_all(b"tics\nagain\n").unwrap();
        assert!(client.proceed(now, |request| format!("<{request}>")));
        assert!(client.has_request());
        assert!(client.proceed(now, |request| format!("<{request}>")));
        let mut lines = std::io::BufReader::new(there).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "<statistics>");
        assert_eq!(lines.next().unwrap().unwrap(), "<again>");
    }

    #[test]
    fn reply_that_is_not_read_waits_with_a_deadline() {
        let (mut client, mut there, now) = client();
        there.write_all(b"statistics\n").unwrap();
        let long = "x".repeat(4 << 20);
        assert!(client.proceed(now, |_| long.clone()));
        assert_eq!((client.events(), client.deadline), (PollFlags::OUT, now + READING));
        let reading = std::thread::spawn(move || {
            let mut read = vec![0; (4 << 20) + 1];
            there.read_exact(&mut read).map(|()| read)
        });
        while client.events() == PollFlags::OUT {
            assert!(client.proceed(now, |_| unreachable!("there is one request")));
            std::thread::yield_now();
        }
        let read = reading.join().unwrap().unwrap();
        assert!(read[..long.len()] == *long.as_bytes() && read.ends_with(b"\n"));
        assert_eq!(client.deadline, now + IDLE);
    }

    #[test]
    fn request_that_is_too_long_ends_the_connection() {
        let (mut client, mut there, now) = client();
        there.write_all(&[b'x'; LONGEST]).unwrap();
        assert!(client.proceed(now, |_| unreachable!()));
        there.write_all(b"x").unwrap();
        assert!(!client.proceed(now, |_| unreachable!()));
    }

    #[test]
    fn closed_connection_ends() {
        let (mut client, there, now) = client();
        drop(there);
        assert!(!client.proceed(now, |_| unreachable!()));
    }
}
