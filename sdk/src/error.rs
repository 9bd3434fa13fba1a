//! [`BackendError`]: the error of a backend.

use std::error::Error;
use std::fmt;

use crate::error_chain::error_chain;

/// The error of a backend. A missing value is `Ok(None)`, not an error.
///
/// ```
/// use dogpile_sdk::{BackendError, ErrorKind};
///
/// let error = BackendError::new(ErrorKind::Timeout, "no reply within 3 s").during("get").for_key("user:1");
/// assert!(error.is_transient());
/// assert_eq!(error.to_string(), "no reply within 3 s");
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct BackendError(Box<Inner>);

/// Boxed, so that results without an error stay small.
#[derive(thiserror::Error)]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<String>,
    key: Option<String>,
    server: Option<String>,
    argument: Option<String>,
    location: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a failure. Callers branch on it, never on the message.
///
/// With `on_backend_failure = "error"`, the default, a call of a region returns every error of its backend. With
/// `"degrade"`, and with a breaker, the kind decides:
///
/// | kind | [transient](BackendError::is_transient), counts for the breaker | a degrading call |
/// |---|---|---|
/// | `Unavailable`, `Timeout` | yes | goes on without the backend |
/// | `Dropped`, `Panicked`, `Other` | no | goes on without the backend |
/// | all others: they concern the call, and would come again | no | returns the error |
///
/// In each case, the caller of a creator gets the created value even if it cannot be stored, and a warning is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached, or the connection broke. Transient.
    Unavailable,
    /// The store did not reply in time. Transient.
    ///
    /// A write may still take effect later. A region then releases the mutex of the call in the background, because its
    /// caller has waited long enough.
    Timeout,
    /// An argument of the backend is invalid or missing. `build` returns it, and `configure` of the region fails.
    Configuration,
    /// The store does not accept the key. A region avoids it if the [capabilities](crate::Capabilities) state the
    /// limits.
    InvalidKey,
    /// The store does not accept the value, for example because it is too large.
    InvalidValue,
    /// The backend refuses the operation on purpose, as a read-only proxy does.
    Refused,
    /// A mutex was released by an object that does not hold it, or no longer holds it. A region logs it.
    NotHeld,
    /// A value was not stored, because the mutex of its [fence](crate::StoreOptions::fence) is no longer held.
    Fenced,
    /// The backend dropped an asynchronous call without an outcome.
    Dropped,
    /// The backend panicked.
    ///
    /// A panic of a backend or proxy becomes such an error in every call that returns a `Result`, whether it is linked
    /// or loaded. Its message names what provides the backend, the file, and the line. Methods that cannot fail return
    /// their defaults, except that a mutex which cannot be made fails when it is acquired.
    ///
    /// The backends of `dogpile-memory`, and those that an application passes as instances or registers in code, are not
    /// contained. Their panics reach the caller of the region, and the keys that the caller was creating are left to the
    /// next one. In either case the backend stays in use.
    Panicked,
    /// Any other failure. Kinds that this version does not know arrive from a newer library as this one.
    Other,
}

#[cfg(feature = "plugins")]
impl ErrorKind {
    const ALL: [ErrorKind; 11] = [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Configuration,
        ErrorKind::InvalidKey,
        ErrorKind::InvalidValue,
        ErrorKind::Refused,
        ErrorKind::NotHeld,
        ErrorKind::Fenced,
        ErrorKind::Dropped,
        ErrorKind::Panicked,
        ErrorKind::Other,
    ];

    /// Returns the name by which the kind crosses the FFI boundary.
    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    /// Returns the kind of that name, or `Other` if this version does not know it.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(ErrorKind::Other)
    }
}

impl BackendError {
    /// Creates an error of `kind`. `message` states what failed and why, in lower case and without a final period.
    ///
    /// Leave out the text of the [source](Self::with_source), because logs show both. Leave out passwords and values.
    /// An error of `build` or of a call crosses from a library with all its parts, but each source only as its text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        BackendError(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            key: None,
            server: None,
            argument: None,
            location: None,
            source: None,
        }))
    }

    /// Sets the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets the operation that failed, such as `get_multi`.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Sets the key of the operation.
    #[must_use]
    pub fn for_key(mut self, key: impl Into<String>) -> Self {
        self.0.key = Some(key.into());
        self
    }

    /// Sets the server that failed, such as `cache1:6379`.
    #[must_use]
    pub fn at_server(mut self, server: impl Into<String>) -> Self {
        self.0.server = Some(server.into());
        self
    }

    /// Sets the argument of the configuration that is invalid, such as `socket_timeout`.
    #[must_use]
    pub fn for_argument(mut self, argument: impl Into<String>) -> Self {
        self.0.argument = Some(argument.into());
        self
    }

    /// Sets the name by which the invalid argument was given, and adds `explanation` to the message.
    pub(crate) fn given_as(mut self, argument: &str, explanation: &str) -> Self {
        self.0.message.push_str(explanation);
        self.for_argument(argument)
    }

    /// Sets the file and line at which a backend panicked.
    #[must_use]
    pub(crate) fn at_location(mut self, location: impl Into<String>) -> Self {
        self.0.location = Some(location.into());
        self
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same call may succeed later: the kind is `Unavailable` or `Timeout`.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Returns the operation that failed, if the backend set it.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// Returns the key of the operation, if the backend set it.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// Returns the server that failed, if the backend set it.
    pub fn server(&self) -> Option<&str> {
        self.0.server.as_deref()
    }

    /// Returns the argument of the configuration that is invalid, if the backend set it.
    pub fn argument(&self) -> Option<&str> {
        self.0.argument.as_deref()
    }

    /// Returns the file and line at which the backend panicked, if they are known.
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }
}

/// `{:#}` includes the causes.
impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { write!(f, "{}", error_chain(self)) } else { f.write_str(&self.message) }
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, operation, key, server, argument, location, source } = self;
        let mut shown = f.debug_struct("BackendError");
        shown.field("kind", kind).field("message", message).field("operation", operation).field("key", key);
        shown.field("server", server).field("argument", argument).field("location", location);
        shown.field("source", source).finish()
    }
}
