//! [`RegionError`] and [`CreateError`]: why a call of a region failed.

use std::error::Error;
use std::fmt;

use dogpile_sdk::BackendError;

use crate::engine::{LockError, SharedFailure};
use crate::registry::RegistryError;
use crate::serializer::SerializerError;

/// Why a call of a region failed. A missing value is `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The region is not configured.
    #[error("region {region:?} is not configured; call `configure` before using it")]
    NotConfigured {
        /// The name of the region.
        region: String,
    },
    /// The region is already configured.
    #[error(
        "region {region:?} is already configured, with backend {backend:?}; call `replace_existing_backend` to replace \
         it"
    )]
    AlreadyConfigured {
        /// The name of the region.
        region: String,
        /// The region's present backend.
        backend: String,
    },
    /// A setting is invalid.
    #[error("region {region:?}: {problem}")]
    Setting {
        /// The name of the region.
        region: String,
        /// The setting, the reason, and what to do.
        problem: String,
    },
    /// The backend or a proxy could not be built.
    #[error("region {region:?} could not be configured")]
    EntryPoint {
        /// The name of the region.
        region: String,
        /// The reason.
        source: Box<RegistryError>,
    },
    /// The backend failed.
    #[error("region {region:?} could not {operation} {key} in backend {backend:?}")]
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
    #[error("region {region:?} could not serialize the value of {key}")]
    Serialize {
        /// The name of the region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// The serializer's error.
        source: SerializerError,
    },
    /// The key is invalid.
    #[error("invalid key {key} for region {region:?}: {problem}")]
    InvalidKey {
        /// The name of the region.
        region: String,
        /// The key.
        key: String,
        /// The reason, and what to do.
        problem: &'static str,
    },
    /// The dogpile lock failed.
    #[error("region {region:?} could not lock {key}")]
    Lock {
        /// The name of the region.
        region: String,
        /// The key, as the caller gave it.
        key: String,
        /// The reason.
        source: LockError,
    },
    /// The creator of another caller failed, for which this caller waited.
    #[error(transparent)]
    SharedFailure(SharedFailure),
    /// A creator of many values returned a wrong number of values.
    #[error(
        "region {region:?} stored nothing: the creator returned {made} values for {expected} keys; return one value \
         per key"
    )]
    CreatorCount {
        /// The name of the region.
        region: String,
        /// The number of keys.
        expected: usize,
        /// The number of values.
        made: usize,
    },
}

impl RegionError {
    /// Returns whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            RegionError::Backend { source, .. } => source.is_transient(),
            RegionError::Lock { source: LockError::Mutex(source), .. } => source.is_transient(),
            RegionError::Lock { source: LockError::TimedOut { .. }, .. } => true,
            _ => false,
        }
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
