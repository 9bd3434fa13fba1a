//! Asynchronous backends in a process that forks.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::cell::RefCell;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{AsyncLeaseStore, LeaseOptions};
use dogpile_sdk::{
    AsyncBytesBackend, AsyncMutex, BackendError, BoxedMutex, Bytes, CacheBackend, CachedValue, Completion,
    CreationTime, ErrorKind, Metadata, OnTokio, Payload, StoreOptions,
};
use fork::{Fork, WEXITSTATUS, WIFEXITED};

/// The time after which a child ends itself with a failure.
const LIMIT: Duration = Duration::from_secs(60);

/// The process in which a backend was built last.
static BUILT_IN: AtomicU32 = AtomicU32::new(0);

/// The process in which a backend was dropped last.
static DROPPED_IN: AtomicU32 = AtomicU32::new(0);

/// Whether this process dropped a backend that another process built.
static IS_DROPPED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Returns the ID of the process that built it as each value. It cannot be used by another process.
#[derive(Debug)]
struct Birthplace(u32);

impl Birthplace {
    async fn build() -> Result<Self, BackendError> {
        // The timer of the runtime works in each process.
        tokio::time::sleep(Duration::from_millis(1)).await;
        BUILT_IN.store(process::id(), SeqCst);
        Ok(Birthplace(process::id()))
    }
}

impl Drop for Birthplace {
    fn drop(&mut self) {
        if self.0 != process::id() {
            IS_DROPPED_ELSEWHERE.store(true, SeqCst);
        }
        DROPPED_IN.store(process::id(), SeqCst);
    }
}

