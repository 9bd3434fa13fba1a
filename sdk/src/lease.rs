//! Leased mutexes: mutexes for creators that share nothing except a server.
//!
//! A lock on the server is an entry that expires by itself. The creator that made the entry holds the mutex for one
//! *lease*. While the mutex is held, a thread of [`Leases`] renews the lease. If the holder's process dies, the mutex
//! is free after one lease. Each acquisition has a *token*, so that a former holder never renews or removes the lock of
//! another.
//!
//! A backend implements [`LeaseStore`], which is four commands of its server, and returns [`Leases::mutex`]. A backend
//! whose client is asynchronous implements [`AsyncLeaseStore`], and `OnTokio::with_leases` (feature `tokio`) makes its
//! mutexes.
//!
//! # Renewals
//! A lease is renewed when a third of it has passed. The leases on one server are renewed one after another; of those
//! that are due, the one that ends first comes first. Leases on different servers are renewed side by side, so that a
//! server that hangs endangers no lease on another one. [`LeaseStore::server`] names the servers.
//!
//! # Lost leases
//! A lease is lost if no renewal succeeds in time, or if the server reports that the lock is gone.
//! [`CacheMutex::is_lost`] then returns `true`, and a region does not store the value of the creator that held the mutex.
//! The renewals go on:
//! * If the server still has the lock with the token of its acquisition, then the lock never expired there, and no
//!   other holder has had it. The mutex is no longer lost.
//! * If the lock is gone, another creator may have come, stored a newer value, and released the lock again. No trace of
//!   that would be left, so the mutex stays lost. If the lock is free, it is acquired again, but with a new token. Others
//!   thus wait for the creator that still runs, instead of creating beside it. A [fence](CacheMutex::fence) of the first
//!   acquisition does not match the new token, so that a store with fences refuses the old value even if it arrives late.
//!
//! # Deadlines
//! [`CacheMutex::acquire_until`] ends at its deadline, or at most a tenth of a second later, even if the server hangs. It
//! passes the deadline to [`LeaseStore::acquire`]. If the server has just failed to reply in time, a release runs in the
//! background, and returns an error at once.
//!
//! # Forks
//! The mutexes that a process holds stay with that process. A child that was forked meanwhile has copies of the mutex
//! objects. For a copy, `is_lost` is `true`, `fence` is `None`, and `release` returns an error of the kind
//! [`NotHeld`](crate::ErrorKind::NotHeld) and sends nothing. The child neither renews nor releases the leases of its parent, and
//! starts a thread of its own for its own leases. All this is promised for a fork while no other thread is inside a
//! call.

mod acquisition;
mod async_store;
mod holding;
mod keeper;
mod lanes;
mod mutex;
mod operations;
mod options;
mod queue;
mod store;
mod time;
mod token;
mod waiting;

use std::sync::Arc;

pub use self::async_store::AsyncLeaseStore;
use self::keeper::Keeper;
use self::mutex::{LeasedMutex, Shared};
pub use self::operations::LeaseOperations;
pub use self::options::LeaseOptions;
pub use self::store::{Asleep, LeaseStore, LeaseWait};
use crate::mutex::CacheMutex;
use crate::per_process::PerProcess;

/// The source of a store's leased mutexes. Renews their leases.
///
/// Threads renew the leases. The first one starts with the first mutex that is acquired. They end when they have no lease
/// to renew, or when this value and all its mutexes are dropped. There is one thread as long as all servers reply, or two
/// if there are several servers; each server that hangs needs one more. A forked child has threads of its own.
#[derive(Clone, Debug)]
pub struct Leases {
    shared: Arc<Shared>,
}

impl Leases {
    /// Creates the leased mutexes of `store`.
    pub fn new(store: Arc<dyn LeaseStore>, options: LeaseOptions) -> Self {
        let (kept, lease) = (Arc::clone(&store), options.lease);
        // The threads of a parent end with it. There is nothing to close.
        let keeper = PerProcess::new(move || Keeper::new(Arc::clone(&kept), lease), |_| {});
        Leases { shared: Arc::new(Shared { store, options, keeper }) }
    }

    /// Creates a mutex for `key`. All mutexes for one key exclude each other, in all processes.
    pub fn mutex(&self, key: &str) -> Arc<dyn CacheMutex> {
        LeasedMutex::new(Arc::clone(&self.shared), key)
    }
}
