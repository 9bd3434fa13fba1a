//! Opens connections for tasks of tokio.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout_at};
use tokio_rustls::TlsConnector;

use super::resolver::address;
use super::{Connector, Endpoint};
use crate::async_stream::{AsyncSocket, AsyncStream};
use crate::bounded::left_until;
use crate::failure::Failure;

/// The time between two attempts to connect to a unix socket whose queue is full.
const QUEUE_INTERVAL: Duration = Duration::from_millis(5);

impl Connector {
    /// Opens a connection, without blocking the task's thread. Ends by `deadline`: name resolution, TCP, and TLS included.
    ///
    /// Call it in a runtime of tokio that has timers and I/O enabled.
    ///
    /// # Errors
    /// If the server cannot be reached, its certificate is not accepted, or the deadline passes.
    pub async fn connect_async(self: &Arc<Self>, deadline: Instant) -> Result<AsyncStream, Failure> {
        match &self.endpoint {
            Endpoint::Unix(path) => {
                let unix = bounded(deadline, connect_unix(path)).await?;
                Ok(AsyncStream::new(AsyncSocket::Unix(unix)))
            }
            Endpoint::Tcp { host, port } => {
                let tcp = self.connect_tcp_async(host, *port, deadline).await?;
                let Some(tls) = &self.tls else { return Ok(AsyncStream::new(AsyncSocket::Tcp(tcp))) };
                let connector = TlsConnector::from(Arc::clone(tls.config()));
                let tls = bounded(deadline, connector.connect(tls.name(host)?, tcp)).await?;
                Ok(AsyncStream::new(AsyncSocket::Tls(Box::new(tls))))
            }
        }
    }

    async fn connect_tcp_async(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, Failure> {
        let addresses = self.addresses(host, port, deadline).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for (number, address) in (0..).zip(&addresses) {
            // Leave time for the other addresses.
            let others = addresses.len() as u32 - number;
            let share = Instant::now() + left_until(deadline)? / others;
            match bounded(share, TcpStream::connect(address)).await.and_then(|tcp| self.prepared(tcp)) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    fn prepared(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        tcp.set_nodelay(true)?;
        if let Some(keepalive) = self.keepalive {
            SockRef::from(&tcp).set_tcp_keepalive(&keepalive.probes())?;
        }
        Ok(tcp)
    }

    async fn addresses(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(address) = address(host, port) {
            return Ok(vec![address]);
        }
        // The resolver blocks until its deadline at most.
        let (connector, host) = (Arc::clone(self), host.to_owned());
        let resolving = spawn_blocking(move || connector.resolver.resolve(&host, port, deadline));
        match timeout_at(deadline.into(), resolving).await {
            Ok(resolved) => resolved.map_err(io::Error::other)?,
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

/// Connects to a unix socket. Waits while the server's queue of connections is full.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            // The system has no event for room in the queue.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(QUEUE_INTERVAL).await,
            connected => return connected,
        }
    }
}

/// Waits for `work` until `deadline`.
async fn bounded<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::pin::Pin;
    use std::thread;

    use tokio::io::{AsyncRead, ReadBuf};

    use super::*;
    use crate::tls::{Checks, Tls};

    /// Long enough that a busy machine does not end it early.
    const LIMIT: Duration = Duration::from_millis(300);

    /// Much longer than any call takes, so that only a call that hangs exceeds it.
    const HANGING: Duration = Duration::from_secs(10);

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn listener() -> (TcpListener, Arc<Connector>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Arc::new(Connector::new(Endpoint::Tcp { host: "localhost".to_owned(), port })))
    }

    fn connect(connector: &Arc<Connector>) -> Result<AsyncStream, Failure> {
        run(connector.connect_async(Instant::now() + LIMIT))
    }

    #[test]
    fn bytes_are_received_from_a_named_host() {
        let (listener, connector) = listener();
        let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello").unwrap());
        let received = run(async {
            let mut stream = connector.connect_async(Instant::now() + HANGING).await.unwrap();
            let (mut space, mut received) = ([0; 16], Vec::new());
            while received.len() < 5 {
                let mut buffer = ReadBuf::new(&mut space);
                poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut buffer)).await.unwrap();
                received.extend_from_slice(buffer.filled());
            }
            received
        });
        server.join().unwrap();
        assert_eq!(received, b"hello");
    }

    #[test]
    fn unreachable_server_is_a_broken_connection() {
        let (listener, connector) = listener();
        drop(listener);
        let Failure::Broken(cause) = connect(&connector).unwrap_err() else { panic!("it is refused") };
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn connecting_to_a_full_unix_socket_waits_until_the_deadline() {
        let path = std::env::temp_dir().join(format!("dogpile-net-tasks-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let connector = Arc::new(Connector::new(Endpoint::Unix(path.clone())));
        let mut open = Vec::new();
        // The length of the queue depends on the system, and is a few thousand at most.
        let (failure, took) = loop {
            let begun = Instant::now();
            match connect(&connector) {
                Ok(stream) => open.push(stream),
                Err(failure) => break (failure, begun.elapsed()),
            }
            assert!(open.len() < 10_000, "the queue has an end");
        };
        std::fs::remove_file(&path).unwrap();
        drop(listener);
        assert!(matches!(failure, Failure::TimedOut), "{failure:?}");
        assert!((LIMIT..HANGING).contains(&took), "{took:?}");
    }

    #[test]
    fn tls_handshake_ends_at_the_deadline() {
        let (_silent, connector) = listener();
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let tls = Tls::new(Some(authority.as_bytes()), None, Checks::Full).unwrap();
        let connector = Arc::new(Arc::into_inner(connector).unwrap().with_tls(Some(tls)));
        let begun = Instant::now();
        let failure = connect(&connector).unwrap_err();
        assert!(matches!(failure, Failure::TimedOut), "{failure:?}");
        assert!((LIMIT..HANGING).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
