//! [`Failure`]: why a connection failed.

use std::error::Error;
use std::io;
use std::sync::Arc;

/// Why a connection could not be opened, or broke. After a failure, close the connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The deadline passed.
    #[error("the deadline passed")]
    TimedOut,
    /// The connection could not be opened, or broke.
    #[error("the connection failed or was closed")]
    Broken(#[source] Arc<io::Error>),
    /// The TLS handshake failed, or a TLS record was invalid.
    #[error("the TLS handshake failed")]
    Tls(#[source] Arc<dyn Error + Send + Sync>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            return Failure::Tls(Arc::new(tls.clone()));
        }
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
            _ => Failure::Broken(Arc::new(error)),
        }
    }
}
