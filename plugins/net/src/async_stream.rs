//! [`AsyncStream`]: the bytes sent to a server and received from it, for tasks of tokio.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connection's bytes, for tasks of tokio. It has no deadline: the task that uses it limits its waits.
pub struct AsyncStream(AsyncSocket);

pub(crate) enum AsyncSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncStream {
    pub(crate) fn new(socket: AsyncSocket) -> Self {
        AsyncStream(socket)
    }

    /// Returns `Pending` if no bytes have arrived, as far as the runtime knows. The task of `context` is then woken by the next
    /// ones.
    ///
    /// Bytes that were received before but not read, which an encrypted connection may have, do not count.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            AsyncSocket::Tcp(tcp) => tcp.poll_read_ready(context),
            AsyncSocket::Unix(unix) => unix.poll_read_ready(context),
            AsyncSocket::Tls(tls) => tls.get_ref().0.poll_read_ready(context),
        }
    }
}

impl AsyncRead for AsyncStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            AsyncSocket::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            AsyncSocket::Unix(unix) => Pin::new(unix).poll_read(context, buffer),
            AsyncSocket::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for AsyncStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            AsyncSocket::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            AsyncSocket::Unix(unix) => Pin::new(unix).poll_write(context, bytes),
            AsyncSocket::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            AsyncSocket::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            AsyncSocket::Unix(unix) => Pin::new(unix).poll_flush(context),
            AsyncSocket::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            AsyncSocket::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            AsyncSocket::Unix(unix) => Pin::new(unix).poll_shutdown(context),
            AsyncSocket::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

impl fmt::Debug for AsyncStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AsyncStream")
    }
}
