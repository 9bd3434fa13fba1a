//! What a region's calls answer when they cannot do what they were asked.

use std::error::Error;
use std::fmt;

use dogpile_sdk::BackendError;

use crate::engine::{LockError, SharedFailure};
use crate::registry::RegistryError;
use crate::serializer::SerializerError;

/// Why a region could not do what it was asked. A miss is no error, but `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The region is used before it was configured.
    #[error("region {region:?} is not configured; call `configure` before it is used")]
    NotConfigured {
        /// The region.
        region: String,
    },
    /// The region is configured a second time.
    #[error(
        "region {region:?} is already configured, with backend {backend:?}; to replace it, say \
         `replace_existing_backend`"
    )]
    AlreadyConfigured {
        /// The region.
        region: String,
        /// Its present backend.
        backend: String,
    },
    /// A setting of the region is wrong.
    #[error("region {region:?}: {problem}")]
    Setting {
        /// The region.
        region: String,
        /// What is wrong with which setting, and what to do.
        problem: String,
    },
    /// A backend or proxy of the region could not be made.
    #[error("region {region:?} could not be configured")]
    EntryPoint {
        /// The region.
        region: String,
        /// Why not.
        source: Box<RegistryError>,
    },
    /// The backend failed.
    #[error("region {region:?} could not {operation} {key} in backend {backend:?}")]
    Backend {
        /// The region.
        region: String,
        /// The backend's entry point.
        backend: String,
        /// What was being done, such as `get`.
        operation: &'static str,
        /// The key, or keys, as the backend was given them.
        key: String,
        /// What the backend said.
        source: BackendError,
    },
    /// The value could not be serialised.
    #[error("region {region:?} could not serialise the value of {key}")]
    Serialize {
        /// The region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// What the serializer said.
        source: SerializerError,
    },
    /// The key is one that the region cannot take.
    #[error("region {region:?} cannot take the key {key}: {problem}")]
    InvalidKey {
        /// The region.
        region: String,
        /// The key.
        key: String,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// The dogpile lock failed.
    #[error("region {region:?} could not lock {key}")]
    Lock {
        /// The region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// Why not.
        source: LockError,
    },
    /// The creator of another caller failed, for which this caller waited.
    #[error(transparent)]
    SharedFailure(#[from] SharedFailure),
    /// A creator of many values made more or fewer than it was asked for.
    #[error(
        "a creator of region {region:?} was asked for {expected} values and made {made}; nothing was stored"
    )]
    CreatorCount {
        /// The region.
        region: String,
        /// How many keys it was given.
        expected: usize,
        /// How many values it made.
        made: usize,
    },
}

impl RegionError {
    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            RegionError::Backend { source, .. } => source.is_transient(),
            RegionError::Lock { source: LockError::Mutex(source), .. } => source.is_transient(),
            RegionError::Lock { source: LockError::TimedOut { .. }, .. } => true,
            _ => false,
        }
    }

    /// What the backend said, if it was the backend that failed.
    pub fn backend_error(&self) -> Option<&BackendError> {
        match self {
            RegionError::Backend { source, .. } => Some(source),
            RegionError::Lock { source: LockError::Mutex(source), .. } => Some(source),
            _ => None,
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
