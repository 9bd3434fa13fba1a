//! [`Shelf`]: a backend that fails as its keys say.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{io, thread};

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Completion, Entry, ErrorKind, Fence, KeyMangler,
    MutexOperations, Operations, Running, StoreOptions,
};

/// A backend that fails as its keys say, and whose drop panics.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Arc<Stored>);

#[derive(Debug, Default)]
struct Stored {
    values: Mutex<BTreeMap<String, (CachedValue, StoreOptions)>>,
}

/// A payload of a panic, which panics again when it is dropped.
///
/// It has no size: the payload is leaked on purpose, and the leak sanitizer would report its memory.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic("the payload was dropped");
    }
}

/// Panics without printing a message, unless the thread is panicking.
fn panic(message: &'static str) {
    if !thread::panicking() {
        resume_unwind(Box::new(message));
    }
}

/// Fails as `key` says.
fn fail(key: &str) -> Result<(), BackendError> {
    match key {
        "panic" => resume_unwind(Box::new("planted")),
        "panic with text" => resume_unwind(Box::new(format!("planted for {key:?}"))),
        "panic with a bomb" => resume_unwind(Box::new(Bomb)),
        "error" => {
            let error = BackendError::new(ErrorKind::Unavailable, "the shelf is away")
                .during("look")
                .for_key("other");
            Err(error.at_server("shelf:1").for_argument("size").with_source(io::Error::other("the cause")))
        }
        _ => Ok(()),
    }
}

impl Stored {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        fail(key)?;
        Ok(self.values.lock().expect("no lock is poisoned").get(key).map(|(value, _)| value.clone()))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        fail(key)?;
        let stored = (value, options.clone());
        let replaced = self.values.lock().expect("no lock is poisoned").insert(key.to_owned(), stored);
        drop(replaced);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        fail(key)?;
        let deleted = self.values.lock().expect("no lock is poisoned").remove(key);
        drop(deleted);
        Ok(())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        panic("the shelf was dropped");
    }
}

impl CacheBackend for Shelf {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.set(key, value, options)
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        if key == "panic" {
            panic("planted");
        }
        Some(Arc::new(ShelfMutex { stored: Arc::clone(&self.0), key: key.to_owned() }))
    }

    fn key_mangler(&self) -> Option<KeyMangler> {
        Some(KeyMangler::new(|key| {
            if key == "panic" {
                panic("planted");
            }
            format!("mangled {key}")
        }))
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        Some(Arc::new(ShelfOperations(Arc::clone(&self.0))))
    }
}

/// Begins `work`, whose outcome arrives as the first word of `key` says.
fn begin<T: Send + 'static>(
    key: &str,
    completion: Completion<T>,
    work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
) -> Running {
    match key.split(' ').next() {
        Some("later") => {
            thread::spawn(move || completion.complete(work()));
            Running::new(|| panic("the cancellation"))
        }
        Some("dropped") => {
            drop(completion);
            Running::done()
        }
        Some("panic") => {
            let _completion = completion;
            resume_unwind(Box::new("planted"))
        }
        Some("twice") => {
            completion.complete(work());
            resume_unwind(Box::new("planted"))
        }
        _ => {
            completion.complete(work());
            Running::done()
        }
    }
}

#[derive(Debug)]
struct ShelfOperations(Arc<Stored>);

impl Operations for ShelfOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let (stored, owned) = (Arc::clone(&self.0), key.to_owned());
        begin(key, completion, move || stored.get(&owned))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        let (stored, owned) = (Arc::clone(&self.0), owned(keys));
        begin(keys[0], completion, move || owned.iter().map(|key| stored.get(key)).collect())
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let (stored, owned, options) = (Arc::clone(&self.0), key.to_owned(), options.clone());
        begin(key, completion, move || stored.set(&owned, value, &options))
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        let (stored, first) = (Arc::clone(&self.0), entries[0].key.clone());
        begin(&first, completion, move || {
            entries.into_iter().try_for_each(|entry| stored.set(&entry.key, entry.value, &entry.options))
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        self.begin_delete_multi(&[key], completion)
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let (stored, owned) = (Arc::clone(&self.0), owned(keys));
        begin(keys[0], completion, move || owned.iter().try_for_each(|key| stored.delete(key)))
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

/// A mutex that is a value of the shelf. Its fence is its key. Its drop panics.
#[derive(Debug)]
struct ShelfMutex {
    stored: Arc<Stored>,
    key: String,
}

impl ShelfMutex {
    fn value() -> CachedValue {
        crate::bytes(b"held")
    }
}

impl Drop for ShelfMutex {
    fn drop(&mut self) {
        panic("the mutex was dropped");
    }
}

impl CacheMutex for ShelfMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        let is_free = !self.locked()?;
        self.stored.set(&self.key, Self::value(), &StoreOptions::new())?;
        Ok(is_free)
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        self.try_acquire()
    }

    fn release(&self) -> Result<(), BackendError> {
        self.stored.delete(&self.key)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.stored.get(&self.key)?.is_some())
    }

    fn is_lost(&self) -> bool {
        self.locked().expect("the key plants no error");
        self.key == "lost"
    }

    fn fence(&self) -> Option<Fence> {
        (self.key != "unfenced").then(|| Fence::new(self.key.as_bytes()))
    }

    fn operations(&self) -> Option<Arc<dyn MutexOperations>> {
        let twin = ShelfMutex { stored: Arc::clone(&self.stored), key: self.key.clone() };
        Some(Arc::new(ShelfMutexOperations(Arc::new(twin))))
    }
}

#[derive(Debug)]
struct ShelfMutexOperations(Arc<ShelfMutex>);

impl MutexOperations for ShelfMutexOperations {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        let mutex = Arc::clone(&self.0);
        begin(&self.0.key, completion, move || mutex.try_acquire())
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        let mutex = Arc::clone(&self.0);
        begin(&self.0.key, completion, move || mutex.acquire_until(deadline))
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        let mutex = Arc::clone(&self.0);
        begin(&self.0.key, completion, move || mutex.release())
    }
}
