use super::*;
use crate::file_lock::FileLock;
use crate::lock::AbstractFileLock;

const AT_ONCE: Duration = Duration::ZERO;

fn locks(folder: &tempfile::TempDir, count: u32) -> Arc<CreatorLocks> {
    Arc::new(CreatorLocks::new(folder.path().join("lock"), count, LockFactory::file()))
}

fn one_stripe(folder: &tempfile::TempDir) -> [KeyReentrantMutex; 2] {
    let locks = locks(folder, 1);
    ["foo", "bar"].map(|key| locks.mutex(key))
}

/// Acquires the mutex with a deadline that no test reaches.
fn acquire_blocking(mutex: &KeyReentrantMutex) -> bool {
    mutex.acquire_until(Instant::now() + GIVE_UP_AFTER).unwrap()
}

fn on_a_thread<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// A lock whose file stays open when the lock is dropped, as in a process that another thread has just forked.
#[derive(Debug)]
struct StaysOpen(std::mem::ManuallyDrop<FileLock>);

impl AbstractFileLock for StaysOpen {
    fn acquire_read_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        self.0.acquire_read_lock(wait)
    }

    fn acquire_write_lock(&self, wait: Duration) -> Result<bool, BackendError> {
        self.0.acquire_write_lock(wait)
    }

    fn release_read_lock(&self) -> Result<(), BackendError> {
        self.0.release_read_lock()
    }

    fn release_write_lock(&self) -> Result<(), BackendError> {
        self.0.release_write_lock()
    }

    fn is_held(&self) -> bool {
        self.0.is_held()
    }
}

#[test]
fn release_unlocks_files_that_stay_open_elsewhere() {
    for count in [1, 64] {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| -> Result<Box<dyn AbstractFileLock>, BackendError> {
            Ok(Box::new(StaysOpen(std::mem::ManuallyDrop::new(FileLock::open(path)?))))
        };
        let factory = LockFactory::new(open);
        let ours = Arc::new(CreatorLocks::new(folder.path().join("lock"), count, factory)).mutex("foo");
        assert!(ours.try_acquire().unwrap());
        ours.release().unwrap();
        assert!(locks(&folder, count).mutex("foo").try_acquire().unwrap(), "{count} stripes");
    }
}

/// DIFFERENCE: Python asserts; we return errors. A thread may release a mutex that another thread acquired, as a
/// background creation does.
///
/// Behavior: `dbm-release-by-non-holder`, `dbm-release-of-other-key`
#[test]
fn release_of_a_free_mutex_fails_and_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let [foo, bar] = one_stripe(&folder);
    let error = foo.release().unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::NotHeld, Some("foo")));
    assert!(foo.try_acquire().unwrap());
    let error = bar.release().unwrap_err();
    assert_eq!(error.to_string(), "cannot release the mutex of key \"bar\": it is not held");
    on_a_thread(|| foo.release().unwrap());
    assert!(!foo.locked().unwrap());
    assert_eq!(foo.release().unwrap_err().kind(), ErrorKind::NotHeld);
}

#[test]
fn other_mutex_of_a_held_key_does_not_release_it() {
    for count in [1, 64] {
        let folder = tempfile::tempdir().unwrap();
        let locks = locks(&folder, count);
        let (holder, other) = (locks.mutex("foo"), locks.mutex("foo"));
        assert!(holder.try_acquire().unwrap());
        assert_eq!(other.release().unwrap_err().kind(), ErrorKind::NotHeld, "{count} stripes");
        assert!(holder.locked().unwrap() && !other.try_acquire().unwrap());
        holder.release().unwrap();
        assert!(other.try_acquire().unwrap());
        assert_eq!(holder.release().unwrap_err().kind(), ErrorKind::NotHeld);
        other.release().unwrap();
    }
}

/// Behavior: `dbm-one-lock-reentrant-by-key`
#[test]
fn holder_of_a_stripe_acquires_its_other_keys_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let [foo, bar] = one_stripe(&folder);
    assert!(foo.try_acquire().unwrap());
    assert!(!foo.try_acquire().unwrap());
    assert!(bar.try_acquire().unwrap());
    assert!(!bar.try_acquire().unwrap());
    on_a_thread(|| assert!(!bar.try_acquire().unwrap()));
    foo.release().unwrap();
    assert!(!foo.locked().unwrap() && bar.locked().unwrap());
    on_a_thread(|| assert!(!foo.try_acquire().unwrap()));
    let python = FileLock::open(folder.path().join("lock")).unwrap();
    assert!(!python.acquire_write_lock(AT_ONCE).unwrap());
    bar.release().unwrap();
    assert!(python.acquire_write_lock(AT_ONCE).unwrap());
    assert!(!foo.try_acquire().unwrap() && foo.locked().unwrap());
}

