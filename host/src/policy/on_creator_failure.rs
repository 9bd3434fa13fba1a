//! [`OnCreatorFailure`]: what callers get that waited for a creator which failed.

use serde::Deserialize;

/// What callers get that waited for a creator which failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnCreatorFailure {
    /// The next caller creates, one at a time. The default.
    #[default]
    Next,
    /// All of them get [`CreateError::Shared`](crate::CreateError::Shared), at once.
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
