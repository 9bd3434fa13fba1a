//! [`LockError`] and [`SharedFailure`]: why a caller got no value.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{BackendError, error_chain};

/// Why the dogpile lock failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The caller would wait for itself.
    Reentry,
    /// The caller waited for another creator until its limit, and no value exists.
    #[non_exhaustive]
    TimedOut {
        /// Who creates, such as `thread "worker-3"`.
        leader: String,
        /// How long ago the leader began.
        age: Duration,
    },
    /// The caller would block a thread of an async runtime until a task has created the value, and the task may need
    /// that very thread.
    WouldBlockRuntime,
    /// The backend's mutex failed.
    Mutex(#[source] Arc<BackendError>),
}

/// `{:#}` includes the causes.
impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            _ if f.alternate() => write!(f, "{}", error_chain(self)),
            LockError::Reentry => f.write_str(
                "deadlock avoided: the creator requested a key that it, or a creator waiting for it, is already \
                 creating; request that key before this creator runs",
            ),
            LockError::TimedOut { leader, age } => write!(
                f,
                "timed out waiting for another creator: {leader} has been creating for {age:.1?}, and no old value \
                 exists; retry later"
            ),
            LockError::WouldBlockRuntime => f.write_str(
                "this call would block a thread of an async runtime until a task has created the value; await the \
                 `_async` form of the call, or make the call on another thread",
            ),
            LockError::Mutex(_) => f.write_str("the backend's mutex failed"),
        }
    }
}

/// The failure of another caller's creator, shared with a caller that waited for it.
///
/// A region shares failures if `on_creator_failure` is `"share"`. The caller whose creator failed gets its own error. The others
/// get its text, and the error itself if the creator marks it with [`shared`](crate::shared).
#[derive(Clone)]
pub struct SharedFailure {
    inner: Arc<Inner>,
    error: Option<Arc<dyn Any + Send + Sync>>,
}

struct Inner {
    region: Arc<str>,
    key: String,
    message: String,
    age: Duration,
}

impl SharedFailure {
    pub(crate) fn new(region: &Arc<str>, key: String, message: String, age: Duration) -> Self {
        let inner = Arc::new(Inner { region: Arc::clone(region), key, message, age });
        SharedFailure { inner, error: None }
    }

    /// Adds the error that the creator shared.
    pub(super) fn with_error(self, error: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        SharedFailure { error, ..self }
    }

    /// Returns the creator's error if it is a [`shared`](crate::shared) `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        self.error.as_ref()?.downcast_ref()
    }

    /// Returns the name of the region.
    pub fn region(&self) -> &str {
        &self.inner.region
    }

    /// Returns the key or keys that could not be created, as text.
    pub fn key(&self) -> &str {
        &self.inner.key
    }

    /// Returns the text of the creator's error and its causes.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns how long the creator ran until it failed.
    pub fn age(&self) -> Duration {
        self.inner.age
    }
}

impl fmt::Display for SharedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { region, key, message, age } = &*self.inner;
        write!(
            f,
            "another caller's creator of key {key} in region {region:?} failed after {age:.1?}: {message}"
        )
    }
}

impl fmt::Debug for SharedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { region, key, message, age } = &*self.inner;
        let mut shown = f.debug_struct("SharedFailure");
        shown.field("region", region).field("key", key).field("message", message).field("age", age).finish()
    }
}

impl std::error::Error for SharedFailure {}
