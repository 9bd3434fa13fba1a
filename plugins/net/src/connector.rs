//! [`Connector`]: opens connections to one server.

#[cfg(feature = "tokio")]
mod asynchronous;
mod resolver;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests;

use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, SockRef, Type};

use self::resolver::Resolver;
use crate::bounded::{Bounded, left_until};
use crate::failure::Failure;
use crate::keepalive::Keepalive;
use crate::stream::{Socket, Stream};
use crate::tls::Tls;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Opens connections to one server.
///
/// It looks up the server's name on a thread. That thread does not exist in a forked child, so each process
/// [needs its own](dogpile_sdk::PerProcess) connector.
#[derive(Debug)]
pub struct Connector {
    endpoint: Endpoint,
    tls: Option<Tls>,
    keepalive: Option<Keepalive>,
    resolver: Resolver,
}

impl Connector {
    /// Creates a connector without TLS and keepalive. It does not connect yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Connector { endpoint, tls: None, keepalive: None, resolver: Resolver::default() }
    }

    /// Sets the TLS settings. `None` means no encryption. They have no effect on a Unix socket.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Connector { tls, ..self }
    }

    /// Sets the TCP keepalive settings. `None` means no keepalive. They have no effect on a Unix socket.
    #[must_use]
    pub fn with_keepalive(self, keepalive: Option<Keepalive>) -> Self {
        Connector { keepalive, ..self }
    }

    /// Opens a connection. Blocks until its name resolution, TCP, and TLS are done, or until `deadline`.
    ///
    /// Further calls on the stream end by `deadline`, too, until [another one](Stream::set_deadline) is set.
    ///
    /// # Errors
    /// If the server cannot be reached, its certificate is not accepted, or the deadline passes.
    pub fn connect(&self, deadline: Instant) -> Result<Stream, Failure> {
        let socket = match &self.endpoint {
            Endpoint::Unix(path) => {
                let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
                connect_unix(&socket, &SockAddr::unix(path)?, deadline)?;
                Socket::Unix(Bounded::new(socket.into(), deadline))
            }
            Endpoint::Tcp { host, port } => {
                let tcp = Bounded::new(self.connect_tcp(host, *port, deadline)?, deadline);
                match &self.tls {
                    None => Socket::Tcp(tcp),
                    Some(tls) => Socket::Tls(Box::new(encrypted(tls.client(host)?, tcp)?)),
                }
            }
        };
        Ok(Stream::new(socket))
    }

    fn connect_tcp(&self, host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
        let addresses = self.resolver.resolve(host, port, deadline)?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for (number, address) in (0..).zip(&addresses) {
            // Leave time for the other addresses.
            let others = addresses.len() as u32 - number;
            let connected = left_until(deadline).and_then(|left| {
                let tcp = TcpStream::connect_timeout(address, (left / others).max(Duration::from_nanos(1)))?;
                tcp.set_nodelay(true)?;
                if let Some(keepalive) = self.keepalive {
                    SockRef::from(&tcp).set_tcp_keepalive(&keepalive.probes())?;
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
}

/// Connects by `deadline`, also to a server whose queue of connections is full.
fn connect_unix(socket: &socket2::Socket, server: &SockAddr, deadline: Instant) -> io::Result<()> {
    loop {
        // The system counts in microseconds, and takes none for no limit.
        socket.set_write_timeout(Some(left_until(deadline)?.max(Duration::from_micros(1))))?;
        match socket.connect(server) {
            // A signal ends the wait for the queue.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            connected => return connected,
        }
    }
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
