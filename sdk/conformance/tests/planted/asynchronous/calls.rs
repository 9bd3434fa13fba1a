//! [`Calls`]: the asynchronous calls of the backend.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dogpile_sdk::{
    BackendError, CachedValue, Completion, Entry, ErrorKind, Operations, Payload, Running, StoreOptions,
};

use super::Bug::*;
use super::worker::{Job, Worker};
use super::{Bug, Store, lock};

/// The asynchronous calls of the backend.
pub(crate) struct Calls {
    bug: Bug,
    store: Arc<Store>,
    worker: Worker,
    is_broken: Arc<AtomicBool>,
    cancels_next: Arc<AtomicBool>,
    last_key: Arc<Mutex<String>>,
    completing: Arc<Mutex<()>>,
}

impl Calls {
    pub(crate) fn new(bug: Bug, store: Arc<Store>, worker: Worker) -> Self {
        Calls {
            bug,
            store,
            worker,
            is_broken: Arc::default(),
            cancels_next: Arc::default(),
            last_key: Arc::default(),
            completing: Arc::default(),
        }
    }

    /// Begins a call that does `work`.
    fn begin<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        work: impl FnOnce(&Store) -> Result<T, BackendError> + Send + 'static,
    ) -> Running {
        let bug = self.bug;
        if bug == HoldsItsLockWhileCompleting {
            drop(lock(&self.completing));
        }
        if self.is_broken.load(SeqCst) {
            completion.complete(Err(BackendError::new(ErrorKind::Unavailable, "the connection is broken")));
            return Running::done();
        }
        let (store, completing) = (Arc::clone(&self.store), Arc::clone(&self.completing));
        let run = Box::new(move || {
            let outcome = work(&store);
            let _guard = (bug == HoldsItsLockWhileCompleting).then(|| lock(&completing));
            completion.complete(outcome);
        });
        let canceled = Arc::new(AtomicBool::new(false));
        self.worker.run(Job { run, canceled: Arc::clone(&canceled) });
        self.running(canceled)
    }

    fn running(&self, canceled: Arc<AtomicBool>) -> Running {
        let (bug, is_broken) = (self.bug, Arc::clone(&self.is_broken));
        let (cancels_next, cancel_all) = (Arc::clone(&self.cancels_next), self.worker.canceler());
        Running::new(move || {
            canceled.store(true, SeqCst);
            is_broken.store(bug == FailsAfterACancellation, SeqCst);
            cancels_next.store(bug == CancelsTheNextCall, SeqCst);
            cancel_all();
        })
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calls({:?})", self.bug)
    }
}

impl Operations for Calls {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        assert!(self.bug != PanicsOnLongKeys || key.len() < 1000, "too long");
        let (bug, mut key, last_key) = (self.bug, key.to_owned(), Arc::clone(&self.last_key));
        last_key.lock().unwrap().clone_from(&key);
        let cancels = Arc::clone(&self.cancels_next);
        if bug == DropsItsCompletion {
            return Running::done();
        }
        self.begin(completion, move |store| {
            assert!(bug != PanicsOnLongKeysLater || key.len() < 1000, "too long");
            match bug {
                NeverFinds => return Ok(None),
                MixesUpOutcomes => key = lock(&last_key).clone(),
                CancelsTheNextCall if cancels.swap(false, SeqCst) => {
                    return Err(BackendError::new(ErrorKind::Dropped, "the wrong call was canceled"));
                }
                _ => {}
            }
            store.get(&key)
        })
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let mut keys = owned(keys);
        if self.bug == SortsKeys {
            keys.sort_unstable();
        }
        let bug = self.bug;
        let is_small = |value: &CachedValue| match &value.payload {
            Payload::Object(object) => {
                object.downcast_ref::<Vec<u8>>().is_none_or(|bytes| bytes.len() < 60_000)
            }
            Payload::Bytes(bytes) => bytes.len() < 60_000,
        };
        self.begin(completion, move |store| {
            let found = keys.iter().map(|key| store.get(key));
            let kept = |found: Option<CachedValue>| {
                found.filter(|v| bug != LosesLargeValuesOfGetMulti || is_small(v))
            };
            found.map(|found| found.map(kept)).collect()
        })
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        _options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let (bug, key) = (self.bug, key.to_owned());
        match bug {
            CompletesTwice => {
                completion.complete(self.store.set(&key, value));
                panic!("a planted panic");
            }
            StoresAfterItsOutcome => {
                completion.complete(Ok(()));
                let store = Arc::clone(&self.store);
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(1));
                    store.set(&key, value)
                });
                return Running::done();
            }
            _ => {}
        }
        self.begin(completion, move |store| {
            store.set(&key, value).map_err(|error| match bug {
                RefusesKeysAsOther => BackendError::new(ErrorKind::Other, error.to_string()),
                _ => error,
            })
        })
    }

    fn begin_set_multi(&self, mut entries: Vec<Entry>, completion: Completion<()>) -> Running {
        if self.bug == LosesTheLastEntry {
            entries.pop();
        }
        if self.bug == StoresTheFirstOfARepeatedKey {
            entries.reverse();
        }
        self.begin(completion, move |store| {
            entries.into_iter().try_for_each(|entry| store.set(&entry.key, entry.value))
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        match self.bug {
            IgnoresDeletes => completion.complete(Ok(())),
            NeverCompletes => std::mem::forget(completion),
            _ => return self.begin_delete_multi(&[key], completion),
        }
        Running::done()
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let mut keys = owned(keys);
        if self.bug == DeletesOnlyTheFirstKey {
            keys.truncate(1);
        }
        self.begin(completion, move |store| {
            keys.iter().for_each(|key| store.delete(key));
            Ok(())
        })
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}