impl AsyncBytesBackend for Birthplace {
    async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        assert_eq!(self.0, process::id(), "a backend was used by another process");
        Ok(Some(format!(r#"{{"ct": 1.0, "v": 2}}|{}"#, self.0).into_bytes()))
    }

    async fn set(&self, _: &str, _: Vec<u8>, _: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    async fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn get_mutex(&self, _key: &str) -> Option<BoxedMutex> {
        Some(BoxedMutex::new(Always(self.0)))
    }
}

/// The locks are always free.
impl AsyncLeaseStore for Birthplace {
    async fn acquire(&self, _key: &str, _token: &str, _lease: Duration) -> Result<bool, BackendError> {
        assert_eq!(self.0, process::id(), "a lease store was used by another process");
        Ok(true)
    }

    async fn renew(&self, _key: &str, _token: &str, _lease: Duration) -> Result<bool, BackendError> {
        assert_eq!(self.0, process::id(), "a lease store was used by another process");
        Ok(true)
    }

    async fn release(&self, _key: &str, _token: &str) -> Result<bool, BackendError> {
        assert_eq!(self.0, process::id(), "a lease store was used by another process");
        Ok(true)
    }

    async fn locked(&self, _key: &str) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// A mutex that is always free. It cannot be used by another process.
#[derive(Debug)]
struct Always(u32);

impl AsyncMutex for Always {
    async fn try_acquire(&self) -> Result<bool, BackendError> {
        assert_eq!(self.0, process::id(), "a mutex was used by another process");
        Ok(true)
    }

    async fn release(&self) -> Result<(), BackendError> {
        assert_eq!(self.0, process::id(), "a mutex was used by another process");
        Ok(())
    }

    async fn locked(&self) -> Result<bool, BackendError> {
        Ok(false)
    }
}

fn main() -> ExitCode {
    leases_work_in_each_process();
    let backend = OnTokio::start(2, Birthplace::build).unwrap();
    let mutex = backend.get_mutex("a").unwrap();
    assert!(mutex.try_acquire().unwrap());
    works_here(&backend);

    in_child(|| {
        assert_eq!(mutex.try_acquire().unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
        works_here(&backend);
        // The child of a child starts a runtime of its own, too.
        in_child(|| works_here(&backend));
        works_here(&backend);
    });
    // The first call of a child may be asynchronous, or one of a mutex.
    in_child(|| begin_works_here(&backend));
    in_child(|| mutex_works_here(&backend));

    works_here(&backend);
    mutex.release().unwrap();
    let owner = RefCell::new(Some((backend, mutex)));
    in_child(|| drop(owner.take()));
    let in_release = release_in_progress(&owner.borrow().as_ref().unwrap().0);
    in_child(|| {
        works_here(&owner.borrow().as_ref().unwrap().0);
        drop(owner.take());
        until_dropped_here();
    });
    drop(in_release);
    works_here(&owner.borrow().as_ref().unwrap().0);
    drop(owner.take());
    until_dropped_here();
    println!("forked: ok");
    ExitCode::SUCCESS
}

fn leases_work_in_each_process() {
    let backend = OnTokio::start(2, Birthplace::build).unwrap().with_leases(LeaseOptions::default());
    let mutex = backend.get_mutex("a").unwrap();
    assert!(mutex.try_acquire().unwrap());
    in_child(|| {
        assert!(mutex.is_lost());
        assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
        mutex_works_here(&backend);
        begin_works_here(&backend);
    });
    mutex.release().unwrap();
    drop((backend, mutex));
    until_dropped_here();
    DROPPED_IN.store(0, SeqCst);
}

/// Checks that all calls are served by a backend of this process.
fn works_here(backend: &OnTokio<Birthplace>) {
    let found = backend.get("a").unwrap().unwrap();
    assert_eq!(found, here());
    assert_eq!(BUILT_IN.load(SeqCst), process::id());
    begin_works_here(backend);
    mutex_works_here(backend);
}

fn begin_works_here(backend: &OnTokio<Birthplace>) {
    let calls = backend.operations().unwrap();
    let (sender, outcome) = mpsc::channel();
    let _running = calls.begin_get(
        "a",
        Completion::new(move |outcome| {
            let _ = sender.send(outcome);
        }),
    );
    assert_eq!(outcome.recv_timeout(LIMIT).unwrap().unwrap(), Some(here()));
}

fn mutex_works_here(backend: &OnTokio<Birthplace>) {
    let mutex = backend.get_mutex("a").unwrap();
    assert!(mutex.try_acquire().unwrap() && !mutex.locked().unwrap());
    mutex.release().unwrap();
}

/// Releases a mutex, whose completion keeps a thread of the runtime until the returned sender is dropped.
fn release_in_progress(backend: &OnTokio<Birthplace>) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel();
    let (sender, completing) = mpsc::channel();
    let calls = backend.get_mutex("a").unwrap().operations().unwrap();
    let _running = calls.begin_release(Completion::new(move |_| {
        sender.send(()).unwrap();
        let _: Result<(), _> = ended.recv();
    }));
    completing.recv_timeout(LIMIT).unwrap();
    end
}

/// Returns the value that a backend of this process returns.
fn here() -> CachedValue {
    let payload = Payload::Bytes(Bytes::from(process::id().to_string().as_bytes()));
    CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.0)) }
}

/// Runs `work` in a forked child, and fails if it fails there.
fn in_child(work: impl FnOnce()) {
    match fork::fork().unwrap() {
        Fork::Child => {
            end_in_time();
            work();
            process::exit(i32::from(IS_DROPPED_ELSEWHERE.load(SeqCst)) * 4);
        }
        Fork::Parent(child) => {
            let status = fork::waitpid(child).unwrap();
            assert!(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed with status {status}");
        }
    }
}

/// Waits until this process has dropped its backend.
fn until_dropped_here() {
    let end = Instant::now() + LIMIT;
    while DROPPED_IN.load(SeqCst) != process::id() {
        assert!(Instant::now() < end, "the backend was not dropped");
        thread::sleep(Duration::from_millis(1));
    }
}

fn end_in_time() {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("a child still runs after {LIMIT:?}");
        process::exit(3);
    });
}
