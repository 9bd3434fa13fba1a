//! Converts the errors of the client to a [`BackendError`].

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};
use redis::RedisError;

/// Codes with which a server rejects a command that it may accept later.
const LATER: [&str; 9] =
    ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK"];

/// Codes with which a server rejects a login.
const LOGIN: [&str; 2] = ["NOAUTH", "WRONGPASS"];

/// Returns `error` as a failure of `server`.
pub(crate) fn of(error: RedisError, server: &str) -> BackendError {
    let (kind, what) = describe(&error);
    let message = format!("{}Redis server {server}{}", what.before, what.after);
    BackendError::new(kind, message).at_server(server).with_source(error)
}

/// The parts of a message before and after the name of the server.
struct Message {
    before: &'static str,
    after: String,
}

fn describe(error: &RedisError) -> (ErrorKind, Message) {
    let message = |after: &str| Message { before: "", after: after.to_owned() };
    let replied = |what: &str, code: &str, hint: &str| message(&format!(" {what}: it replied {code}{hint}"));
    let login = "; check \"username\" and \"password\"";
    match error.code() {
        Some(code) if LATER.contains(&code) => {
            (ErrorKind::Unavailable, replied("is temporarily unavailable", code, "; retry later"))
        }
        Some(code) if LOGIN.contains(&code) => {
            (ErrorKind::Configuration, replied("rejected the login", code, login))
        }
        Some("NOPERM") => {
            let hint = "; grant the user the right to it";
            (ErrorKind::Configuration, replied("rejected the command", "NOPERM", hint))
        }
        Some("OOM") => {
            (ErrorKind::Other, replied("is full", "OOM", "; raise its maxmemory or set an eviction policy"))
        }
        Some(code) => (ErrorKind::Other, replied("rejected the command", code, "")),
        None if error.is_timeout() => {
            let after = " timed out: it did not reply in time; check the server, or raise \"socket_timeout\"";
            (ErrorKind::Timeout, message(after))
        }
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => {
            (ErrorKind::Configuration, message(&format!(" rejected the login{login}")))
        }
        None if is_tls_failure(error) => {
            let after = ": the handshake failed; check \"ssl\" and \"connection_kwargs\"".to_owned();
            (ErrorKind::Configuration, Message { before: "cannot open a TLS connection to ", after })
        }
        None if error.is_io_error() || error.is_connection_dropped() => {
            let after = ": the connection failed or was closed".to_owned();
            (ErrorKind::Unavailable, Message { before: "cannot reach ", after })
        }
        None => (ErrorKind::Other, message(" sent an invalid reply")),
    }
}

/// Returns whether TLS failed, which is most often due to a certificate.
fn is_tls_failure(error: &RedisError) -> bool {
    // The client shares the causes of its errors.
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    io.and_then(io::Error::get_ref).is_some_and(|cause| cause.is::<rustls::Error>())
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
    use super::*;

    fn refused(reply: &str) -> BackendError {
        let value = redis::parse_redis_value(format!("-{reply}\r\n").as_bytes()).unwrap();
        of(value.extract_error().unwrap_err(), "cache1:6379")
    }

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
                "ERR unknown command",
                "Redis server cache1:6379 rejected the command: it replied ERR",
                ErrorKind::Other,
            ),
        ];
        for (reply, text, kind) in descriptions {
            let error = refused(reply);
            assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
            assert_eq!(error.server(), Some("cache1:6379"));
        }
    }

    #[test]
    fn copied_error_has_the_same_text_and_causes() {
        let error = Arc::new(refused("LOADING Redis is loading the dataset in memory"));
        let chain = |error: &BackendError| dogpile_sdk::error_chain(error).to_string();
        assert_eq!(chain(&copy(&error)), chain(&error));
        assert_eq!(copy(&error).server(), error.server());
        assert!(chain(&error).len() > error.to_string().len());
    }
}
