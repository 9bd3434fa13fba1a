//! [`FaultyRelay`]: a relay between clients and their servers that applies a [`Fault`] to replies.

mod delivery;
mod state;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use self::delivery::{Delivery, Next};
pub use self::state::Spoiling;
use self::state::State;
use crate::dialect::Dialect;
use crate::fault::Fault;

/// A relay in front of one or more servers. It passes requests on, and spoils some replies while a fault lasts.
///
/// It replaces the ports of the servers in their replies with its own, so that a client that discovers its servers
/// reaches all of them through the relay.
#[derive(Debug)]
pub struct FaultyRelay {
    state: Arc<State>,
}

impl FaultyRelay {
    /// Starts a relay in front of the `servers`, which are ports. It passes everything on until a fault is injected.
    ///
    /// # Panics
    /// Panics if there is no free port.
    pub fn before(servers: &[u16], dialect: Dialect, spoiling: Spoiling) -> Self {
        let bind = |server: &u16| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
            let own = listener.local_addr().expect("it is bound").port();
            (listener, (*server, own))
        };
        let (listeners, ports): (Vec<_>, Vec<_>) = servers.iter().map(bind).unzip();
        let state = Arc::new(State::new(dialect, spoiling, ports.clone()));
        for (listener, (server, _)) in listeners.into_iter().zip(ports) {
            let passing = Passing(Arc::clone(&state));
            thread::spawn(move || passing.accept(&listener, server));
        }
        FaultyRelay { state }
    }

    /// Returns the port to connect to instead of the port `server`.
    ///
    /// # Panics
    /// Panics if the relay is not in front of that server.
    pub fn port_for(&self, server: u16) -> u16 {
        let pair = self.state.ports.iter().find(|(known, _)| *known == server);
        pair.expect("the relay is in front of the server").1
    }

    /// Spoils replies from now on.
    pub fn inject(&self, fault: Fault) {
        self.state.begin(fault, false);
    }

    /// Spoils the next reply, and no further one.
    pub fn inject_once(&self, fault: Fault) {
        self.state.begin(fault, true);
    }

    /// Passes everything on from now on, and delivers what was held back.
    pub fn heal(&self) {
        self.state.end();
    }

    /// Returns the number of replies that were spoiled so far.
    pub fn faults(&self) -> usize {
        self.state.faults.load(SeqCst)
    }

    /// Returns the number of connections that were accepted so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

impl Drop for FaultyRelay {
    fn drop(&mut self) {
        self.heal();
        self.state.is_closed.store(true, SeqCst);
        for (_, own) in &self.state.ports {
            // Wake the accepting thread, so that it sees that the relay is closed.
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, *own));
        }
    }
}

/// The part of the relay that passes requests and replies on.
#[derive(Clone)]
struct Passing(Arc<State>);

impl Passing {
    fn accept(&self, listener: &TcpListener, server: u16) {
        for client in listener.incoming().flatten() {
            if self.0.is_closed.load(SeqCst) {
                return;
            }
            self.0.connections.fetch_add(1, SeqCst);
            self.relay(client, server);
        }
    }

    fn relay(&self, mut client: TcpStream, server: u16) {
        // If the server is not reachable, the client's connection ends, as it would without the relay.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
        // Each piece of a reply must arrive by itself.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        if self.0.spoiling.only.is_none() && self.0.fault() == Some(Fault::Unrequested) {
            self.0.faults.fetch_add(1, SeqCst);
            let _ = client.write_all(&self.0.dialect.unrequested());
        }
        let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
        let is_spared = Arc::new(AtomicBool::new(self.0.spoiling.only.is_some()));
        let (requests, of_requests) = (self.clone(), Arc::clone(&is_spared));
        thread::spawn(move || requests.pass_requests(client, server, &of_requests));
        let replies = self.clone();
        thread::spawn(move || replies.pass_replies(from_server, to_client, &is_spared));
    }

    fn pass_requests(&self, mut client: TcpStream, mut server: TcpStream, is_spared: &AtomicBool) {
        let mut buffer = [0; 1 << 16];
        let mut is_first = true;
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let request = &buffer[..length];
            if let Some(word) = self.0.spoiling.only
                && std::mem::take(&mut is_first)
                && request.windows(word.len()).any(|part| part == word.as_bytes())
            {
                is_spared.store(false, SeqCst);
            }
            if server.write_all(request).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }

    fn pass_replies(&self, mut server: TcpStream, client: TcpStream, is_spared: &AtomicBool) {
        let mut delivery = Delivery::new(&self.0, client);
        let (mut unread, mut buffer) = (Vec::new(), [0; 1 << 16]);
        'open: while let Ok(length @ 1..) = server.read(&mut buffer) {
            unread.extend_from_slice(&buffer[..length]);
            while let Some(layout) = self.0.dialect.layout(&unread) {
                let rest = unread.split_off(layout.length);
                let reply = std::mem::replace(&mut unread, rest);
                let reply = self.0.with_own_ports(self.0.dialect.translate(reply));
                let fault = if is_spared.load(SeqCst) { None } else { self.0.next_fault(&reply) };
                if let Ok(Next::Closed) | Err(_) = delivery.deliver(reply, fault) {
                    break 'open;
                }
            }
        }
        delivery.end();
        let _ = server.shutdown(Shutdown::Both);
    }
}
