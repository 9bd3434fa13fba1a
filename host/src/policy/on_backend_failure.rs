//! [`OnBackendFailure`]: what a call does if its backend fails.

use serde::Deserialize;

/// What a call does if its backend fails. The backend is unreachable, does not reply in time, or is broken.
///
/// This is one policy for regions, cached functions, and templates. Invalid keys and values, and what a backend refuses on
/// purpose, are errors under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnBackendFailure {
    /// The call returns the error. The default. A cached function cannot return it, and runs for each caller.
    #[default]
    Error,
    /// The call goes on without the backend.
    ///
    /// Reads are misses. In each process, one caller at a time creates a missing key. Its value serves the others for up
    /// to one second, even if the backend works again by then. Values are not stored. `delete` succeeds: the deletion is
    /// queued, and is made when the backend works again. Until then, the key is a miss. A value that `set` cannot store
    /// is deleted in the same way.
    Degrade,
}

impl std::str::FromStr for OnBackendFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(OnBackendFailure::Error),
            "degrade" => Ok(OnBackendFailure::Degrade),
            _ => Err(format!("invalid failure policy {text:?}: expected \"error\" or \"degrade\"")),
        }
    }
}
