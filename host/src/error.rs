//! [`RegionError`] and [`CreateError`]: why a call of a region failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{BackendError, error_chain};

use crate::engine::{LockError, SharedFailure};
use crate::registry::RegistryError;
use crate::serializer::SerializerError;

/// Why a call of a region failed. A missing value is `Ok(None)`.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegionError {
    /// The region is not configured.
    #[non_exhaustive]
    NotConfigured {
        /// The name of the region.
        region: String,
    },
    /// The region is already configured.
    #[non_exhaustive]
    AlreadyConfigured {
        /// The name of the region.
        region: String,
        /// The region's present backend.
        backend: String,
    },
    /// Others configured the region each time that this call was about to.
    #[non_exhaustive]
    ConfiguredByOthers {
        /// The name of the region.
        region: String,
    },
    /// A setting is invalid.
    #[non_exhaustive]
    Setting {
        /// The name of the region.
        region: String,
        /// The setting, such as `key_mangler`.
        setting: &'static str,
        /// The reason, and what to do.
        problem: String,
    },
    /// The arguments of the backend or of a proxy cannot be represented.
    #[non_exhaustive]
    Arguments {
        /// The name of the region.
        region: String,
        /// The reason.
        source: Arc<BackendError>,
    },
    /// The backend or a proxy could not be built.
    #[non_exhaustive]
    EntryPoint {
        /// The name of the region.
        region: String,
        /// The reason.
        source: Box<RegistryError>,
    },
    /// The backend failed.
    #[non_exhaustive]
    Backend {
        /// The name of the region.
        region: String,
        /// The entry point of the backend.
        backend: String,
        /// The operation, such as `get`.
        operation: &'static str,
        /// The key or keys, as the backend received them.
        key: String,
        /// The backend's error.
        source: BackendError,
    },
    /// The value could not be serialized.
    #[non_exhaustive]
    Serialize {
        /// The name of the region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// The serializer's error.
        source: SerializerError,
    },
    /// The key is invalid.
    #[non_exhaustive]
    InvalidKey {
        /// The name of the region.
        region: String,
        /// The key.
        key: String,
        /// The reason, and what to do.
        problem: &'static str,
    },
    /// The dogpile lock failed.
    #[non_exhaustive]
    Lock {
        /// The name of the region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// The reason.
        source: LockError,
    },
    /// The creation took longer than the region's `hard` limit, and no old value may be served.
    #[non_exhaustive]
    CreatorTimedOut {
        /// The name of the region.
        region: String,
        /// The key or keys, quoted and shortened.
        key: String,
        /// The limit. See [`CreatorTimeout::hard`](crate::CreatorTimeout::hard).
        limit: Duration,
    },
    /// The creator of another caller failed, for which this caller waited.
    SharedFailure(SharedFailure),
    /// The creator confirmed the old value, and there is none.
    #[non_exhaustive]
    NothingToConfirm {
        /// The name of the region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
    },
    /// A creator of many values returned a wrong number of values.
    #[non_exhaustive]
    CreatorCount {
        /// The name of the region.
        region: String,
        /// The number of keys.
        expected: usize,
        /// The number of values.
        made: usize,
    },
    /// The task of a detached creation was dropped before its end, as by an async runtime that shuts down.
    #[non_exhaustive]
    TaskDropped {
        /// The name of the region.
        region: String,
        /// The key or keys, quoted and shortened.
        key: String,
    },
}

