//! The stages of an aging value: what callers get at each age, however the creator ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "stages/configuration.rs"]
mod configuration;
#[path = "stages/kept.rs"]
mod kept;
#[path = "stages/limits.rs"]
mod limits;
#[path = "stages/setup.rs"]
mod setup;
#[path = "stages/table.rs"]
mod table;
