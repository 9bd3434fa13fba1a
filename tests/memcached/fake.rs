//! [`FakeServer`]: a memcached server that sends anything but the right reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use dogpile_tests::threads::{Signal, until};
use parking_lot::Mutex;

/// How a server behaves instead of replying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misbehavior {
    /// It replies as it should.
    None,
    /// It never replies, not even to a greeting.
    Freeze,
    /// It sends the bytes, and then nothing.
    Send(&'static [u8]),
    /// It sends the first bytes once, and the others forever.
    Stream(&'static [u8], &'static [u8]),
    /// It sends the first bytes, and then a byte every few milliseconds.
    Drip(&'static [u8]),
    /// It sends the reply a byte at a time, every few milliseconds.
    Slow,
    /// It sends the reply twice.
    Repeat,
    /// It sends the reply, and once more when [`FakeServer::repeat_now`] is called.
    RepeatLater,
    /// It sends the reply to the previous request.
    Previous,
}

/// The protocol and the age of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The version of the server, whose misses name the key and the number of the request if it is new enough.
    Text(&'static str),
    Binary,
}

/// A server of values that every key has, except keys that begin with `missing`: [`FakeServer::value`].
#[derive(Debug)]
pub(super) struct FakeServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    misbehavior: Mutex<Misbehavior>,
    /// The number of connections that were opened.
    connections: AtomicUsize,
    /// A signal to send replies again.
    repeat: Signal,
    /// The number of replies that were sent again later.
    repeated: AtomicUsize,
}

impl FakeServer {
    /// Starts a server, which replies as it should for now.
    pub(super) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let misbehavior = Mutex::new(Misbehavior::None);
        let (connections, repeat, repeated) = Default::default();
        let shared = Arc::new(Shared { kind, misbehavior, connections, repeat, repeated });
        let serving = Arc::clone(&shared);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serving.connections.fetch_add(1, SeqCst);
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(client));
            }
        });
        FakeServer { port, shared }
    }

    /// Returns the address to connect to.
    pub(super) fn url(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the number of connections that were opened so far.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Misbehaves at each request from now on.
    pub(super) fn misbehave(&self, misbehavior: Misbehavior) {
        *self.shared.misbehavior.lock() = misbehavior;
    }

    /// Sends the replies of [`Misbehavior::RepeatLater`] again, and returns when the first one was sent.
    pub(super) fn repeat_now(&self) {
        self.shared.repeat.give();
        until("a reply is sent again", || self.shared.repeated.load(SeqCst) > 0);
    }

    /// Returns the value of `key`, which is different for each key.
    pub(super) fn value(key: &str) -> String {
        format!("the value of {key}")
    }
}

/// The stored form of the value of `key`, or `None` for a missing key.
fn stored(key: &str) -> Option<Vec<u8>> {
    let stored = format!("{{\"ct\": 1700000000.0, \"v\": 2}}|\"{}\"", FakeServer::value(key));
    (!key.starts_with("missing")).then(|| stored.into_bytes())
}

/// The reply to a request, and whether the request is only a greeting.
struct Replied {
    reply: Vec<u8>,
    is_greeting: bool,
}

