//! [`Case`]: a case, and what a region does in it.

use serde::Serialize;

/// A case, and what the region does in it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Case {
    pub(super) when: String,
    pub(super) what: String,
}

impl Case {
    pub(super) fn new(when: impl Into<String>, what: impl Into<String>) -> Self {
        Case { when: when.into(), what: what.into() }
    }
}