impl RegionError {
    /// Returns whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            RegionError::Backend { source, .. } => source.is_transient(),
            RegionError::Lock { source: LockError::Mutex(source), .. } => source.is_transient(),
            RegionError::Lock { source: LockError::TimedOut { .. }, .. }
            | RegionError::CreatorTimedOut { .. }
            | RegionError::TaskDropped { .. } => true,
            _ => false,
        }
    }

    /// Returns the name of the region.
    pub fn region(&self) -> &str {
        match self {
            RegionError::NotConfigured { region }
            | RegionError::AlreadyConfigured { region, .. }
            | RegionError::ConfiguredByOthers { region }
            | RegionError::Setting { region, .. }
            | RegionError::Arguments { region, .. }
            | RegionError::EntryPoint { region, .. }
            | RegionError::Backend { region, .. }
            | RegionError::Serialize { region, .. }
            | RegionError::InvalidKey { region, .. }
            | RegionError::Lock { region, .. }
            | RegionError::CreatorTimedOut { region, .. }
            | RegionError::NothingToConfirm { region, .. }
            | RegionError::CreatorCount { region, .. }
            | RegionError::TaskDropped { region, .. } => region,
            RegionError::SharedFailure(failure) => failure.region(),
        }
    }

    /// Returns the key or keys as text, quoted and shortened. It is `None` if the failure concerns no key.
    pub fn key(&self) -> Option<&str> {
        match self {
            RegionError::Backend { key, .. }
            | RegionError::Serialize { key, .. }
            | RegionError::InvalidKey { key, .. }
            | RegionError::Lock { key, .. }
            | RegionError::CreatorTimedOut { key, .. }
            | RegionError::NothingToConfirm { key, .. }
            | RegionError::TaskDropped { key, .. } => Some(key),
            RegionError::SharedFailure(failure) => Some(failure.key()),
            _ => None,
        }
    }

    /// Returns the invalid setting of a configuration, such as `serializer`, if a setting is invalid.
    pub fn setting(&self) -> Option<&str> {
        match self {
            RegionError::Setting { setting, .. } => Some(setting),
            RegionError::EntryPoint { source, .. } => source.setting(),
            _ => None,
        }
    }

    /// Returns the invalid argument of a backend or proxy, if it is known. An example is `max_entries`.
    pub fn argument(&self) -> Option<&str> {
        match self {
            RegionError::EntryPoint { source, .. } => source.argument(),
            _ => None,
        }
    }

    /// Returns the server that failed, if it is known.
    pub(crate) fn server(&self) -> Option<&str> {
        self.backend_error().and_then(BackendError::server)
    }

    /// Returns whether a creator, or the wait for one, took too long.
    pub(crate) fn is_creation_timeout(&self) -> bool {
        matches!(
            self,
            RegionError::CreatorTimedOut { .. }
                | RegionError::Lock { source: LockError::TimedOut { .. }, .. }
        )
    }

    /// Returns the backend's error, if the backend or its mutex failed.
    pub fn backend_error(&self) -> Option<&BackendError> {
        match self {
            RegionError::Backend { source, .. } => Some(source),
            RegionError::Lock { source: LockError::Mutex(source), .. } => Some(source),
            _ => None,
        }
    }
}

/// `{:#}` includes the causes.
impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { write!(f, "{}", error_chain(self)) } else { self.fmt_alone(f) }
    }
}

impl Error for RegionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RegionError::Arguments { source, .. } => Some(&**source),
            RegionError::EntryPoint { source, .. } => Some(&**source),
            RegionError::Backend { source, .. } => Some(source),
            RegionError::Serialize { source, .. } => Some(&**source),
            // The message includes the reason.
            RegionError::Lock { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl RegionError {
    /// Writes this error without its causes.
    fn fmt_alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.region();
        match self {
            RegionError::NotConfigured { .. } => {
                write!(f, "region {region:?} is not configured; call `configure` before using it")
            }
            RegionError::ConfiguredByOthers { .. } => write!(
                f,
                "region {region:?} was not configured, because others configured it again and again meanwhile; configure it \
                 in one place, and neither in an observer's `for_region` nor in the function of `wrap`"
            ),
            RegionError::AlreadyConfigured { backend, .. } => write!(
                f,
                "region {region:?} is already configured, with backend {backend:?}; call `replace_existing_backend` to \
                 replace it"
            ),
            RegionError::Setting { problem, .. } => write!(f, "region {region:?}: {problem}"),
            RegionError::Arguments { .. } => {
                write!(f, "region {region:?} could not be configured: its arguments are invalid")
            }
            RegionError::EntryPoint { .. } => write!(f, "region {region:?} could not be configured"),
            RegionError::Backend { backend, operation, key, .. } => {
                write!(f, "region {region:?} could not {operation} {key} in backend {backend:?}")
            }
            RegionError::Serialize { key, .. } => {
                write!(f, "region {region:?} could not serialize the value of {key}")
            }
            RegionError::InvalidKey { key, problem, .. } => {
                write!(f, "invalid key {key} for region {region:?}: {problem}")
            }
            RegionError::Lock { key, source, .. } => {
                write!(f, "region {region:?} could not lock {key}: {source}")
            }
            RegionError::CreatorTimedOut { key, limit, .. } => write!(
                f,
                "region {region:?} timed out creating {key}: there was no value after {limit:?}, the \"hard\" limit of \
                 \"creator_timeout\"; retry later, or raise the limit"
            ),
            RegionError::SharedFailure(failure) => fmt::Display::fmt(failure, f),
            RegionError::NothingToConfirm { key, .. } => write!(
                f,
                "region {region:?} stored nothing for {key}: the creator returned `Created::unchanged`, and there is no \
                 old value; return a value if the creator gets `None`"
            ),
            RegionError::CreatorCount { expected, made, .. } => write!(
                f,
                "region {region:?} stored nothing: the creator returned {made} values for {expected} keys; return one \
                 value per key"
            ),
            RegionError::TaskDropped { key, .. } => write!(
                f,
                "region {region:?} created no value of key {key}: the async runtime or the runner dropped the task before \
                 its end, as a runtime does that shuts down; retry later"
            ),
        }
    }
}

