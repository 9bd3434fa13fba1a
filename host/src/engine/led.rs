//! [`Led`]: a key that the caller leads.

use super::leadership::Leadership;

/// A key that the caller leads, by its place among the keys of the call.
#[derive(Debug)]
pub(crate) struct Led {
    pub(crate) place: usize,
    pub(crate) leadership: Leadership,
}
