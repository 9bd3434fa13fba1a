//! What a region's calls answer when they cannot do what they were asked.

use dogpile_sdk::BackendError;

use crate::lock::LockError;
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
            RegionError::Lock { source: LockError::TimedOut, .. } => true,
            _ => false,
        }
    }

    /// What the backend said, if it was the backend that failed.
    pub fn backend_error(&self) -> Option<&BackendError> {
        match self {
            RegionError::Backend { source, .. }
            | RegionError::Lock { source: LockError::Mutex(source), .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a call with a creator that may fail did.
#[derive(Debug, thiserror::Error)]
pub enum CreateError<E> {
    /// The region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The creator; nothing was stored.
    #[error("the creator failed")]
    Creator(#[source] E),
}

impl<E> CreateError<E> {
    /// The creator's error, if it was the creator that failed.
    pub fn into_creator(self) -> Result<E, RegionError> {
        match self {
            CreateError::Creator(error) => Ok(error),
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
        }
    }
}
