//! What the test suites share.

#![forbid(unsafe_code)]

pub mod libraries;
pub mod setup;
