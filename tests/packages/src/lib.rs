//! What is published, as cargo and the sources describe it.

#![forbid(unsafe_code)]

pub mod api;
pub mod metadata;