#[test]
fn python_and_our_creators_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mutex = locks(&folder, 64).mutex("foo");
    let python = FileLock::open(folder.path().join("lock")).unwrap();
    assert!(python.acquire_write_lock(AT_ONCE).unwrap());
    assert!(!mutex.try_acquire().unwrap() && mutex.locked().unwrap());
    python.release_write_lock().unwrap();
    assert!(mutex.try_acquire().unwrap());
    assert!(!python.acquire_write_lock(AT_ONCE).unwrap());
    mutex.release().unwrap();
    assert!(python.acquire_write_lock(AT_ONCE).unwrap());
}

/// The two sets of locks know of each other only through their files, as those of two processes do.
#[test]
fn creators_of_other_stripes_overlap_those_of_one_key_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = [(); 2].map(|()| locks(&folder, 64));
    let foo = ours.mutex("foo");
    assert!(foo.try_acquire().unwrap());
    assert!(!theirs.mutex("foo").try_acquire().unwrap());
    assert!(theirs.mutex("foo").locked().unwrap());
    let other = theirs.mutex("bar");
    assert_ne!(foo.number, other.number);
    assert!(!other.locked().unwrap());
    assert!(other.try_acquire().unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| acquire_blocking(&theirs.mutex("foo")));
        foo.release().unwrap();
        assert!(waiting.join().unwrap());
    });
}

/// Two creators that each hold a stripe and request the other's would wait for each other. The host gives them one
/// second. The mutex must then report that it was not acquired, and everything must work afterwards.
#[test]
fn wait_for_a_stripe_of_another_process_ends_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = [(); 2].map(|()| locks(&folder, 1));
    let held = ours.mutex("a");
    assert!(held.try_acquire().unwrap());
    on_a_thread(|| {
        let wanted = theirs.mutex("b");
        let deadline = Instant::now() + JOIN_AFTER * 2;
        assert!(!wanted.acquire_until(deadline).unwrap());
        assert!(Instant::now() >= deadline);
        assert_eq!(wanted.release().unwrap_err().kind(), ErrorKind::NotHeld);
    });
    held.release().unwrap();
    assert!(theirs.mutex("b").try_acquire().unwrap());
}

/// A creator may run on another thread than the one that acquired its mutex, and request a key of the same stripe.
#[test]
fn waiter_joins_a_stripe_of_its_own_process_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let [foo, bar] = one_stripe(&folder);
    assert!(foo.try_acquire().unwrap());
    on_a_thread(|| {
        // This is the time that the host gives a creator that already holds a mutex.
        assert!(bar.acquire_until(Instant::now() + Duration::from_secs(1)).unwrap());
    });
    assert!(foo.locked().unwrap() && bar.locked().unwrap());
    foo.release().unwrap();
    bar.release().unwrap();
    assert!(foo.try_acquire().unwrap());
}

#[test]
fn waiter_for_a_held_key_does_not_join() {
    let folder = tempfile::tempdir().unwrap();
    let [foo, _] = one_stripe(&folder);
    assert!(foo.try_acquire().unwrap());
    on_a_thread(|| assert!(!foo.acquire_until(Instant::now() + JOIN_AFTER * 2).unwrap()));
    foo.release().unwrap();
}

#[test]
fn backends_over_one_file_share_locks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let [one, two] = [(); 2].map(|()| CreatorLocks::shared(&path, 1, LockKind::File, 0o600));
    assert!(one.mutex("a").try_acquire().unwrap() && two.mutex("b").try_acquire().unwrap());
    let other = CreatorLocks::shared(&path, 2, LockKind::File, 0o600);
    assert!(!other.mutex("c").try_acquire().unwrap());
    assert!(CreatorLocks::shared(&path, 1, LockKind::Thread, 0o600).mutex("d").try_acquire().unwrap());
}

/// The stripes are part of the contract between processes.
#[test]
fn stripe_of_each_key_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let of_64 = locks(&folder, 64);
    let of_1000 = locks(&folder, 1000);
    for (key, number, of_more) in [("", 37, 37), ("a", 12, 996), ("foobar", 40, 968), ("\u{e4}", 2, 562)] {
        assert_eq!((of_64.number(key), of_1000.number(key)), (number, of_more), "{key:?}");
    }
}

#[test]
fn child_of_the_holder_neither_has_nor_releases_its_lock() {
    for count in [1, 64] {
        let folder = tempfile::tempdir().unwrap();
        let ours = locks(&folder, count).mutex("foo");
        assert!(ours.try_acquire().unwrap());
        // The memory of a child says that another process holds it.
        locked(&ours.stripe().held).process = 0;
        assert!(ours.release().is_err());
    }
}
