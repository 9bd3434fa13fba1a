//! What becomes of connections.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dogpile::sdk::{CacheBackend, Completion, ErrorKind, Running};

use super::server::{PASSWORD, freeze_sessions, tcp_url, until};
use super::{SERVER, backend, on_table, on_table_with, set};

/// Returns the process IDs of the sessions named `name`, as lines.
pub(super) fn sessions(name: &str) -> String {
    SERVER.sql(&format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' ORDER BY pid"))
}

/// The server ends the sessions, as an administrator may do.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn ended_sessions_are_replaced() {
    let backend = on_table("ended");
    for _ in 0..20 {
        set(&backend, "tea").unwrap();
        SERVER.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ended'");
        assert!(backend.get("tea").unwrap().is_some());
    }
}

/// The processes of the sessions hang, as if a network lost their packets. The server works.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn hung_sessions_are_replaced() {
    let backend = on_table_with("hung", |config| {
        config.connections = 1;
        config.timeout = Duration::from_secs(1);
    });
    let is_locked = || backend.get_mutex("tea").unwrap().locked();
    set(&backend, "tea").unwrap();
    assert!(!is_locked().unwrap());
    let hung = freeze_sessions(&sessions("hung"));
    assert_eq!(backend.get("tea").unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(is_locked().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(backend.get("tea").unwrap().is_some());
    assert!(!is_locked().unwrap());
    drop(hung);
    until("the hung sessions have ended", || sessions("hung").lines().count() == 2);
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn canceled_calls_keep_their_connection() {
    let backend = on_table("canceled");
    for _ in 0..2 {
        set(&backend, "tea").unwrap();
    }
    let before = sessions("canceled");
    assert_eq!(before.lines().count(), 2);
    let operations = backend.operations().unwrap();
    let begun: Vec<Running> = (0..200).map(|_| operations.begin_get("tea", Completion::new(drop))).collect();
    begun.into_iter().for_each(Running::cancel);
    for _ in 0..10 {
        assert!(backend.get("tea").unwrap().is_some());
    }
    assert_eq!(sessions("canceled"), before);
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn closed_backend_has_no_connections() {
    let backend = on_table("closed");
    set(&backend, "tea").unwrap();
    assert!(!backend.get_mutex("tea").unwrap().locked().unwrap());
    assert_eq!(sessions("closed").lines().count(), 2);
    backend.close().unwrap();
    until("the connections are closed", || sessions("closed").is_empty());
    assert!(backend.get("tea").unwrap().is_some());
    drop(backend);
    until("the connections are closed", || sessions("closed").is_empty());
}

/// The server accepts the connection, and does not reply until the backend has been closed.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn connection_that_opens_during_close_is_not_kept() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = tcp_url(PASSWORD, listener.local_addr().unwrap().port());
    let backend = backend(&format!("{url}?application_name=opening"), |config| {
        config.table = "opening".to_owned();
        config.connections = 1;
        config.timeout = Duration::from_secs(30);
    });
    let (outcome, outcomes) = mpsc::channel();
    let operations = backend.operations().unwrap();
    let _running = operations.begin_get("tea", Completion::new(move |found| outcome.send(found).unwrap()));
    let (client, _) = listener.accept().unwrap();
    backend.close().unwrap();
    forward(client, SERVER.port());
    assert_eq!(outcomes.recv_timeout(Duration::from_secs(60)).unwrap().unwrap(), None);
    until("the connection is closed", || sessions("opening").is_empty());
    drop(backend);
}

/// Connects `client` to a server on this machine.
fn forward(client: TcpStream, port: u16) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    for (mut from, mut to) in [(from_client, server), (from_server, client)] {
        thread::spawn(move || {
            // Either side may end the connection.
            let _ = io::copy(&mut from, &mut to).and_then(|_| to.flush());
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
