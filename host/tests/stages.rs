//! The stages through which a value passes as it ages: what callers get at each age, whatever becomes of the creator.

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
