//! [`Concerns`]: what a warning is about, and how a region logs it.

use std::fmt;

use dogpile_sdk::BackendError;

use super::configured::Configured;
use super::warnings::Warning;
use crate::error::CreateError;
use crate::log_targets::CREATION;

/// What a warning is about.
#[derive(Clone, Copy, Default)]
pub(super) struct Concerns<'a> {
    /// The key or keys, in quotes.
    pub(super) key: Option<&'a dyn fmt::Display>,
    /// The error. Its alternate form includes the causes.
    pub(super) error: Option<&'a dyn fmt::Display>,
    /// The server that failed.
    pub(super) server: Option<&'a str>,
}

impl<'a> Concerns<'a> {
    pub(super) fn key(key: &'a dyn fmt::Display) -> Self {
        Concerns { key: Some(key), ..Concerns::default() }
    }

    pub(super) fn because(
        self,
        error: &'a dyn fmt::Display,
        backend_error: Option<&'a BackendError>,
    ) -> Self {
        Concerns { error: Some(error), server: backend_error.and_then(BackendError::server), ..self }
    }

    pub(super) fn because_of<E: fmt::Display>(self, error: &'a CreateError<E>) -> Self {
        let region = if let CreateError::Region(error) = error { error.backend_error() } else { None };
        self.because(error, region)
    }
}

/// An error with its causes.
struct WithCauses<'a>(&'a dyn fmt::Display);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl Configured {
    /// Returns how many warnings of this kind were suppressed before this one, or `None` to suppress this one too.
    pub(super) fn may_warn(&self, warning: Warning) -> Option<u64> {
        self.warnings.pass(warning, self.clock.present())
    }

    /// Logs a warning, unless one of its kind was logged less than ten seconds ago.
    #[cold]
    pub(super) fn warn(&self, warning: Warning, concerns: Concerns<'_>) {
        let Some(suppressed) = self.may_warn(warning) else { return };
        let Concerns { key, error, server } = concerns;
        let (region, message) = (&*self.region, warning.message());
        let key = key.map(tracing::field::display);
        let error = error.map(|error| tracing::field::display(WithCauses(error)));
        if warning.is_error() {
            tracing::error!(target: CREATION, region, key, server, error, suppressed, "{message}");
        } else {
            tracing::warn!(target: CREATION, region, key, server, error, suppressed, "{message}");
        }
    }
}
