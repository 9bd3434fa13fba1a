//! [`Subject`]: one way to configure a backend of ours.

use std::sync::Arc;

use dogpile::Registry;
use dogpile::registry::RegistryError;
use dogpile::sdk::{Arguments, BackendError, CacheBackend, ErrorKind};

use crate::libraries::{library, permissive_registry};

/// A backend with its arguments.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// The package of the plugin library that contains the backend. The linked crate contains it too.
    pub(super) package: &'static str,
    pub(super) backend: &'static str,
    /// Returns the arguments, and starts the server when first called.
    pub(super) arguments: Arc<dyn Fn() -> Arguments + Send + Sync>,
    /// Why the backend cannot be tested here.
    pub(super) missing: Option<String>,
}

/// A way to build the backend of a subject.
pub(super) type Build = fn(&Subject) -> Built;

pub(super) type Built = Result<Arc<dyn CacheBackend>, RegistryError>;

/// Builds the backend that is linked into the test.
pub(super) fn linked(subject: &Subject) -> Built {
    Registry::global().build_backend(subject.backend, (subject.arguments)())
}

/// Builds the backend of the plugin library.
pub(super) fn loaded(subject: &Subject) -> Built {
    let registry = permissive_registry();
    registry.add_library(library(subject.package))?;
    registry.build_backend(subject.backend, (subject.arguments)())
}

pub(super) fn as_backend_error(error: RegistryError) -> BackendError {
    BackendError::new(ErrorKind::Configuration, error.to_string()).with_source(error)
}
