//! The service ends what it has begun, and then itself.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum_example::{Database, GRACE, Shop, serve};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::folder;
use dogpile_tests::threads::until;
use libtest_mimic::Trial;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::http::{clients, get, send};
use crate::instance::{Instance, regions_over};
use crate::{SLACK, alone, with_redis};

/// The time of a query.
const QUERY: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("idle_service_ends_at_once", idle_service_ends_at_once),
        with_redis("request_in_progress_is_ended", request_in_progress_is_ended),
        with_redis("query_without_a_client_is_ended", query_without_a_client_is_ended),
        alone("unfinished_request_does_not_delay_the_end", unfinished_request_does_not_delay_the_end),
        with_redis("threads_end_with_the_service", threads_end_with_the_service),
    ]
}

/// A connection that is kept open does not hold it up.
fn idle_service_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let instance = Instance::with_file("memory.toml");
        clients(async {
            let mut connection = TcpStream::connect(instance.address()).await.unwrap();
            connection.write_all(b"GET /health HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
            let mut reply = [0; 12];
            connection.read_exact(&mut reply).await.unwrap();
            assert_eq!(&reply, b"HTTP/1.1 200");
            instance.signal(signal);
            assert_eq!(instance.end(SLACK).code(), Some(0));
        });
    }
}

fn request_in_progress_is_ended(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    let address = instance.address();
    clients(async {
        let product = tokio::spawn(async move { get(address, "/products/7").await });
        let rate = tokio::spawn(async move { get(address, "/rates/USD").await });
        instance.until_queries(2).await;
        assert!(!product.is_finished() && !rate.is_finished(), "the queries take {QUERY:?}");
        instance.signal(Signal::TERM);
        assert_eq!(product.await.unwrap().status, 200);
        assert_eq!(rate.await.unwrap().status, 200);
        assert_eq!(instance.end(SLACK).code(), Some(0));
        assert!(TcpStream::connect(address).await.is_err());
    });
}

fn query_without_a_client_is_ended(server: &mut RedisServer) {
    let instance = Instance::with_queries_of(QUERY, server);
    clients(async {
        let connection = send(instance.address(), "GET", "/products/7").await;
        instance.until_queries(1).await;
        drop(connection);
        assert_eq!(locks(server), 1);
        instance.signal(Signal::TERM);
        assert_eq!(instance.end(QUERY + SLACK).code(), Some(0));
        assert_eq!(locks(server), 0, "the lock was released");
        let next = Instance::over(server);
        assert_eq!(get(next.address(), "/products/7").await.status, 200);
        assert_eq!(next.queries().await, 0, "the value was stored");
    });
}

/// Returns the number of locks on the server.
fn locks(server: &RedisServer) -> usize {
    server.say(&["KEYS", "_lock*"]).lines().count()
}

/// A client that never ends its request would hold up the service forever.
fn unfinished_request_does_not_delay_the_end() {
    let instance = Instance::with_file("memory.toml");
    clients(async {
        let mut connection = TcpStream::connect(instance.address()).await.unwrap();
        connection.write_all(b"GET /health HT").await.unwrap();
        // The service has accepted it once it serves a later one.
        assert_eq!(get(instance.address(), "/health").await.status, 200);
        instance.signal(Signal::TERM);
        assert_eq!(instance.end(GRACE + SLACK).code(), Some(0));
    });
}

fn threads_end_with_the_service(server: &mut RedisServer) {
    let folder = folder();
    let shop = Shop::open(&regions_over(server, &folder), Database::new(Duration::ZERO)).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let service = tokio::spawn(serve(listener, Arc::new(shop), stopped));
        assert_eq!(get(address, "/products/7").await.status, 200);
        assert!(!threads_of_dogpile().is_empty());
        stop.send(()).unwrap();
        service.await.unwrap().unwrap();
    });
    until("the threads have ended", || threads_of_dogpile().is_empty());
}

/// Returns the names of the threads of this process that dogpile has started.
fn threads_of_dogpile() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("dogpile")).collect()
}
