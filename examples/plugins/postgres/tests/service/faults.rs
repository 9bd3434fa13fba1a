//! Servers that hang, restart, or refuse.

use std::thread;
use std::time::{Duration, Instant};

use dogpile::sdk::{CacheBackend, ErrorKind, OnTokio, StoreOptions, error_chain};
use postgres_dogpile::Postgres;

use super::server::{PASSWORD, PostgresServer, until};
use super::{CALLS, SERVER, backend, set, value};

/// Each call fails with `Timeout`, and takes not much longer than its limit.
fn ensure_timeouts(backend: &OnTokio<Postgres>) {
    for (name, call) in CALLS {
        let begun = Instant::now();
        let error = call(backend).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{name}: {error}");
        let why = "did not reply in time; a call may take 300ms at most";
        assert!(error.to_string().ends_with(why), "{name}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn frozen_server_ends_each_call_at_its_limit() {
    let server = PostgresServer::start();
    let url = server.tcp_url(PASSWORD);
    let hasty = || backend(&url, |config| config.timeout = Duration::from_millis(300));
    let (connected, unconnected) = (hasty(), hasty());
    until("the first calls succeed", || set(&connected, "tea").is_ok());
    let mutex = connected.get_mutex("milk").unwrap();
    until("the mutex is acquired", || mutex.try_acquire().is_ok_and(|acquired| acquired));
    server.freeze();
    ensure_timeouts(&connected);
    ensure_timeouts(&unconnected);
    // The locks have just timed out, so the lock is released in the background.
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::Timeout);
    server.thaw();
    for backend in [&connected, &unconnected] {
        until("a call succeeds again", || backend.get("tea").is_ok());
        until("a mutex can be used again", || backend.get_mutex("sugar").unwrap().locked().is_ok());
    }
    until("the lock is released", || !connected.get_mutex("milk").unwrap().locked().unwrap_or(true));
}

/// A call with little time cannot wait for a slow login. The next one must not begin again.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn connection_is_opened_although_its_caller_gave_up() {
    let server = PostgresServer::start();
    let url = format!("{}?application_name=slow", server.socket_url());
    let backend = backend(&url, |config| config.timeout = Duration::from_secs(30));
    let locks = backend.lease_store();
    server.freeze();
    let soon = Instant::now() + Duration::from_millis(100);
    let error = locks.acquire("tea", "token", Duration::from_secs(30), soon).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.thaw();
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow'";
    until("the connection is open", || server.sql(sessions) == "1");
    assert!(!locks.locked("tea").unwrap());
    assert_eq!(server.sql(sessions), "1");
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn restarted_server_serves_the_next_call() {
    let mut server = PostgresServer::start();
    let backend = backend(&server.socket_url(), |_| {});
    for round in 0..3 {
        let (mutex, value) = (backend.get_mutex("tea").unwrap(), value(format!("{round}").as_bytes()));
        assert!(mutex.try_acquire().unwrap());
        backend.set("tea", value.clone(), &StoreOptions::new()).unwrap();
        server.restart();
        assert_eq!(backend.get("tea").unwrap(), Some(value));
        assert!(mutex.locked().unwrap());
        mutex.release().unwrap();
    }
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn wrong_password_is_reported_without_it() {
    let backend = backend(&SERVER.tcp_url("wr0ng-secret"), |_| {});
    for (name, call) in CALLS {
        let error = call(&backend).unwrap_err();
        let shown = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}: {shown}");
        let why = "rejected the login: it replied 28P01; check \"url\" and \"password\"";
        assert!(shown.ends_with(why), "{shown}");
        let all = format!("{shown} {} {error:?} {backend:?}", error_chain(&error));
        assert!(!all.contains("wr0ng-secret"), "{all}");
    }
}

#[test]
fn unreachable_server_is_reported() {
    let backend = backend("postgresql://tea:s3cret@127.0.0.1:1/shop", |_| {});
    for (name, call) in CALLS {
        let error = call(&backend).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
        assert_eq!(error.to_string(), "cannot connect to PostgreSQL server 127.0.0.1:1");
        assert_eq!(error.server(), Some("127.0.0.1:1"));
        let operation = if name == "try_acquire" { "acquire" } else { name };
        assert_eq!(error.operation(), Some(operation));
    }
}

/// A transaction of someone else has locked the row of a key.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn locked_row_ends_the_call_and_leaves_others_alone() {
    let backend = backend(&SERVER.socket_url(), |config| {
        config.table = "blocked".to_owned();
        config.timeout = Duration::from_millis(500);
        config.purge_interval = Duration::ZERO;
    });
    for key in ["tea", "milk"] {
        until("the first calls succeed", || set(&backend, key).is_ok());
    }
    let holding = "BEGIN; UPDATE blocked SET value = value WHERE key = 'tea'; SELECT pg_sleep(3); ROLLBACK";
    let is_held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    thread::scope(|scope| {
        scope.spawn(|| SERVER.sql(holding));
        until("the row is locked", || SERVER.sql(is_held) == "1");
        let error = set(&backend, "tea").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(backend.get("tea").unwrap().is_some());
        set(&backend, "milk").unwrap();
        assert_eq!(SERVER.sql(is_held), "1");
    });
    set(&backend, "tea").unwrap();
}
