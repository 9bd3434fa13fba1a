//! [`Subject`]: one way to configure a backend of ours.

use std::sync::Arc;

use dogpile::registry::RegistryError;
use dogpile::sdk::{Arguments, BackendError, ErrorKind};

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

pub(super) fn as_backend_error(error: RegistryError) -> BackendError {
    BackendError::new(ErrorKind::Configuration, error.to_string()).with_source(error)
}
