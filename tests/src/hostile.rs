//! [`HostileServer`]: a Redis server that sends anything but the right reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::threads::{Signal, until};

/// How a server behaves instead of replying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// It replies as it should.
    None,
    /// It never replies.
    Freeze,
    /// It replies to scripts that the lock is held by another holder, to `ECHO` as it should, and to nothing else.
    Hold,
    /// It sends the bytes, and then nothing.
    Send(&'static [u8]),
    /// It sends the bytes as the reply to this command, logins included, and replies to others as it should.
    Answer(&'static str, &'static [u8]),
    /// It sends the first bytes once, and the others forever.
    Stream(&'static [u8], &'static [u8]),
    /// It sends the first bytes, and then the last byte of them every few milliseconds.
    Drip(&'static [u8]),
    /// It sends lists that are nested this deep.
    Nest(usize),
    /// It sends the reply twice.
    Repeat,
    /// It sends the reply, and once more when [`HostileServer::repeat_now`] is called.
    RepeatLater,
    /// It sends this many bytes of the reply, and closes the connection.
    Cut(usize),
}

/// A server of values that every key has: [`HostileServer::value`].
#[derive(Debug)]
pub struct HostileServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    port: u16,
    misbehavior: Mutex<Misbehavior>,
    /// The number of connections that were opened.
    connections: AtomicUsize,
    /// A signal to send replies again.
    repeat: Signal,
    /// The number of replies that were sent again later.
    repeated: AtomicUsize,
    /// The names of the commands that were received.
    received: Mutex<Vec<String>>,
}

