//! Helpers of the benches: our caches, their rivals in `versus`, and the calling threads.
//!
//! One loop calls all caches, with the same keys in the same order, and receives clones of an `Arc`.

#![deny(unsafe_code)]

mod async_subject;
mod command_line;
mod dice;
mod function;
mod ours;
pub mod rivals;
mod subject;
mod summary;
mod team;
#[path = "../versus/versus.rs"]
pub mod versus;
mod workload;

pub use crate::async_subject::{AsyncCache, AsyncCreator, AsyncSubject, BoxFuture};
pub use crate::command_line::is_quick;
pub use crate::dice::Dice;
pub use crate::function::{Cached, made_of};
pub use crate::ours::{
    LINKED, LINKED_BOUNDED, LINKED_EXPIRING, LINKED_STAGED, LOADED, LOADED_EXPIRING, OURS_ASYNC, linked,
    linked_config, loaded_config, ours, ours_async,
};
pub use crate::subject::{Cache, Failure, Subject, Value};
pub use crate::summary::Summary;
pub use crate::team::Team;
pub use crate::workload::{KEYS, Workload};

/// Returns every cache: ours, and the rivals.
///
/// # Errors
/// If the plugin library is not beside the bench, or a region cannot be configured.
#[cfg(feature = "rivals")]
pub fn subjects() -> Result<Vec<Subject>, Failure> {
    let mut all = ours()?;
    all.extend(versus::rivals());
    Ok(all)
}
