//! [`DbmMutex`]: keeps creators apart by lock files.
//!
//! Source: dogpile.cache `util/readwrite_lock.py` and `backends/file.py`, `KeyReentrantMutex`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, ErrorKind};

use crate::config::with_ending;
use crate::file_lock::FileLock;

/// How long a waiting `acquire` tries before it gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);

/// The lock file cut into stripes: a key's stripe is held exclusively, the lock file itself shared, so that
/// Python, which holds it exclusively, is kept out. One stripe is the lock file itself, exclusively.
#[derive(Debug)]
pub(crate) struct Stripes {
    path: PathBuf,
    stripes: Vec<Mutex<Stripe>>,
}

#[derive(Debug, Default)]
struct Stripe {
    holder: Option<ThreadId>,
    /// The keys that it holds the stripe for.
    keys: HashSet<String>,
    /// The locks, which go when the files are closed.
    files: Vec<FileLock>,
}

impl Stripes {
    pub(crate) fn new(path: PathBuf, count: u32) -> Self {
        Stripes { path, stripes: (0..count).map(|_| Mutex::default()).collect() }
    }

    /// FNV-1a: each process must come to the same stripe.
    fn number(&self, key: &str) -> usize {
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        usize::try_from(hash % self.stripes.len() as u64).unwrap_or(0)
    }

    /// Takes the files of stripe `number`, at once or not at all.
    fn lock_files(&self, number: usize) -> Result<Option<Vec<FileLock>>, BackendError> {
        let whole = FileLock::open(&self.path)?;
        if self.stripes.len() == 1 {
            return Ok(whole.acquire_exclusive(Duration::ZERO)?.then(|| vec![whole]));
        }
        let stripe = FileLock::open(&with_ending(&self.path, &format!(".{number}")))?;
        let taken = whole.acquire_shared(Duration::ZERO)? && stripe.acquire_exclusive(Duration::ZERO)?;
        Ok(taken.then(|| vec![whole, stripe]))
    }
}

/// The mutex of one key.
#[derive(Debug)]
pub(crate) struct DbmMutex {
    stripes: Arc<Stripes>,
    number: usize,
    key: String,
}

impl DbmMutex {
    pub(crate) fn new(stripes: Arc<Stripes>, key: &str) -> Self {
        let number = stripes.number(key);
        DbmMutex { stripes, number, key: key.to_owned() }
    }

    fn stripe(&self) -> MutexGuard<'_, Stripe> {
        self.stripes.stripes[self.number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_acquire(&self) -> Result<bool, BackendError> {
        let mut stripe = self.stripe();
        let this = thread::current().id();
        match stripe.holder {
            // The holder of a stripe may take further keys of it, or it would wait for itself.
            Some(holder) => Ok(holder == this && stripe.keys.insert(self.key.clone())),
            None => {
                let Some(files) = self.stripes.lock_files(self.number)? else { return Ok(false) };
                stripe.files = files;
                stripe.holder = Some(this);
                Ok(stripe.keys.insert(self.key.clone()))
            }
        }
    }
}

impl CacheMutex for DbmMutex {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        let start = Instant::now();
        loop {
            if self.try_acquire()? {
                return Ok(true);
            }
            if !wait || start.elapsed() >= LONGEST_WAIT {
                return Ok(false);
            }
            thread::sleep(PAUSE);
        }
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut stripe = self.stripe();
        if !stripe.keys.remove(&self.key) {
            let message = format!("the mutex of key {:?} is released, but was not acquired", self.key);
            return Err(BackendError::new(ErrorKind::NotHeld, message).during("release").for_key(&self.key));
        }
        if stripe.keys.is_empty() {
            *stripe = Stripe::default();
        }
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        let stripe = self.stripe();
        match stripe.holder {
            Some(_) => Ok(stripe.keys.contains(&self.key)),
            None => Ok(self.stripes.lock_files(self.number)?.is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_stripe(folder: &tempfile::TempDir) -> [DbmMutex; 2] {
        let stripes = Arc::new(Stripes::new(folder.path().join("lock"), 1));
        ["foo", "bar"].map(|key| DbmMutex::new(Arc::clone(&stripes), key))
    }

    /// Behaviour: `dbm-release-by-non-holder`, `dbm-release-of-other-key`
    #[test]
    fn releasing_what_is_not_held_is_an_error_that_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let [foo, bar] = one_stripe(&folder);
        assert_eq!(foo.release().unwrap_err().kind(), ErrorKind::NotHeld);
        assert!(foo.acquire(true).unwrap());
        let error = bar.release().unwrap_err();
        assert_eq!(error.to_string(), "the mutex of key \"bar\" is released, but was not acquired");
        foo.release().unwrap();
        assert!(!foo.locked().unwrap());
    }

    /// Behaviour: `dbm-one-lock-reentrant-by-key`
    #[test]
    fn the_holder_of_a_stripe_may_take_its_other_keys() {
        let folder = tempfile::tempdir().unwrap();
        let [foo, bar] = one_stripe(&folder);
        assert!(foo.acquire(true).unwrap());
        assert!(!foo.acquire(false).unwrap());
        assert!(bar.acquire(false).unwrap());
        thread::scope(|scope| scope.spawn(|| assert!(!bar.acquire(false).unwrap())).join().unwrap());
        foo.release().unwrap();
        let python = FileLock::open(&folder.path().join("lock")).unwrap();
        assert!(!python.acquire_exclusive(Duration::ZERO).unwrap());
        bar.release().unwrap();
        assert!(python.acquire_exclusive(Duration::ZERO).unwrap());
        assert!(!foo.acquire(false).unwrap());
        python.release().unwrap();
    }

    #[test]
    fn a_python_holder_keeps_every_stripe_out_and_creators_keep_it_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let stripes = Arc::new(Stripes::new(path.clone(), 64));
        let mutex = DbmMutex::new(stripes, "foo");
        let python = FileLock::open(&path).unwrap();
        assert!(python.acquire_exclusive(Duration::ZERO).unwrap());
        assert!(!mutex.acquire(false).unwrap());
        python.release().unwrap();
        assert!(mutex.acquire(false).unwrap());
        assert!(!python.acquire_exclusive(Duration::ZERO).unwrap());
        mutex.release().unwrap();
    }
}
