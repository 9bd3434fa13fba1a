//! What the client says, as a [`BackendError`].

use std::error::Error;
use std::io;
use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};
use redis::RedisError;

/// Codes with which a server refuses now what it may do a little later.
const LATER: [&str; 9] =
    ["LOADING", "BUSY", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MOVED", "ASK"];

/// Codes with which a server refuses who is not, or not rightly, logged in.
const LOGIN: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

pub(crate) fn of(error: RedisError) -> BackendError {
    let (kind, message) = describe(&error);
    BackendError::new(kind, message).with_source(error)
}

fn describe(error: &RedisError) -> (ErrorKind, String) {
    match error.code() {
        Some(code) if LATER.contains(&code) => {
            (ErrorKind::Unavailable, format!("the Redis server cannot do it now ({code})"))
        }
        Some(code) if LOGIN.contains(&code) => {
            let message =
                format!("the Redis server refuses the user ({code}); see \"username\" and \"password\"");
            (ErrorKind::Configuration, message)
        }
        Some("OOM") => (ErrorKind::Other, "the Redis server is full (its maxmemory is reached)".to_owned()),
        Some(code) => (ErrorKind::Other, format!("the Redis server refuses the command ({code})")),
        None if error.is_timeout() => {
            (ErrorKind::Timeout, "the Redis server did not answer in time (\"socket_timeout\")".to_owned())
        }
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => {
            let message = "the Redis server refuses the user; see \"username\" and \"password\"".to_owned();
            (ErrorKind::Configuration, message)
        }
        None if tls_failure(error).is_some() => {
            let why = tls_failure(error).unwrap_or_default();
            let message =
                format!("no TLS with the Redis server ({why}); see \"ssl\" and \"connection_kwargs\"");
            (ErrorKind::Configuration, message)
        }
        None if error.is_io_error() || error.is_connection_dropped() => {
            (ErrorKind::Unavailable, "the Redis server cannot be reached, or broke off".to_owned())
        }
        None => (ErrorKind::Other, "the Redis server gave an answer that cannot be read".to_owned()),
    }
}

/// What TLS finds wrong, a certificate mostly.
fn tls_failure(error: &RedisError) -> Option<String> {
    // The client keeps causes shared.
    let source = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let io = source.downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref::<rustls::Error>().map(ToString::to_string)
}
