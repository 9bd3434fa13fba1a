//! [`CreatorLocks`]: what keeps the creators of a file apart, in this process and in others.
//!
//! Source: dogpile.cache `util/__init__.py`, `KeyReentrantMutex`, and `backends/file.py`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, ErrorKind};

use crate::config::{LockKind, with_ending};
use crate::file_lock::{AbstractFileLock, LockFactory};

/// How long a waiting `acquire` tries before it gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// How long a thread waits where it may be waiting for itself: for a stripe that this process holds for another key, and,
/// if it holds a stripe already, for any. A creator may ask for another key, on its own thread or another's, and two
/// such creators for each other's stripes, although their keys have nothing to do with each other.
const NESTED_WAIT: Duration = Duration::from_secs(1);

/// For how long after its first key was taken further threads may take keys of a stripe, so that other processes get
/// their turn.
const JOINED_FOR: Duration = Duration::from_secs(30);

const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// The lock of a file, cut into stripes. The creator of a key holds the stripe of that key exclusively, and the lock
/// file itself shared, so that Python, which holds it exclusively, is kept out. With one stripe, that is the lock file
/// itself, and the form is Python's.
///
/// A thread that holds a stripe may take further keys of it, or a creator that asks for another key would wait for
/// itself.
#[derive(Debug)]
pub(crate) struct CreatorLocks {
    path: PathBuf,
    factory: LockFactory,
    stripes: Vec<Stripe>,
    /// Keys that were taken without their stripe, after [`NESTED_WAIT`].
    beside: Mutex<HashSet<String>>,
}

#[derive(Debug, Default)]
struct Stripe {
    held: Mutex<Held>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    holder: Option<Holder>,
    /// The keys that it holds the stripe for.
    keys: HashSet<String>,
    /// Released when they are dropped.
    _locks: Option<FileLocks>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    thread: ThreadId,
    since: Instant,
}

/// The locks of one stripe. Dropping them releases them.
#[derive(Debug)]
struct FileLocks {
    whole: Box<dyn AbstractFileLock>,
    /// None if the whole is the stripe.
    stripe: Option<Box<dyn AbstractFileLock>>,
}

impl FileLocks {
    /// Takes them, at once or not at all.
    fn acquire(&self) -> Result<bool, BackendError> {
        let Some(stripe) = &self.stripe else { return self.whole.acquire_write_lock(Duration::ZERO) };
        if !self.whole.acquire_read_lock(Duration::ZERO)? {
            return Ok(false);
        }
        let taken = stripe.acquire_write_lock(Duration::ZERO);
        if !matches!(taken, Ok(true)) {
            self.whole.release_read_lock()?;
        }
        taken
    }

    /// Whether somebody else holds them so that they could not be taken. Shares them for a moment.
    fn are_held(&self) -> Result<bool, BackendError> {
        for lock in [Some(&self.whole), self.stripe.as_ref()].into_iter().flatten() {
            if !lock.acquire_read_lock(Duration::ZERO)? {
                return Ok(true);
            }
            lock.release_read_lock()?;
        }
        Ok(false)
    }
}

type Shared = HashMap<(PathBuf, u32, LockKind), Weak<CreatorLocks>>;

impl CreatorLocks {
    /// `count` stripes of the lock file `path`.
    pub(crate) fn new(path: PathBuf, count: u32, factory: LockFactory) -> Self {
        let stripes = (0..count).map(|_| Stripe::default()).collect();
        CreatorLocks { path, factory, stripes, beside: Mutex::default() }
    }

    /// The same for all backends of this process that ask for it, so that a creator may ask one of them for a key
    /// while it holds another's.
    pub(crate) fn shared(path: &Path, count: u32, kind: LockKind) -> Arc<Self> {
        static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
        let mut shared = locked(&SHARED);
        let shared = shared.get_or_insert_default();
        let key = (path.to_owned(), count, kind);
        if let Some(locks) = shared.get(&key).and_then(Weak::upgrade) {
            return locks;
        }
        shared.retain(|_, locks| locks.strong_count() > 0);
        let locks = Arc::new(CreatorLocks::new(path.to_owned(), count, kind.factory()));
        shared.insert(key, Arc::downgrade(&locks));
        locks
    }

