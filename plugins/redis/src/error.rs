//! Converts the failures of servers to a [`BackendError`].
//!
//! A message names the server and states the cause once. It contains nothing that a server sent except the code of an
//! error reply, because a server may repeat a password or a value.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};

use crate::connection::Failure;
use crate::resp::{ErrorReply, Invalid};

/// Codes with which a server rejects a command that it may accept later.
const LATER: [&str; 9] =
    ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK"];

/// Codes with which a server rejects a login.
const LOGIN: [&str; 2] = ["NOAUTH", "WRONGPASS"];

/// Returns `failure` as a failure of `server`.
pub(crate) fn of(failure: Failure, server: &str) -> BackendError {
    let (kind, message) = match &failure {
        Failure::Rejected(reply) => return rejected(reply, server),
        Failure::TimedOut => (
            ErrorKind::Timeout,
            format!(
                "Redis server {server} timed out: it did not reply in time; check the server, or raise \
                 \"socket_timeout\""
            ),
        ),
        Failure::Busy { size, waited } => {
            let waited = tenths(*waited);
            let what =
                format!("no free connection to Redis server {server}: all {size} were in use for {waited:?}");
            (ErrorKind::Timeout, format!("{what}; raise \"pool_size\""))
        }
        #[cfg(feature = "tokio")]
        Failure::Crowded => (
            ErrorKind::Timeout,
            format!(
                "cannot send a command to Redis server {server}: too many asynchronous calls wait for it; call it less \
                 often, or raise \"async_connections\""
            ),
        ),
        Failure::Broken(_) => (
            ErrorKind::Unavailable,
            format!(
                "cannot reach Redis server {server}: the connection failed or was closed; check that it runs at this address"
            ),
        ),
        Failure::Tls(_) => (
            ErrorKind::Configuration,
            format!(
                "cannot open a TLS connection to Redis server {server}: the handshake failed; check \"ssl\" and \
                 \"connection_kwargs\""
            ),
        ),
        Failure::Invalid(invalid) => (ErrorKind::Other, invalid_reply(invalid, server)),
        Failure::Login => (
            ErrorKind::Configuration,
            format!("Redis server {server} rejected the login; check \"username\" and \"password\""),
        ),
        Failure::Database(reply) if reply.code() == "ERR" => (
            ErrorKind::Configuration,
            format!("Redis server {server} rejected the database: it replied ERR; check \"db\""),
        ),
        Failure::Database(reply) => return rejected(reply, server),
    };
    let error = BackendError::new(kind, message).at_server(server);
    match failure {
        Failure::Broken(cause) => error.with_source(cause),
        Failure::Tls(cause) => error.with_source(cause),
        _ => error,
    }
}

fn invalid_reply(invalid: &Invalid, server: &str) -> String {
    let hint = match invalid {
        Invalid::LongString { .. } | Invalid::Large { .. } => "; see \"max_value_bytes\"",
        _ => "",
    };
    format!("Redis server {server} sent an invalid reply: {invalid}{hint}")
}

/// Rounds to tenths of a second, unless that leaves nothing.
fn tenths(time: Duration) -> Duration {
    let rounded = Duration::from_millis((time.as_millis() as u64 + 50) / 100 * 100);
    if rounded.is_zero() { time } else { rounded }
}

/// Returns the error for an error reply to a command.
pub(crate) fn rejected(reply: &ErrorReply, server: &str) -> BackendError {
    let (kind, what, hint) = match reply.code() {
        code if LATER.contains(&code) => {
            (ErrorKind::Unavailable, "is temporarily unavailable", "; retry later")
        }
        code if LOGIN.contains(&code) => {
            (ErrorKind::Configuration, "rejected the login", "; check \"username\" and \"password\"")
        }
        "NOPERM" => (ErrorKind::Configuration, "rejected the command", "; grant the user the right to it"),
        "OOM" => (ErrorKind::Other, "is full", "; raise its maxmemory or set an eviction policy"),
        _ => (ErrorKind::Other, "rejected the command", ""),
    };
    let message = format!("Redis server {server} {what}: it replied {reply}{hint}");
    BackendError::new(kind, message).at_server(server)
}

