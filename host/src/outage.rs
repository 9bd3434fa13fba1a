//! What a process does while a backend is down.
//!
//! ```text
//! Store ──> Guard ──> Breaker            is the backend called?
//!             ├─────> PendingDeletions   keys that must not be read before they are deleted
//!             └─────> RecentValues       values that were created a moment ago
//!
//! replay: gives the backend the deletions that wait, on a thread that lives as long as there are any
//! ```
//!
//! One guard belongs to a store, as its gates do: all regions over the store share it.

mod breaker;
mod config;
mod deletions;
mod guard;
mod log;
mod recent_values;
mod refusal;
mod region_names;
mod replay;
mod state;

pub(crate) use self::guard::{Guard, Permit};
pub(crate) use self::log::DegradedCall;
pub(crate) use self::refusal::{is_outage, was_refused};
pub(crate) use self::replay::queue_deletions;

pub use self::breaker::BreakerState;
pub use self::config::BreakerConfig;
pub use self::state::BackendState;