    /// A mutex for `key`.
    pub(crate) fn mutex(self: &Arc<Self>, key: &str) -> KeyReentrantMutex {
        KeyReentrantMutex { locks: Arc::clone(self), number: self.number(key), key: key.to_owned() }
    }

    /// FNV-1a: each process must come to the same stripe.
    fn number(&self, key: &str) -> usize {
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        usize::try_from(hash % self.stripes.len() as u64).unwrap_or(0)
    }

    fn file_locks(&self, number: usize) -> Result<FileLocks, BackendError> {
        let whole = self.factory.make(&self.path)?;
        let stripe_path = with_ending(&self.path, &format!(".{number}"));
        let striped = self.stripes.len() > 1;
        let stripe = striped.then(|| self.factory.make(&stripe_path)).transpose()?;
        Ok(FileLocks { whole, stripe })
    }
}

/// The threads that hold stripes of any file, and how many.
static HOLDERS: Mutex<Option<HashMap<ThreadId, usize>>> = Mutex::new(None);

fn holds_a_stripe(thread: ThreadId) -> bool {
    locked(&HOLDERS).as_ref().is_some_and(|holders| holders.contains_key(&thread))
}

fn count_stripe(thread: ThreadId) {
    *locked(&HOLDERS).get_or_insert_default().entry(thread).or_default() += 1;
}

fn discount_stripe(thread: ThreadId) {
    let mut holders = locked(&HOLDERS);
    let Some(holders) = holders.as_mut() else { return };
    if let Some(count) = holders.get_mut(&thread) {
        *count -= 1;
        if *count == 0 {
            holders.remove(&thread);
        }
    }
}

/// Nothing panics while one of these is locked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mutex of one key. Any thread may release it.
///
/// Source: dogpile.cache `util/__init__.py`, `KeyReentrantMutex`.
#[derive(Debug)]
pub(crate) struct KeyReentrantMutex {
    locks: Arc<CreatorLocks>,
    number: usize,
    key: String,
}

impl KeyReentrantMutex {
    fn stripe(&self) -> &Stripe {
        &self.locks.stripes[self.number]
    }

    /// `files` are opened when they are first needed, and kept while somebody waits for them.
    fn try_acquire(&self, held: &mut Held, files: &mut Option<FileLocks>) -> Result<bool, BackendError> {
        if locked(&self.locks.beside).contains(&self.key) {
            return Ok(false);
        }
        let this = thread::current().id();
        if let Some(holder) = held.holder {
            return Ok(holder.thread == this && held.keys.insert(self.key.clone()));
        }
        let locks = match files.take() {
            Some(locks) => locks,
            None => self.locks.file_locks(self.number)?,
        };
        if !locks.acquire()? {
            *files = Some(locks);
            return Ok(false);
        }
        let holder = Some(Holder { thread: this, since: Instant::now() });
        *held = Held { holder, keys: HashSet::from([self.key.clone()]), _locks: Some(locks) };
        count_stripe(this);
        Ok(true)
    }

    /// Takes the key, if this process has its stripe for other keys, and has not for long.
    fn try_join(&self, held: &mut Held) -> bool {
        let joins = held.holder.is_some_and(|holder| holder.since.elapsed() < JOINED_FOR);
        joins && held.keys.insert(self.key.clone())
    }

    /// Takes the key, if its stripe is in the way and nobody of this process has the key itself.
    fn try_acquire_beside(&self, held: &Held) -> bool {
        let taken = !held.keys.contains(&self.key) && locked(&self.locks.beside).insert(self.key.clone());
        if taken {
            log::warn!(
                "the creator of key {:?} does not wait for other keys of its stripe, since its thread is the \
                 creator of another key; another process may create it too",
                self.key
            );
        }
        taken
    }
}

