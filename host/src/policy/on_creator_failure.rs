//! [`OnCreatorFailure`]: what the waiters of a failed creator get.

use serde::Deserialize;

/// What the waiters of a failed creator get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnCreatorFailure {
    /// The next waiter creates, one at a time. The default.
    #[default]
    Next,
    /// All waiters get [`CreateError::Shared`](crate::CreateError::Shared), at once.
    Share,
}

impl std::str::FromStr for OnCreatorFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "next" => Ok(OnCreatorFailure::Next),
            "share" => Ok(OnCreatorFailure::Share),
            _ => Err(format!("invalid failure policy {text:?}: expected \"next\" or \"share\"")),
        }
    }
}
