//! The errors of the server and of its client, as [`BackendError`]s.
//!
//! A message has this plugin's own words. What the server replied is the source of the error.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, seconds};
use tokio::task::JoinError;
use tokio_postgres::Error;
use tokio_postgres::types::{WasNull, WrongType};

/// What is wrong with a server whose tables have other columns, and what to do.
const OTHER_TABLES: [&str; 2] =
    ["has other tables than expected", "; drop them, or choose another \"table\""];

/// Returns the error for a connection that could not be opened.
pub(crate) fn cannot_connect(server: &str, error: Error) -> BackendError {
    if error.as_db_error().is_some() {
        return failed(server, error);
    }
    let (kind, advice) = match is_transport(&error) {
        true => (ErrorKind::Unavailable, ""),
        // The client refused, for example because the server wants a password and there is none.
        false => (ErrorKind::Configuration, "; check \"url\" and \"password\""),
    };
    let message = format!("cannot connect to PostgreSQL server {server}{advice}");
    BackendError::new(kind, message).at_server(server).with_source(error)
}

/// Returns the error for a statement that failed.
pub(crate) fn failed(server: &str, error: Error) -> BackendError {
    let (kind, what) = match error.code() {
        Some(code) => replied(code.code()),
        None if is_transport(&error) => (ErrorKind::Unavailable, "closed the connection".to_owned()),
        None if is_of_data(&error) => (ErrorKind::Configuration, OTHER_TABLES.concat()),
        None => (ErrorKind::Other, "and its client did not understand each other".to_owned()),
    };
    BackendError::new(kind, format!("PostgreSQL server {server} {what}")).at_server(server).with_source(error)
}

/// Returns the error for tables whose columns have other types.
pub(crate) fn other_tables(server: &str) -> BackendError {
    let message = format!("PostgreSQL server {server} {}", OTHER_TABLES.concat());
    BackendError::new(ErrorKind::Configuration, message).at_server(server)
}

/// Returns the error for a call that reached `limit`, or an earlier deadline of its caller.
pub(crate) fn timed_out(server: &str, limit: Duration) -> BackendError {
    let limit = seconds::display(limit);
    let message =
        format!("PostgreSQL server {server} did not reply in time; a call may take {limit} at most");
    BackendError::new(ErrorKind::Timeout, message).at_server(server)
}

/// Returns the error for a task that ended before it had a connection.
pub(crate) fn ended(server: &str, error: JoinError) -> BackendError {
    let kind = if error.is_panic() { ErrorKind::Panicked } else { ErrorKind::Unavailable };
    let message = format!("cannot connect to PostgreSQL server {server}: the task ended early");
    BackendError::new(kind, message).at_server(server).with_source(error)
}

/// Returns whether the connection is of no use after `error`, so that a new one may do better.
pub(crate) fn ends_connection(error: &Error) -> bool {
    match error.code().map(|code| code.code()) {
        None => !is_of_data(error),
        // It ends the session, a table or a prepared statement is gone, or a table has changed.
        Some(code) => ["08", "57P", "42P01", "26000", "0A000"].iter().any(|start| code.starts_with(start)),
    }
}

/// Returns whether a parameter or a column has another type than expected. The connection still works.
fn is_of_data(error: &Error) -> bool {
    error.source().is_some_and(|source| source.is::<WrongType>() || source.is::<WasNull>())
}

fn is_transport(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<io::Error>())
}

/// Returns what an error code of the server means. The first two characters of a code are its class.
fn replied(code: &str) -> (ErrorKind, String) {
    let (kind, what, advice) = match code {
        "57014" | "55P03" => (ErrorKind::Timeout, "ended the statement at its time limit", ""),
        "42501" => (ErrorKind::Configuration, "refused access", "; grant the user access to the tables"),
        "42P01" => (ErrorKind::Configuration, "has no such table", "; create it, or set \"create_tables\""),
        "25006" => (
            ErrorKind::Unavailable,
            "accepts no writes",
            "; add \"target_session_attrs=read-write\" to \"url\"",
        ),
        _ if ["28", "3D"].iter().any(|class| code.starts_with(class)) => {
            (ErrorKind::Configuration, "rejected the login", "; check \"url\" and \"password\"")
        }
        // A pooler gave the call another connection than the one on which the statement was prepared.
        "26000" | "42P05" => (
            ErrorKind::Configuration,
            "has lost a prepared statement, or has one of another client",
            "; let a pooler such as PgBouncer pool sessions",
        ),
        "42601" => (ErrorKind::Configuration, "does not know a statement", "; use PostgreSQL 12 or newer"),
        _ if code.starts_with("42") => (ErrorKind::Configuration, OTHER_TABLES[0], OTHER_TABLES[1]),
        _ if ["08", "40", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
            (ErrorKind::Unavailable, "is temporarily unavailable", "; retry later")
        }
        _ => (ErrorKind::Other, "failed", ""),
    };
    (kind, format!("{what}: it replied {code}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained() {
        let explained = |code| replied(code).1;
        let login = "rejected the login: it replied 28P01; check \"url\" and \"password\"";
        assert_eq!(explained("28P01"), login);
        assert_eq!(
            explained("42P01"),
            "has no such table: it replied 42P01; create it, or set \"create_tables\""
        );
        let pooled = "has lost a prepared statement, or has one of another client: it replied 42P05; \
                      let a pooler such as PgBouncer pool sessions";
        assert_eq!(explained("42P05"), pooled);
        assert_eq!(explained("22003"), "failed: it replied 22003");
    }

    #[test]
    fn failures_that_may_pass_are_transient() {
        for (code, kind) in [
            ("57P01", ErrorKind::Unavailable),
            ("53300", ErrorKind::Unavailable),
            ("40P01", ErrorKind::Unavailable),
            ("57014", ErrorKind::Timeout),
            ("3D000", ErrorKind::Configuration),
            ("42703", ErrorKind::Configuration),
            ("42P05", ErrorKind::Configuration),
            ("XX000", ErrorKind::Other),
        ] {
            assert_eq!(replied(code).0, kind, "{code}");
        }
    }
}
