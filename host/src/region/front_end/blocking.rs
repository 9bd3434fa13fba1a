//! [`Blocking`]: the front end for threads.

use std::time::Instant;

use dogpile_sdk::{BackendError, CachedValue, Entry, StoreOptions};

use super::FrontEnd;
use super::access::Access;
use crate::caller::this_thread;
use crate::engine::{HeldMutex, Leader, Role, StoreInProgress, blocking};
use crate::runtime::is_polling_task;

/// Makes all calls of the backend on the calling thread.
#[derive(Clone, Copy)]
pub(crate) struct Blocking;

impl FrontEnd for Blocking {
    const ROLE: Role = Role::Thread;

    fn leader(self) -> Leader {
        this_thread()
    }

    fn must_not_wait_for_tasks(self) -> bool {
        is_polling_task()
    }

    fn now(self) -> Instant {
        Instant::now()
    }

    async fn sleep_until(self, time: Instant) {
        blocking::sleep_until(time).await;
    }

    #[inline]
    async fn get(self, access: &Access, key: &str) -> Result<Option<CachedValue>, BackendError> {
        access.on_this_thread().get(key)
    }

    async fn get_multi(
        self,
        access: &Access,
        keys: &[&str],
    ) -> Result<Vec<Option<CachedValue>>, BackendError> {
        access.on_this_thread().get_multi(keys)
    }

    #[inline]
    async fn set(
        self,
        access: &Access,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        _in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError> {
        access.on_this_thread().set(key, value, options)
    }

    async fn set_multi(
        self,
        access: &Access,
        entries: Vec<Entry>,
        _in_progress: Vec<StoreInProgress>,
    ) -> Result<(), BackendError> {
        access.on_this_thread().set_multi(entries)
    }

    async fn delete(self, access: &Access, key: &str) -> Result<(), BackendError> {
        access.on_this_thread().delete(key)
    }

    async fn delete_multi(self, access: &Access, keys: &[&str]) -> Result<(), BackendError> {
        access.on_this_thread().delete_multi(keys)
    }

    async fn acquire(
        self,
        access: &Access,
        mutex: &HeldMutex,
        until: Option<Instant>,
    ) -> Result<bool, BackendError> {
        access.assert_may_block();
        match until {
            Some(deadline) => mutex.acquire_until(deadline),
            None => mutex.try_acquire(),
        }
    }

    async fn locked(self, access: &Access, mutex: &HeldMutex) -> Result<bool, BackendError> {
        access.assert_may_block();
        mutex.locked()
    }

    async fn release(self, access: &Access, mutex: HeldMutex) -> Result<(), BackendError> {
        access.assert_may_block();
        mutex.release()
    }
}
