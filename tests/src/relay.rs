//! [`Relay`]: a relay between a client and its server that delays and cuts replies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::set_socket_linger;

/// A relay between a client and its server. It counts the round trips.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: u16,
    turns: AtomicUsize,
    /// The number of bytes after which the next reply is cut.
    cut: Mutex<Option<usize>>,
    cuts: AtomicUsize,
    drips: AtomicBool,
    closed: AtomicBool,
}

impl Relay {
    /// Starts a relay in front of the port `server`.
    ///
    /// # Panics
    /// Panics if there is no free port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            server,
            turns: AtomicUsize::new(0),
            cut: Mutex::default(),
            cuts: AtomicUsize::new(0),
            drips: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                accepting.relay(client);
            }
        });
        Relay { port, shared }
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of round trips. A client begins one when it sends something first or after a reply.
    pub fn turns(&self) -> usize {
        self.shared.turns.load(Ordering::SeqCst)
    }

    /// Cuts the next reply after its first `bytes`, and resets the client's connection.
    pub fn cut_next_answer(&self, bytes: usize) {
        *self.shared.cut.lock() = Some(bytes);
    }

    /// Returns the number of replies that were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Sets whether replies are passed on byte by byte, with pauses.
    pub fn drip(&self, drips: bool) {
        self.shared.drips.store(drips, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wake the accepting thread, so that it sees that the relay is closed.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn relay(self: &Arc<Self>, client: TcpStream) {
        // If the server is not reachable, the client's connection ends, as it would without the relay.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server)) else { return };
        let is_clients_turn = Arc::new(AtomicBool::new(true));
        let pairs = (client.try_clone(), server.try_clone());
        let (Ok(to_client), Ok(from_server)) = pairs else { return };
        let (sender, turn) = (Arc::clone(self), Arc::clone(&is_clients_turn));
        thread::spawn(move || sender.pass_requests(client, server, &turn));
        let answering = Arc::clone(self);
        thread::spawn(move || answering.pass_replies(from_server, to_client, &is_clients_turn));
    }

    fn pass_requests(&self, mut client: TcpStream, mut server: TcpStream, is_clients_turn: &AtomicBool) {
        let mut buffer = [0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            if is_clients_turn.swap(false, Ordering::SeqCst) {
                self.turns.fetch_add(1, Ordering::SeqCst);
            }
            if server.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }

    fn pass_replies(&self, mut server: TcpStream, mut client: TcpStream, is_clients_turn: &AtomicBool) {
        let mut buffer = [0; 1 << 16];
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            let reply = &buffer[..length];
            is_clients_turn.store(true, Ordering::SeqCst);
            if let Some(bytes) = self.cut.lock().take() {
                let _ = client.write_all(&reply[..bytes.min(length)]);
                reset(&client);
                let _ = server.shutdown(Shutdown::Both);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if self.pass(reply, &mut client).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }

    fn pass(&self, mut reply: &[u8], client: &mut TcpStream) -> std::io::Result<()> {
        while self.drips.load(Ordering::SeqCst)
            && let Some((first, rest)) = reply.split_first()
        {
            client.write_all(&[*first])?;
            reply = rest;
            thread::sleep(Duration::from_millis(20));
        }
        client.write_all(reply)
    }
}

/// Makes the kernel reset the connection when its last handle is dropped.
fn reset(client: &TcpStream) {
    // The connection may have ended already.
    let _ = set_socket_linger(client, Some(Duration::ZERO));
    // This also ends the thread that reads from the connection.
    let _ = client.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::bounded;

    /// Starts a server that echoes requests of four bytes.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut caller in listener.incoming().flatten() {
                let mut asked = [0; 4];
                while caller.read_exact(&mut asked).is_ok() && caller.write_all(&asked).is_ok() {}
            }
        });
        port
    }

    fn ask(caller: &mut TcpStream) -> std::io::Result<[u8; 4]> {
        caller.write_all(b"ping")?;
        let mut answer = [0; 4];
        caller.read_exact(&mut answer).map(|()| answer)
    }

    #[test]
    fn relay_passes_data_and_counts_round_trips() {
        bounded(|| {
            let relay = Relay::before(echo());
            let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
            for turns in 1..=3 {
                relay.drip(turns == 2);
                assert_eq!(&ask(&mut caller).unwrap(), b"ping");
                assert_eq!(relay.turns(), turns);
            }
        });
    }

    #[test]
    fn cut_reply_resets_only_its_connection() {
        bounded(|| {
            let relay = Relay::before(echo());
            let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
            relay.cut_next_answer(2);
            let error = ask(&mut caller).unwrap_err();
            assert_eq!((error.kind(), relay.cuts()), (std::io::ErrorKind::ConnectionReset, 1));
            let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
            assert_eq!(&ask(&mut caller).unwrap(), b"ping");
        });
    }
}
