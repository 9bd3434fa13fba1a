//! [`Problem`]: what is wrong with a configuration, and where.

use serde::Serialize;

use crate::document::Place;

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Problem {
    #[serde(flatten)]
    pub(super) place: Place,
    /// The region that it is in, if it is in one.
    pub(super) region: Option<String>,
    /// What happened, and its causes.
    pub(super) problem: Vec<String>,
}