/// Why a call with a creator that may fail did.
///
/// It is an error if the creator's error is `Debug` and `Display`, so that `?` works with `anyhow::Error` and
/// `Box<dyn Error>`.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError<E> {
    /// The region failed.
    Region(RegionError),
    /// The creator failed, and nothing was stored. Displays as the creator's error does.
    Creator(E),
    /// The creator of another caller failed, for which this caller waited.
    Shared(SharedFailure),
}

impl<E> From<RegionError> for CreateError<E> {
    fn from(error: RegionError) -> Self {
        CreateError::Region(error)
    }
}

/// `{:#}` includes the causes, as far as the creator's error shows its own.
impl<E: fmt::Display> fmt::Display for CreateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Region(error) => error.fmt(f),
            CreateError::Creator(error) => error.fmt(f),
            CreateError::Shared(failure) => failure.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for CreateError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CreateError::Region(error) => error.source(),
            CreateError::Creator(_) | CreateError::Shared(_) => None,
        }
    }
}

impl<E> CreateError<E> {
    /// Returns the creator's error, if this caller's creator failed, and this error otherwise.
    ///
    /// # Errors
    /// The error itself, if something else failed.
    pub fn into_creator(self) -> Result<E, CreateError<E>> {
        match self {
            CreateError::Creator(error) => Ok(error),
            other => Err(other),
        }
    }

    /// Returns the error of the creator.
    ///
    /// It is the error of this caller's creator, or that of the creator for which the caller waited. The latter is returned
    /// only if the creator marked it with [`shared`](crate::shared) and it is an `E`.
    pub fn creator_error(&self) -> Option<&E>
    where
        E: 'static,
    {
        match self {
            CreateError::Creator(error) => Some(error),
            CreateError::Shared(failure) => failure.downcast_ref(),
            CreateError::Region(_) => None,
        }
    }

    /// Returns the [creator's error](Self::creator_error), or otherwise the region's.
    ///
    /// A service maps the first to the status of a source that failed, and the second by [`RegionError::is_transient`].
    /// [`shared`](crate::shared) shows an example.
    ///
    /// # Errors
    /// The region's error, if no creator failed. [`RegionError::SharedFailure`] if the creator of another caller failed with an
    /// error that it did not share, or with one of another type.
    pub fn into_creator_error(self) -> Result<E, RegionError>
    where
        E: Clone + 'static,
    {
        match self {
            CreateError::Creator(error) => Ok(error),
            CreateError::Shared(failure) => match failure.downcast_ref::<E>() {
                Some(error) => Ok(error.clone()),
                None => Err(RegionError::SharedFailure(failure)),
            },
            CreateError::Region(error) => Err(error),
        }
    }
}

impl CreateError<std::convert::Infallible> {
    /// The region's error: a creator that cannot fail has none.
    pub(crate) fn into_region(self) -> RegionError {
        match self {
            CreateError::Region(error) => error,
            CreateError::Creator(never) => match never {},
            CreateError::Shared(failure) => RegionError::SharedFailure(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::ErrorKind;

    use super::*;

    #[test]
    fn alternate_form_includes_the_causes() {
        let refused = BackendError::new(ErrorKind::Unavailable, "connection refused");
        let source = BackendError::new(ErrorKind::Unavailable, "no server replied").with_source(refused);
        let (region, backend, key) = ("prices".to_owned(), "acme.shelf".to_owned(), "\"tea\"".to_owned());
        let error = RegionError::Backend { region, backend, operation: "get", key, source };
        let alone = "region \"prices\" could not get \"tea\" in backend \"acme.shelf\"";
        assert_eq!(error.to_string(), alone);
        assert_eq!(format!("{error:#}"), format!("{alone}: no server replied: connection refused"));
        assert_eq!((error.region(), error.key()), ("prices", Some("\"tea\"")));
        let error: CreateError<&str> = error.into();
        assert_eq!(format!("{error:#}"), format!("{alone}: no server replied: connection refused"));
        let source = LockError::Mutex(Arc::new(BackendError::new(ErrorKind::Timeout, "no reply")));
        assert_eq!(format!("{source:#}"), "the backend's mutex failed: no reply");
    }
}
