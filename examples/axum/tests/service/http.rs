//! A client that is just enough for the tests: each request has a connection of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A complete reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The time from before the connection to the end of the reply.
    pub(crate) took: Duration,
}

/// Runs a test that makes requests.
pub(crate) fn clients<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

/// Sends a request, and returns its connection.
pub(crate) async fn send(address: SocketAddr, method: &str, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// Sends a request, and returns the reply.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> Reply {
    let (begun, mut text) = (Instant::now(), String::new());
    send(address, method, path).await.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: a cut reply {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_lowercase(), body: body.to_owned(), took: begun.elapsed() }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    request(address, "GET", path).await
}

/// Requests each of `paths` at once, and returns the replies in the order in which they arrive.
pub(crate) async fn get_all(
    address: SocketAddr,
    paths: impl IntoIterator<Item = impl Into<String>>,
) -> Vec<Reply> {
    let mut requests = JoinSet::new();
    for path in paths {
        let path = path.into();
        requests.spawn(async move { get(address, &path).await });
    }
    requests.join_all().await
}
