//! The dogpile protocol: it decides which caller creates, which ones wait, and what is stored.
//!
//! The protocol exists once, for a set of keys; one key is a set of one. It performs no I/O, starts no threads, and
//! reads no clock. It asks its [`Port`] for all of these, and a driver runs it: [`blocking`] parks the calling
//! thread while the protocol waits, and [`asynchronous`] lets a task wait.
//!
//! ```text
//! region ──> driver ──> protocol ──> Port ──> backend, mutex, creator
//!                          │
//!                          └──> gates: one per key that is being created in this process
//! ```
//!
//! Source: dogpile.cache `dogpile/lock.py`, `Lock`.

mod arrival;
pub(crate) mod asynchronous;
pub(crate) mod blocking;
mod creating;
mod creation;
mod deadlock;
mod elsewhere;
mod failure;
mod found;
mod gate;
mod leadership;
mod leaving;
mod led;
#[cfg(all(test, dogpile_loom))]
mod model;
mod patience;
mod port;
mod protocol;
mod recent_failures;
mod rescue;
mod running;
#[cfg(all(test, not(dogpile_loom)))]
mod scenarios;
mod slot;
mod store_in_progress;
mod sync;
mod task;
mod waiting;
mod wakeups;
mod writing;

pub(crate) use self::creating::create_queued;
pub(crate) use self::creation::{note_answer, note_shared};
pub(crate) use self::elsewhere::create_batch;
pub use self::failure::{LockError, SharedFailure};
pub(crate) use self::found::Found;
pub use self::gate::{CreationInfo, CreationStage};
pub(crate) use self::gate::{GateKey, Gates, HeldMutex, Leader, Role};
pub(crate) use self::leadership::Queued;
pub(crate) use self::led::Led;
pub(crate) use self::port::{Made, Port, Report, Storing, Wanted};
pub(crate) use self::protocol::settle;
pub(crate) use self::slot::{Need, Settled, Slot};
pub(crate) use self::store_in_progress::StoreInProgress;
pub(crate) use self::task::{Batch, Elsewhere, Limits, Old};
pub(crate) use self::waiting::unless;
pub(crate) use self::writing::Writing;
