//! [`Drawer`]: the backend of the tests, whose calls do what their keys say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dogpile_sdk::{
    AsyncBytesBackend, AsyncMutex, BackendError, BoxedMutex, Capabilities, ErrorKind, Fence, StoreOptions,
};
use tokio::sync::Notify;

use super::LIMIT;

/// What a test shares with its backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control(Arc<Shared>);

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) kept: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The calls that wait at the gate, or did.
    pub(crate) waiting: AtomicUsize,
    /// The futures that were dropped at the gate.
    pub(crate) dropped: AtomicUsize,
    /// The number of backends that were built.
    pub(crate) built: AtomicUsize,
    is_open: AtomicBool,
    opened: Notify,
    pub(crate) is_held: AtomicBool,
    /// The token of each lock.
    pub(crate) locks: Mutex<BTreeMap<String, String>>,
    pub(crate) renewals: AtomicUsize,
    /// Notified when a lock is released.
    pub(crate) released: Notify,
    /// The waits that a release ended.
    pub(crate) signals: AtomicUsize,
    pub(crate) attempts: AtomicUsize,
    pub(crate) releases: AtomicUsize,
}

impl std::ops::Deref for Control {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Control {
    /// Lets the calls at the gate continue, and all later ones.
    pub(crate) fn open(&self) {
        self.is_open.store(true, SeqCst);
        self.opened.notify_waiters();
    }

    /// Lets the calls at the gate continue, but no later ones.
    pub(crate) fn open_once(&self) {
        self.opened.notify_waiters();
    }

    /// Returns the number of owners, this one included.
    pub(crate) fn strong_count(this: &Self) -> usize {
        Arc::strong_count(&this.0)
    }

    /// Waits until the gate is open.
    pub(crate) async fn gate(&self) {
        let counted = CountsDrop(self);
        let mut opened = std::pin::pin!(self.opened.notified());
        opened.as_mut().enable();
        self.waiting.fetch_add(1, SeqCst);
        if !self.is_open.load(SeqCst) {
            opened.await;
        }
        std::mem::forget(counted);
    }
}

struct CountsDrop<'a>(&'a Shared);

impl Drop for CountsDrop<'_> {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// Blocks until `holds` returns true.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Keeps bytes in a map. A key that begins with `gate` waits at the gate, and `panic` panics.
#[derive(Debug)]
pub(crate) struct Drawer(pub(crate) Control);

impl Drawer {
    pub(crate) async fn build(control: Control) -> Result<Self, BackendError> {
        tokio::task::yield_now().await;
        control.built.fetch_add(1, SeqCst);
        Ok(Drawer(control))
    }

    async fn obey(&self, key: &str) {
        tokio::task::yield_now().await;
        if key.starts_with("gate") {
            self.0.gate().await;
        }
        assert!(!key.starts_with("panic"), "panic requested by key {key}");
    }
}

impl AsyncBytesBackend for Drawer {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.obey(key).await;
        Ok(self.0.kept.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: Vec<u8>, options: &StoreOptions) -> Result<(), BackendError> {
        self.obey(key).await;
        if options.fence.is_some() {
            return Err(BackendError::new(ErrorKind::Fenced, "the mutex is no longer held"));
        }
        self.0.kept.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.obey(key).await;
        self.0.kept.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<BoxedMutex> {
        (!key.starts_with("none")).then(|| {
            BoxedMutex::new(DrawerMutex {
                key: key.to_owned(),
                control: self.0.clone(),
                is_ours: AtomicBool::new(false),
            })
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_immediate(true)
    }

    async fn health(&self) -> Result<(), BackendError> {
        self.obey("").await;
        Err(BackendError::new(ErrorKind::Unavailable, "the drawer is stuck"))
    }
}

/// The only mutex of a drawer. An attempt takes effect before it waits at the gate, as a request to a server may.
#[derive(Debug)]
struct DrawerMutex {
    key: String,
    control: Control,
    is_ours: AtomicBool,
}

impl AsyncMutex for DrawerMutex {
    async fn try_acquire(&self) -> Result<bool, BackendError> {
        self.control.attempts.fetch_add(1, SeqCst);
        let acquired = !self.control.is_held.swap(true, SeqCst);
        if acquired {
            self.is_ours.store(true, SeqCst);
        }
        if self.key.starts_with("gate_attempt") {
            self.control.gate().await;
        }
        assert!(!self.key.starts_with("panic"), "panic requested by key {}", self.key);
        Ok(acquired)
    }

    async fn release(&self) -> Result<(), BackendError> {
        if self.key.starts_with("gate_release") {
            self.control.gate().await;
        }
        if !self.is_ours.swap(false, SeqCst) {
            return Err(BackendError::new(ErrorKind::NotHeld, "the mutex is not held"));
        }
        self.control.is_held.store(false, SeqCst);
        self.control.releases.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.control.is_held.load(SeqCst))
    }

    fn is_lost(&self) -> bool {
        self.is_ours.load(SeqCst) && !self.control.is_held.load(SeqCst)
    }

    fn fence(&self) -> Option<Fence> {
        self.is_ours.load(SeqCst).then(|| Fence::new(&b"token"[..]))
    }
}