impl Shared {
    fn serve(&self, mut client: TcpStream) {
        let (mut unread, mut previous) = (Vec::new(), Vec::new());
        // Send each reply at once, so that a repeated one does not wait for the next request.
        let _ = client.set_nodelay(true);
        loop {
            if let Some((replied, length)) = self.parse(&unread) {
                unread.drain(..length);
                // It fails when the client closes the connection.
                if self.reply(&replied, &previous, &mut client).is_err() {
                    break;
                }
                previous = replied.reply;
                continue;
            }
            let mut buffer = [0; 1 << 14];
            match client.read(&mut buffer) {
                Ok(length @ 1..) => unread.extend_from_slice(&buffer[..length]),
                _ => break,
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    fn reply(&self, replied: &Replied, previous: &[u8], client: &mut TcpStream) -> std::io::Result<()> {
        let Replied { reply, is_greeting } = replied;
        let misbehavior = *self.misbehavior.lock();
        match misbehavior {
            Misbehavior::Freeze => Ok(()),
            Misbehavior::None => client.write_all(reply),
            _ if *is_greeting => client.write_all(reply),
            _ => self.misreply(misbehavior, reply, previous, client),
        }
    }

    fn misreply(
        &self,
        misbehavior: Misbehavior,
        reply: &[u8],
        previous: &[u8],
        client: &mut TcpStream,
    ) -> std::io::Result<()> {
        let mut drip = |bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| {
                thread::sleep(Duration::from_millis(20));
                client.write_all(&[*byte])
            })
        };
        match misbehavior {
            Misbehavior::Slow => drip(reply),
            Misbehavior::Drip(bytes) => {
                drip(bytes)?;
                loop {
                    drip(b"a")?;
                }
            }
            Misbehavior::Send(bytes) => client.write_all(bytes),
            Misbehavior::Stream(first, rest) => {
                client.write_all(first)?;
                loop {
                    client.write_all(rest)?;
                }
            }
            Misbehavior::Repeat => client.write_all(&reply.repeat(2)),
            Misbehavior::RepeatLater => {
                client.write_all(reply)?;
                self.repeat.wait();
                client.write_all(reply)?;
                self.repeated.fetch_add(1, SeqCst);
                Ok(())
            }
            Misbehavior::Previous => client.write_all(previous),
            Misbehavior::None | Misbehavior::Freeze => Ok(()),
        }
    }

    /// Returns the reply to the first request in `unread` and the request's length, or `None` if it is incomplete.
    fn parse(&self, unread: &[u8]) -> Option<(Replied, usize)> {
        match self.kind {
            Kind::Text(version) => text(version, unread),
            Kind::Binary => binary(unread),
        }
    }
}

fn text(version: &str, unread: &[u8]) -> Option<(Replied, usize)> {
    let end = unread.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&unread[..end]).into_owned();
    let words: Vec<&str> = line.split(' ').collect();
    let name = words.get(1).copied().unwrap_or_default();
    let opaque = words.iter().skip(2).find(|word| word.starts_with('O')).map_or("", |opaque| opaque);
    let length = |number: usize| words[number].parse::<usize>().unwrap() + 2;
    let with_data = |length: usize| (unread.len() >= end + 2 + length).then_some(end + 2 + length);
    let item = |head: String, tail: &str| {
        let data = stored(name).unwrap();
        [head.replace("LENGTH", &data.len().to_string()).as_bytes(), &data, tail.as_bytes()].concat()
    };
    let names_misses = version.starts_with("1.6.18");
    let (reply, length) = match words[0] {
        "version" => (format!("VERSION {version}\r\n").into_bytes(), end + 2),
        "mg" if stored(name).is_some() => {
            (item(format!("VA LENGTH f0 c1 k{name} {opaque}\r\n"), "\r\n"), end + 2)
        }
        "mg" if names_misses => (format!("EN k{name} {opaque}\r\n").into_bytes(), end + 2),
        "mg" => (b"EN\r\n".to_vec(), end + 2),
        "ms" => (format!("HD k{name} {opaque}\r\n").into_bytes(), with_data(length(2))?),
        "md" => (format!("HD k{name} {opaque}\r\n").into_bytes(), end + 2),
        "gets" if stored(name).is_some() => {
            (item(format!("VALUE {name} 0 LENGTH 1\r\n"), "\r\nEND\r\n"), end + 2)
        }
        "gets" => (b"END\r\n".to_vec(), end + 2),
        "set" | "add" | "cas" => (b"STORED\r\n".to_vec(), with_data(length(4))?),
        "delete" => (b"DELETED\r\n".to_vec(), end + 2),
        _ => (b"ERROR\r\n".to_vec(), end + 2),
    };
    Some((Replied { reply, is_greeting: words[0] == "version" }, length))
}

fn binary(unread: &[u8]) -> Option<(Replied, usize)> {
    let header = unread.get(..24)?;
    let (code, opaque) = (header[1], &header[12..16]);
    let key_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let body = unread.get(24..24 + body)?;
    let key = &body[usize::from(header[4])..][..key_length];
    let (status, extras, data) = match (code, stored(&String::from_utf8_lossy(key))) {
        (0, Some(data)) => (0, 4, [&[0; 4][..], &data].concat()),
        (0, None) => (1, 0, b"Not found".to_vec()),
        _ => (0, 0, Vec::new()),
    };
    let mut reply = vec![0x81, code, 0, 0, extras, 0, 0, status];
    reply.extend_from_slice(&(data.len() as u32).to_be_bytes());
    reply.extend_from_slice(opaque);
    reply.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    reply.extend_from_slice(&data);
    Some((Replied { reply, is_greeting: false }, 24 + body.len()))
}
