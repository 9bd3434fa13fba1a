//! [`FrontEnd`]: how a call reaches its stores, and how it waits.
//!
//! All calls exist once, as `async` code over a front end. In the [`Blocking`] one, nothing is ever pending except for a
//! sleep, for which the thread parks. In the [`Tasks`] one, a task waits for the store.

mod access;
mod blocking;
mod offload;
mod polling;
mod tasks;

use std::time::Instant;

use dogpile_sdk::{BackendError, CachedValue, Entry, StoreOptions};

use crate::engine::{HeldMutex, Leader, Role, StoreInProgress};

pub(crate) use self::access::Access;
pub(crate) use self::blocking::Blocking;
pub(super) use self::polling::{Polling, unmarked};
pub(super) use self::tasks::Tasks;

/// How a call reaches its stores, and how it waits. All keys are mangled already.
pub(crate) trait FrontEnd: Copy {
    /// How callers wait: as parked threads or as tasks.
    const ROLE: Role;

    /// Returns a part of a call, apart from the call if its future must stay small. See `Port::apart`.
    fn apart<P: Future>(part: P) -> impl Future<Output = P::Output> {
        part
    }

    /// Returns the caller.
    fn leader(self) -> Leader;

    /// Returns whether the caller must not block until a task has created a key.
    fn must_not_wait_for_tasks(self) -> bool;

    /// Returns the present time of [`sleep_until`](Self::sleep_until).
    fn now(self) -> Instant;

    /// Waits until `time`.
    async fn sleep_until(self, time: Instant);

    async fn get(self, access: &Access, key: &str) -> Result<Option<CachedValue>, BackendError>;

    async fn get_multi(
        self,
        access: &Access,
        keys: &[&str],
    ) -> Result<Vec<Option<CachedValue>>, BackendError>;

    /// Stores one value. `in_progress` is dropped when the store has ended, even if the call is dropped before.
    async fn set(
        self,
        access: &Access,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError>;

    /// Stores many values. See [`set`](Self::set) for `in_progress`.
    async fn set_multi(
        self,
        access: &Access,
        entries: Vec<Entry>,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError>;

    async fn delete(self, access: &Access, key: &str) -> Result<(), BackendError>;

    async fn delete_multi(self, access: &Access, keys: &[&str]) -> Result<(), BackendError>;

    /// Acquires a mutex: at once if `until` is `None`, and waiting until then otherwise.
    async fn acquire(
        self,
        access: &Access,
        mutex: &HeldMutex,
        until: Option<Instant>,
    ) -> Result<bool, BackendError>;

    /// Returns whether a mutex is held.
    async fn locked(self, access: &Access, mutex: &HeldMutex) -> Result<bool, BackendError>;

    /// Releases a mutex. The release goes on if the call is dropped before its end.
    async fn release(self, access: &Access, mutex: HeldMutex) -> Result<(), BackendError>;
}
