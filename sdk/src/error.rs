//! [`BackendError`]: what a backend answers when it cannot do what it was asked.

use std::error::Error;
use std::fmt;

/// Why a backend could not do what it was asked. A missing value is no error, but `Ok(None)`.
///
/// ```
/// use dogpile_sdk::{BackendError, ErrorKind};
///
/// let error = BackendError::new(ErrorKind::Timeout, "no answer within 3 s").during("get").for_key("user:1");
/// assert!(error.is_transient());
/// assert_eq!(error.to_string(), "no answer within 3 s");
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct BackendError(Box<Inner>);

/// Boxed, so that an error weighs little in the many results that hold none.
#[derive(thiserror::Error)]
#[error("{message}")]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<String>,
    key: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What sort of failure it was; callers branch on it, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached, or broke off. Transient.
    Unavailable,
    /// The store did not answer in time. Transient.
    Timeout,
    /// An argument of the backend is wrong or missing.
    Configuration,
    /// The key is one that the store cannot take.
    InvalidKey,
    /// The value is one that the store cannot take, or larger than it takes.
    InvalidValue,
    /// The backend refuses this operation on purpose, as a read-only proxy does.
    Refused,
    /// A mutex was released by somebody who does not hold it (any more).
    NotHeld,
    /// The backend panicked.
    Panicked,
    /// Anything else.
    Other,
}

impl ErrorKind {
    const ALL: [ErrorKind; 9] = [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Configuration,
        ErrorKind::InvalidKey,
        ErrorKind::InvalidValue,
        ErrorKind::Refused,
        ErrorKind::NotHeld,
        ErrorKind::Panicked,
        ErrorKind::Other,
    ];

    /// The name that stands for the kind where it crosses to another binary.
    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    /// The kind of that name; `Other` for one that this version does not know.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(ErrorKind::Other)
    }
}

impl BackendError {
    /// An error of `kind`; `message` says what happened, in lower case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        BackendError(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            key: None,
            source: None,
        }))
    }

    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Keeps which operation it was, such as `get_multi`.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Keeps which key it was about.
    #[must_use]
    pub fn for_key(mut self, key: impl Into<String>) -> Self {
        self.0.key = Some(key.into());
        self
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Which operation it was, if the backend told.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// Which key it was about, if the backend told.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, operation, key, source } = self;
        let mut shown = f.debug_struct("BackendError");
        shown.field("kind", kind).field("message", message).field("operation", operation);
        shown.field("key", key).field("source", source).finish()
    }
}

/// A cause that came from another binary, of which only the text is left.
#[derive(Debug)]
pub(crate) struct RemoteCause {
    message: String,
    source: Option<Box<RemoteCause>>,
}

impl RemoteCause {
    /// The chain that `messages` tell, the nearest first.
    pub(crate) fn chain(messages: Vec<String>) -> Option<Box<Self>> {
        messages
            .into_iter()
            .rev()
            .fold(None, |source, message| Some(Box::new(RemoteCause { message, source })))
    }
}

impl fmt::Display for RemoteCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RemoteCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