impl HostileServer {
    /// Starts a server, which replies as it should for now.
    ///
    /// # Panics
    /// Panics if there is no free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (connections, repeat, repeated, received) = Default::default();
        let misbehavior = Mutex::new(Misbehavior::None);
        let shared = Arc::new(Shared { port, misbehavior, connections, repeat, repeated, received });
        let serving = Arc::clone(&shared);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serving.connections.fetch_add(1, SeqCst);
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(client));
            }
        });
        HostileServer { port, shared }
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of connections that were opened so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Sends the replies of [`Misbehavior::RepeatLater`] again, and returns when the first one was sent.
    ///
    /// # Panics
    /// Panics if there is none.
    pub fn repeat_now(&self) {
        self.shared.repeat.give();
        until("a reply is sent again", || self.shared.repeated.load(SeqCst) > 0);
    }

    /// Returns how often the command `name` was received so far.
    pub fn received(&self, name: &str) -> usize {
        self.shared.received.lock().iter().filter(|received| *received == name).count()
    }

    /// Misbehaves at each request from now on, except at a login.
    pub fn misbehave(&self, misbehavior: Misbehavior) {
        *self.shared.misbehavior.lock() = misbehavior;
    }

    /// Returns the value of `key`, which is different for each key.
    pub fn value(key: &str) -> String {
        format!("the value of {key}")
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) {
        let mut unread = Vec::new();
        // Send each reply at once, so that a repeated one does not wait for the next request.
        let _ = client.set_nodelay(true);
        while let Some(words) = next_command(&mut client, &mut unread) {
            // It fails when the client closes the connection.
            if self.reply(&words, &mut client).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    fn reply(&self, words: &[String], client: &mut TcpStream) -> std::io::Result<()> {
        self.received.lock().extend(words.first().cloned());
        let reply = reply_to(words, self.port);
        let is = |command: &str| words.first().is_some_and(|name| name == command);
        let misbehavior = match *self.misbehavior.lock() {
            Misbehavior::Answer(command, bytes) if is(command) => return client.write_all(bytes),
            Misbehavior::Answer(..) => Misbehavior::None,
            misbehavior if !is("AUTH") => misbehavior,
            _ => Misbehavior::None,
        };
        match misbehavior {
            Misbehavior::None | Misbehavior::Answer(..) => client.write_all(&reply),
            Misbehavior::Hold if is("ECHO") => client.write_all(&reply),
            Misbehavior::Hold if is("EVAL") => client.write_all(b":0\r\n"),
            Misbehavior::Freeze | Misbehavior::Hold => Ok(()),
            Misbehavior::Send(bytes) => client.write_all(bytes),
            Misbehavior::Stream(first, rest) => {
                client.write_all(first)?;
                loop {
                    client.write_all(rest)?;
                }
            }
            Misbehavior::Drip(bytes) => {
                client.write_all(bytes)?;
                while let Some(last) = bytes.last() {
                    thread::sleep(Duration::from_millis(5));
                    client.write_all(&[*last])?;
                }
                Ok(())
            }
            Misbehavior::Nest(depth) => client.write_all(&[&b"*1\r\n".repeat(depth)[..], b":1\r\n"].concat()),
            Misbehavior::Repeat => client.write_all(&reply.repeat(2)),
            Misbehavior::RepeatLater => {
                client.write_all(&reply)?;
                self.repeat.wait();
                client.write_all(&reply)?;
                self.repeated.fetch_add(1, SeqCst);
                Ok(())
            }
            Misbehavior::Cut(bytes) => {
                client.write_all(&reply[..bytes.min(reply.len())])?;
                client.shutdown(Shutdown::Both)
            }
        }
    }
}

/// Returns the right reply of a server on `port`, which is also the only master of a cluster, and a sentinel.
fn reply_to(words: &[String], port: u16) -> Vec<u8> {
    let value = |key: &String| {
        let value = format!("{{\"ct\": 1700000000.0, \"v\": 2}}|\"{}\"", HostileServer::value(key));
        format!("${}\r\n{value}\r\n", value.len())
    };
    let reply = match words.split_first() {
        Some((name, keys)) if name == "GET" => keys.iter().map(value).collect(),
        Some((name, keys)) if name == "MGET" => {
            format!("*{}\r\n{}", keys.len(), keys.iter().map(value).collect::<String>())
        }
        Some((name, words)) if name == "ECHO" => {
            words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect()
        }
        Some((name, _)) if name == "CLUSTER" => {
            format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
        }
        Some((name, words)) if name == "SENTINEL" => {
            let is_of_the_master = words.first().is_some_and(|word| word == "GET-MASTER-ADDR-BY-NAME");
            let digits = port.to_string().len();
            let master = format!("*2\r\n$9\r\n127.0.0.1\r\n${digits}\r\n{port}\r\n");
            if is_of_the_master { master } else { "*0\r\n".to_owned() }
        }
        Some((name, _)) if ["DEL", "EVAL", "EXISTS"].contains(&&**name) => ":1\r\n".to_owned(),
        _ => "+OK\r\n".to_owned(),
    };
    reply.into_bytes()
}

/// Reads the next command, or returns `None` at the end of the connection. `unread` has what was read beyond it.
fn next_command(client: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Vec<String>> {
    loop {
        if let Some((words, length)) = parse(unread) {
            unread.drain(..length);
            return Some(words);
        }
        // Something other than a command, such as a TLS handshake, counts as one without words.
        if unread.first().is_some_and(|byte| *byte != b'*') {
            unread.clear();
            return Some(Vec::new());
        }
        let mut buffer = [0; 1 << 12];
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
        unread.extend_from_slice(&buffer[..length]);
    }
}

/// Parses a command, and returns its words and length, or `None` if it is incomplete. Its words have no line breaks.
fn parse(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\r\n"));
    let mut length = 0;
    let mut next = || {
        let line = lines.next()?;
        length += line.len();
        Some(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
    };
    let count: usize = next()?.strip_prefix('*')?.parse().ok()?;
    let words = (0..count).map(|_| next().and_then(|_| next())).collect::<Option<_>>()?;
    Some((words, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_parsed_when_it_is_complete() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n";
        assert_eq!(parse(bytes), Some((vec!["GET".to_owned(), "a".to_owned()], 20)));
        assert_eq!(parse(&bytes[..19]), None);
        assert_eq!(parse(b""), None);
    }
}
