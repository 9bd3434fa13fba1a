//! `courier.shelf`: values in a map that replies after a delay, as a server does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dogpile_sdk::{AsyncBytesBackend, BackendError, BoxedMutex, OnTokio, StoreOptions};
use serde::Deserialize;

use crate::mutex::{Locks, ShelfMutex};

/// Arguments of `courier.shelf`. Times are seconds or durations such as `"5m"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CourierConfig {
    /// The number of threads that serve the calls. Default: 2.
    pub threads: usize,
    /// The time that the shelf takes to reply. Default: 0.
    #[serde(with = "dogpile_sdk::seconds")]
    pub latency: Duration,
}

impl Default for CourierConfig {
    fn default() -> Self {
        CourierConfig { threads: 2, latency: Duration::ZERO }
    }
}

/// A client of the shelf. A real one would keep connections here.
#[derive(Debug)]
pub struct Courier {
    latency: Duration,
    shelf: Mutex<HashMap<String, Vec<u8>>>,
    locks: Arc<Locks>,
}

impl Courier {
    /// Starts the runtime of the backend, and the backend on it.
    ///
    /// # Errors
    /// If the runtime cannot be started.
    pub fn start(
        CourierConfig { threads, latency }: CourierConfig,
    ) -> Result<OnTokio<Courier>, BackendError> {
        OnTokio::start(threads, move || Courier::connect(latency))
    }

    /// Runs on the runtime, once in each process. A real client connects later, when the first call needs it.
    async fn connect(latency: Duration) -> Result<Courier, BackendError> {
        Ok(Courier { latency, shelf: Mutex::default(), locks: Arc::default() })
    }

    /// Waits for the reply, and returns the shelf.
    async fn shelf(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        tokio::time::sleep(self.latency).await;
        // Ignore poison: a panic elsewhere leaves the map intact.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncBytesBackend for Courier {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.shelf().await.get(key).cloned())
    }

    async fn set(&self, key: &str, value: Vec<u8>, _options: &StoreOptions) -> Result<(), BackendError> {
        self.shelf().await.insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.shelf().await.remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<BoxedMutex> {
        Some(BoxedMutex::new(ShelfMutex::new(key, Arc::clone(&self.locks), self.latency)))
    }
}

dogpile_sdk::register_backend! {
    name: "courier.shelf",
    config: CourierConfig,
    build: Courier::start,
}