/// Returns the error for a reply with an unexpected content.
pub(crate) fn unexpected(server: &str) -> BackendError {
    let message = format!("Redis server {server} sent an invalid reply: its content has another type");
    BackendError::new(ErrorKind::Other, message).at_server(server)
}

/// Copies `error`, which is not `Clone`. The copy has the same causes.
pub(crate) fn copy(error: &Arc<BackendError>) -> BackendError {
    let copy = BackendError::new(error.kind(), error.to_string());
    let copy = match error.server() {
        Some(server) => copy.at_server(server),
        None => copy,
    };
    match error.source() {
        Some(_) => copy.with_source(SharedCause(Arc::clone(error))),
        None => copy,
    }
}

/// The cause of an error that several callers received.
#[derive(Debug)]
struct SharedCause(Arc<BackendError>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source().map_or(Ok(()), |cause| fmt::Display::fmt(cause, f))
    }
}

impl Error for SharedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source().and_then(Error::source)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn error_reply_is_described_with_its_server() {
        let descriptions = [
            (
                "LOADING Redis is loading the dataset in memory",
                "Redis server cache1:6379 is temporarily unavailable: it replied LOADING; retry later",
                ErrorKind::Unavailable,
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "Redis server cache1:6379 rejected the login: it replied WRONGPASS; check \"username\" and \"password\"",
                ErrorKind::Configuration,
            ),
            (
                "NOPERM this user has no permissions",
                "Redis server cache1:6379 rejected the command: it replied NOPERM; grant the user the right to it",
                ErrorKind::Configuration,
            ),
            (
                "ERR unknown command, with args beginning with: 'hunter2'",
                "Redis server cache1:6379 rejected the command: it replied ERR",
                ErrorKind::Other,
            ),
            (
                "\x1b[31mEVIL",
                "Redis server cache1:6379 rejected the command: it replied an error without a code",
                ErrorKind::Other,
            ),
        ];
        for (reply, text, kind) in descriptions {
            let error = rejected(&ErrorReply::new(reply), "cache1:6379");
            assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
            assert_eq!(error.server(), Some("cache1:6379"));
            assert!(error.source().is_none());
        }
    }

    #[test]
    fn failure_is_described_with_its_server() {
        let login = || ErrorReply::new("ERR unknown command 'AUTH', with args beginning with: 'hunter2'");
        let waited = Duration::from_millis(987);
        let failures = [
            (Failure::TimedOut, "timed out: it did not reply in time", ErrorKind::Timeout),
            (
                Failure::Busy { size: 2, waited },
                "all 2 were in use for 1s; raise \"pool_size\"",
                ErrorKind::Timeout,
            ),
            (Failure::Login, "rejected the login; check", ErrorKind::Configuration),
            (
                Failure::Database(login()),
                "rejected the database: it replied ERR; check",
                ErrorKind::Configuration,
            ),
            (Failure::Rejected(login()), "rejected the command: it replied ERR", ErrorKind::Other),
            (
                Failure::Invalid(Invalid::LongString { given: 9, limit: 8 }),
                "sent an invalid reply: a string has 9 bytes, more than 8; see \"max_value_bytes\"",
                ErrorKind::Other,
            ),
        ];
        for (failure, text, kind) in failures {
            let error = of(failure, "cache1:6379");
            let chain = dogpile_sdk::error_chain(&error).to_string();
            assert!(chain.contains(text) && chain.matches("cache1:6379").count() == 1, "{chain}");
            assert!(!format!("{chain} {error:?}").contains("hunter2"), "{error:?}");
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn copied_error_has_the_same_text_and_causes() {
        let cause = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let error = Arc::new(of(Failure::Broken(Arc::new(cause)), "cache1:6379"));
        let chain = |error: &BackendError| dogpile_sdk::error_chain(error).to_string();
        assert_eq!(chain(&copy(&error)), chain(&error));
        assert_eq!(copy(&error).server(), error.server());
        assert!(chain(&error).len() > error.to_string().len());
    }
}
