//! A relay between a client and its server, which does to the answers what networks do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::set_socket_linger;

/// Passes on what either side sends, and counts how often the client had its turn.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: u16,
    turns: AtomicUsize,
    /// After how many bytes the next answer is broken off.
    cut: Mutex<Option<usize>>,
    cuts: AtomicUsize,
    drips: AtomicBool,
    closed: AtomicBool,
}

impl Relay {
    /// A relay before what listens on the port `server`.
    ///
    /// # Panics
    /// If there is no free port.
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

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often clients began to speak, at first or after the server had: their round trips.
    pub fn turns(&self) -> usize {
        self.shared.turns.load(Ordering::SeqCst)
    }

    /// Breaks the next answer off after its first `bytes`: the client's connection is reset.
    pub fn cut_next_answer(&self, bytes: usize) {
        *self.shared.cut.lock() = Some(bytes);
    }

    /// How many answers were broken off.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Whether answers go on byte by byte, with pauses, rather than at once.
    pub fn drip(&self, drips: bool) {
        self.shared.drips.store(drips, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Whoever accepts sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn relay(self: &Arc<Self>, client: TcpStream) {
        // The client sees a connection that ends, as it would without us.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server)) else { return };
        let is_clients_turn = Arc::new(AtomicBool::new(true));
        let pairs = (client.try_clone(), server.try_clone());
        let (Ok(to_client), Ok(from_server)) = pairs else { return };
        let (asking, turn) = (Arc::clone(self), Arc::clone(&is_clients_turn));
        thread::spawn(move || asking.pass_questions(client, server, &turn));
        let answering = Arc::clone(self);
        thread::spawn(move || answering.pass_answers(from_server, to_client, &is_clients_turn));
    }

    fn pass_questions(&self, mut client: TcpStream, mut server: TcpStream, is_clients_turn: &AtomicBool) {
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

    fn pass_answers(&self, mut server: TcpStream, mut client: TcpStream, is_clients_turn: &AtomicBool) {
        let mut buffer = [0; 1 << 16];
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            let answer = &buffer[..length];
            is_clients_turn.store(true, Ordering::SeqCst);
            if let Some(bytes) = self.cut.lock().take() {
                let _ = client.write_all(&answer[..bytes.min(length)]);
                reset(&client);
                let _ = server.shutdown(Shutdown::Both);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if self.pass(answer, &mut client).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }

    fn pass(&self, mut answer: &[u8], client: &mut TcpStream) -> std::io::Result<()> {
        while self.drips.load(Ordering::SeqCst)
            && let Some((first, rest)) = answer.split_first()
        {
            client.write_all(&[*first])?;
            answer = rest;
            thread::sleep(Duration::from_millis(20));
        }
        client.write_all(answer)
    }
}

/// Has the kernel reset the connection, as soon as its last handle is dropped.
fn reset(client: &TcpStream) {
    // It may be gone already.
    let _ = set_socket_linger(client, Some(Duration::ZERO));
    // The thread that reads from it lets go of it too.
    let _ = client.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::bounded;

    /// Answers each question of four bytes by itself.
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
    fn questions_and_answers_pass_and_turns_are_counted() {
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
    fn an_answer_that_is_cut_resets_the_connection_and_no_other() {
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
