//! Writes of a [`Store`], and their handling while its backend fails.

use std::fmt::Debug;

use dogpile_sdk::{BackendError, CachedValue, Entry, StoreOptions};

use super::front_end::FrontEnd;
use super::store::Store;
use crate::engine::StoreInProgress;
use crate::error::RegionError;
use crate::outage::queue_deletions;
use crate::policy::Policy;
use crate::time::RegionTime;

/// On whose behalf keys are written.
pub(crate) struct Write<'w> {
    pub(crate) policy: &'w mut Policy,
    pub(crate) clock: &'w RegionTime,
    /// Whether the values were created. Their store may have older values, as before the creation.
    pub(crate) creates: bool,
    pub(crate) is_deletion: bool,
}

impl<'w> Write<'w> {
    /// Values that the application sets.
    pub(crate) fn of_set(policy: &'w mut Policy, clock: &'w RegionTime) -> Self {
        Write { policy, clock, creates: false, is_deletion: false }
    }

    /// Keys that the application deletes.
    pub(crate) fn of_deletion(policy: &'w mut Policy, clock: &'w RegionTime) -> Self {
        Write { policy, clock, creates: false, is_deletion: true }
    }

    /// Values that were created.
    pub(crate) fn of_created(policy: &'w mut Policy, clock: &'w RegionTime) -> Self {
        Write { policy, clock, creates: true, is_deletion: false }
    }

    /// Returns the same write of a local tier, whose errors concern the caller.
    pub(crate) fn of_tier<'t>(&'t self, policy: &'t mut Policy) -> Write<'t> {
        Write { policy, clock: self.clock, creates: self.creates, is_deletion: self.is_deletion }
    }
}

/// A write of one key, as it was before it began.
struct BegunWrite {
    /// The key as the store knows it.
    key: String,
    mangled: String,
    /// The created value that is stored, if it is kept for a moment.
    created: Option<CachedValue>,
    /// See [`Guard::keep`].
    mark: u64,
    /// The deletion of the key that waited.
    pending: Option<u64>,
}

impl Store {
    /// Stores one value. `in_progress` is dropped when the store has ended. A value that is dropped because the backend
    /// fails counts as stored.
    pub(crate) async fn set(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        value: CachedValue,
        options: &StoreOptions,
        in_progress: Vec<StoreInProgress>,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        self.note_stored(mangled, &value);
        let begun = self.begin_write(write, [(mangled, Some(&value))]);
        if write.policy.skips_backend {
            self.drop_write(write, begun);
            return Ok(());
        }
        let set =
            self.guarded("set", true, front.set(&self.access, mangled, value, options, in_progress)).await;
        self.end_write(write, begun, set, "set", &mangled)
    }

    /// Stores many values. See [`set`](Self::set) for `in_progress`.
    pub(crate) async fn set_multi(
        &self,
        front: impl FrontEnd,
        entries: Vec<Entry>,
        in_progress: Vec<StoreInProgress>,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        if entries.is_empty() {
            return Ok(());
        }
        entries.iter().for_each(|entry| self.note_stored(&entry.key, &entry.value));
        let begun = self.begin_write(write, entries.iter().map(|entry| (&*entry.key, Some(&entry.value))));
        if write.policy.skips_backend {
            self.drop_write(write, begun);
            return Ok(());
        }
        let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let set = self.guarded("set_multi", true, front.set_multi(&self.access, entries, in_progress)).await;
        self.end_write(write, begun, set, "set_multi", &keys)
    }

    /// Deletes one key. A deletion that is queued because the backend fails counts as made.
    pub(crate) async fn delete(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        let begun = self.begin_write(write, [(mangled, None)]);
        let deleted = self.guarded("delete", true, front.delete(&self.access, mangled)).await;
        self.end_write(write, begun, deleted, "delete", &mangled)
    }

    /// Deletes many keys. See [`delete`](Self::delete).
    pub(crate) async fn delete_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        let begun = self.begin_write(write, mangled.iter().map(|mangled| (*mangled, None)));
        let deleted = self.guarded("delete_multi", true, front.delete_multi(&self.access, mangled)).await;
        self.end_write(write, begun, deleted, "delete_multi", &mangled)
    }

    /// Records what must be known if the write of `keys` fails, before it begins.
    #[inline]
    fn begin_write<'k>(
        &self,
        write: &Write<'_>,
        keys: impl IntoIterator<Item = (&'k str, Option<&'k CachedValue>)>,
    ) -> Vec<BegunWrite> {
        // A region that returns errors of its backend pays nothing for those that do not.
        if !write.policy.degrades() && !self.guard.notes_writes() {
            return Vec::new();
        }
        keys.into_iter().map(|(mangled, value)| self.begin_write_of(write, mangled, value)).collect()
    }

    #[cold]
    fn begin_write_of(&self, write: &Write<'_>, mangled: &str, value: Option<&CachedValue>) -> BegunWrite {
        let key = self.backend.store_key(mangled).into_owned();
        if write.creates {
            let value = value.filter(|_| write.policy.degrades()).cloned();
            let (mark, pending) = (self.guard.mark(&key), self.guard.pending(&key));
            return BegunWrite { key, mangled: mangled.to_owned(), created: value, mark, pending };
        }
        self.guard.written(&key);
        let pending = self.guard.pending(&key);
        BegunWrite { key, mangled: mangled.to_owned(), created: None, mark: 0, pending }
    }

    fn end_write(
        &self,
        write: &mut Write<'_>,
        begun: Vec<BegunWrite>,
        written: Result<(), BackendError>,
        operation: &'static str,
        keys: &dyn Debug,
    ) -> Result<(), RegionError> {
        match written {
            Ok(()) => {
                for BegunWrite { key, created, mark, pending, .. } in begun {
                    // The store has a newer value than the one that was to be deleted, or none.
                    if let Some(number) = pending {
                        self.guard.replaced(&key, number);
                    }
                    // The backend may go down at once, unless it is memory of this process.
                    if let Some(created) = created.filter(|_| !self.capabilities.immediate) {
                        self.guard.keep(&key, created, mark, true);
                    }
                }
            }
            Err(error) => {
                self.go_on(write.policy, operation, keys, error)?;
                self.drop_write(write, begun);
            }
        }
        Ok(())
    }

    /// Gives up a write. Created values are kept for a moment. What was to be replaced or deleted is deleted later.
    #[cold]
    fn drop_write(&self, write: &Write<'_>, begun: Vec<BegunWrite>) {
        if !write.is_deletion {
            self.guard.count_dropped(begun.len() as u64);
        }
        if write.creates {
            for BegunWrite { key, created, mark, .. } in begun {
                if let Some(created) = created {
                    self.guard.keep(&key, created, mark, false);
                }
            }
            return;
        }
        let keys = begun.iter().map(|begun| (&*begun.key, &*begun.mangled));
        queue_deletions(&self.guard, &self.backend, keys, write.clock.stamp());
    }
}
