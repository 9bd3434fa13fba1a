//! [`Found`]: what was read of a key.

use dogpile_sdk::Metadata;

use crate::decision::Reading;

/// What was read of a key, and the metadata if a value is stored.
#[derive(Clone, Debug)]
pub(crate) struct Found<V> {
    pub(crate) reading: Reading<V>,
    pub(crate) metadata: Option<Metadata>,
}

impl<V> Found<V> {
    /// Returns what was read of a key that is not stored.
    pub(crate) fn missing() -> Self {
        Found { reading: Reading::Missing, metadata: None }
    }
}
