//! What becomes of connections.

use std::time::Duration;

use dogpile::sdk::{CacheBackend, Completion, ErrorKind, Running};

use super::server::{freeze_sessions, until};
use super::{SERVER, on_table, on_table_with, set};

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