impl CacheMutex for KeyReentrantMutex {
    fn acquire(&self, wait: bool) -> Result<bool, BackendError> {
        let (start, mut files) = (Instant::now(), None);
        let nested = holds_a_stripe(thread::current().id());
        let mut held = locked(&self.stripe().held);
        while !self.try_acquire(&mut held, &mut files)? {
            let waited = start.elapsed();
            if !wait || waited >= GIVE_UP_AFTER {
                return Ok(false);
            }
            if waited >= NESTED_WAIT && (self.try_join(&mut held) || nested && self.try_acquire_beside(&held))
            {
                return Ok(true);
            }
            // Whoever waits long need not look often; a release in this process is told.
            let pause = (waited / 32).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            let woken = self.stripe().released.wait_timeout(held, pause);
            held = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let mut held = locked(&self.stripe().held);
        if locked(&self.locks.beside).remove(&self.key) {
            return Ok(());
        }
        if !held.keys.remove(&self.key) {
            let message = format!("the mutex of key {:?} is released, but was not acquired", self.key);
            return Err(BackendError::new(ErrorKind::NotHeld, message).during("release").for_key(&self.key));
        }
        if held.keys.is_empty() {
            let gone = std::mem::take(&mut *held);
            if let Some(holder) = gone.holder {
                discount_stripe(holder.thread);
            }
            drop(gone);
            drop(held);
            self.stripe().released.notify_all();
        }
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        let held = locked(&self.stripe().held);
        if held.keys.contains(&self.key) || locked(&self.locks.beside).contains(&self.key) {
            return Ok(true);
        }
        if held.holder.is_some() {
            return Ok(false);
        }
        self.locks.file_locks(self.number)?.are_held()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::file_lock::FileLock;

    const AT_ONCE: Duration = Duration::ZERO;

    fn locks(folder: &tempfile::TempDir, count: u32) -> Arc<CreatorLocks> {
        Arc::new(CreatorLocks::new(folder.path().join("lock"), count, LockFactory::file()))
    }

    fn one_stripe(folder: &tempfile::TempDir) -> [KeyReentrantMutex; 2] {
        let locks = locks(folder, 1);
        ["foo", "bar"].map(|key| locks.mutex(key))
    }

    fn on_a_thread<R: Send>(run: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    /// DIFFERENCE: the assertions are errors, and a thread may release what another acquired, as a creation that a
    /// runner ends in the background does.
    ///
    /// Behaviour: `dbm-release-by-non-holder`, `dbm-release-of-other-key`
    #[test]
    fn releasing_what_is_not_held_is_an_error_that_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let [foo, bar] = one_stripe(&folder);
        let error = foo.release().unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::NotHeld, Some("foo")));
        assert!(foo.acquire(true).unwrap());
        let error = bar.release().unwrap_err();
        assert_eq!(error.to_string(), "the mutex of key \"bar\" is released, but was not acquired");
        on_a_thread(|| foo.release().unwrap());
        assert!(!foo.locked().unwrap());
        assert_eq!(foo.release().unwrap_err().kind(), ErrorKind::NotHeld);
    }

    /// Behaviour: `dbm-one-lock-reentrant-by-key`
    #[test]
    fn the_holder_of_a_stripe_may_take_its_other_keys() {
        let folder = tempfile::tempdir().unwrap();
        let [foo, bar] = one_stripe(&folder);
        assert!(foo.acquire(true).unwrap());
        assert!(!foo.acquire(false).unwrap());
        assert!(bar.acquire(true).unwrap());
        assert!(!bar.acquire(false).unwrap());
        on_a_thread(|| assert!(!bar.acquire(false).unwrap()));
        foo.release().unwrap();
        assert!(!foo.locked().unwrap() && bar.locked().unwrap());
        on_a_thread(|| assert!(!foo.acquire(false).unwrap()));
        let python = FileLock::open(folder.path().join("lock")).unwrap();
        assert!(!python.acquire_write_lock(AT_ONCE).unwrap());
        bar.release().unwrap();
        assert!(python.acquire_write_lock(AT_ONCE).unwrap());
        assert!(!foo.acquire(false).unwrap() && foo.locked().unwrap());
    }

    #[test]
    fn a_python_holder_keeps_every_stripe_out_and_creators_keep_it_out() {
        let folder = tempfile::tempdir().unwrap();
        let mutex = locks(&folder, 64).mutex("foo");
        let python = FileLock::open(folder.path().join("lock")).unwrap();
        assert!(python.acquire_write_lock(AT_ONCE).unwrap());
        assert!(!mutex.acquire(false).unwrap() && mutex.locked().unwrap());
        python.release_write_lock().unwrap();
        assert!(mutex.acquire(false).unwrap());
        assert!(!python.acquire_write_lock(AT_ONCE).unwrap());
        mutex.release().unwrap();
        assert!(python.acquire_write_lock(AT_ONCE).unwrap());
    }

    /// What stands for two processes: locks that know of each other through their files only.
    #[test]
    fn creators_of_other_stripes_run_side_by_side_and_of_one_key_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(); 2].map(|()| locks(&folder, 64));
        let foo = ours.mutex("foo");
        assert!(foo.acquire(false).unwrap());
        assert!(!theirs.mutex("foo").acquire(false).unwrap());
        assert!(theirs.mutex("foo").locked().unwrap());
        let other = theirs.mutex("bar");
        assert_ne!(foo.number, other.number);
        assert!(!other.locked().unwrap());
        assert!(other.acquire(false).unwrap());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| theirs.mutex("foo").acquire(true).unwrap());
            foo.release().unwrap();
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn threads_that_wait_for_each_others_stripes_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(); 2].map(|()| locks(&folder, 1));
        let other_folder = tempfile::tempdir().unwrap();
        let [ours_too, theirs_too] = [(); 2].map(|()| locks(&other_folder, 1));
        assert!(ours.mutex("a").acquire(true).unwrap());
        on_a_thread(|| {
            // The one thread has the first file and wants the second, the other the reverse.
            assert!(theirs_too.mutex("b").acquire(true).unwrap());
            let beside = theirs.mutex("c");
            assert!(beside.acquire(true).unwrap());
            assert!(!beside.acquire(false).unwrap() && beside.locked().unwrap());
            beside.release().unwrap();
            assert_eq!(beside.release().unwrap_err().kind(), ErrorKind::NotHeld);
            theirs_too.mutex("b").release().unwrap();
        });
        assert!(ours_too.mutex("d").acquire(true).unwrap());
    }

    /// A creator may run on another thread than the one that took its mutex, and ask for a key of the same stripe.
    #[test]
    fn a_thread_does_not_wait_long_for_another_key_of_its_own_process() {
        let folder = tempfile::tempdir().unwrap();
        let [foo, bar] = one_stripe(&folder);
        assert!(foo.acquire(true).unwrap());
        on_a_thread(|| assert!(bar.acquire(true).unwrap()));
        assert!(foo.locked().unwrap() && bar.locked().unwrap());
        foo.release().unwrap();
        bar.release().unwrap();
        assert!(foo.acquire(false).unwrap());
    }

    #[test]
    fn backends_of_one_file_share_their_locks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let [one, two] = [(); 2].map(|()| CreatorLocks::shared(&path, 1, LockKind::File));
        assert!(one.mutex("a").acquire(true).unwrap() && two.mutex("b").acquire(false).unwrap());
        let other = CreatorLocks::shared(&path, 2, LockKind::File);
        assert!(!other.mutex("c").acquire(false).unwrap());
        assert!(CreatorLocks::shared(&path, 1, LockKind::Thread).mutex("d").acquire(false).unwrap());
    }
}
