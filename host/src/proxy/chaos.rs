//! [`Chaos`]: the proxy `dogpile.proxy.chaos`, whose calls fail or take long on purpose.

mod call;
mod config;
mod control;
mod delay;
mod dice;
mod mutex;
mod operation;
mod script;
mod steady;
mod window;

use std::sync::Arc;

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, Entry, ProxyBackend, StoreOptions,
    register_proxy,
};

use self::call::Call;
use self::mutex::ChaosMutex;

pub use self::config::ChaosConfig;
pub use self::control::{ChaosControl, ChaosCounts};
pub use self::delay::ChaosDelay;
pub use self::operation::ChaosOperation;
pub use self::script::ChaosScript;
pub use self::window::ChaosWindow;

register_proxy! {
    name: "dogpile.proxy.chaos",
    config: ChaosConfig,
    build: Chaos::new,
}

/// A proxy whose calls fail or take long on purpose, for tests of outages.
///
/// A failing call does not reach the backend, with two exceptions. Half of the writes that time out do, because a caller
/// of a real server cannot know. A mutex is always released, because the host renews its lease as long as it is held.
/// The renewal itself never fails.
///
/// A delay blocks the thread of its call. The proxy therefore has no asynchronous calls of its own: the host makes them on
/// threads for blocking work, so that no task is held up. A proxy that can never delay a call, because its configuration
/// has neither a `name` nor a `delay`, stays [`immediate`](Capabilities::immediate) if its backend is.
#[derive(Debug)]
pub struct Chaos {
    control: ChaosControl,
    proxied: Arc<dyn CacheBackend>,
}

impl Chaos {
    /// Creates a proxy around `proxied`.
    ///
    /// # Errors
    /// See [`ChaosControl::new`].
    pub fn new(config: ChaosConfig, proxied: Arc<dyn CacheBackend>) -> Result<Self, BackendError> {
        Ok(Chaos::controlled(&ChaosControl::new(config)?, proxied))
    }

    /// Creates a proxy around `proxied` that `control` switches.
    ///
    /// ```
    /// use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosScript};
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// static PRICES: CacheRegion = CacheRegion::new("prices");
    ///
    /// let chaos = ChaosControl::new(ChaosConfig::default())?;
    /// let control = chaos.clone();
    /// let config = RegionConfig::new("dogpile.cache.memory");
    /// PRICES.configure(config.wrap_in(move |proxied| Chaos::controlled(&control, proxied)))?;
    /// PRICES.set("tea", 350)?;
    /// chaos.set_script(ChaosScript::new().errors(1.0))?;
    /// assert!(PRICES.get::<i32>("tea").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn controlled(control: &ChaosControl, proxied: Arc<dyn CacheBackend>) -> Self {
        Chaos { control: control.clone(), proxied }
    }

    /// Returns the control of the proxy.
    pub fn control(&self) -> ChaosControl {
        self.control.clone()
    }

    fn call(&self, operation: ChaosOperation) -> Call<'_> {
        Call::of(&self.control, operation)
    }
}

impl ProxyBackend for Chaos {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.call(ChaosOperation::Get).for_key(key).make(|| self.proxied.get(key))
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.call(ChaosOperation::Set).for_key(key).make(|| self.proxied.set(key, value, options))
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.call(ChaosOperation::Delete).for_key(key).make(|| self.proxied.delete(key))
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        self.call(ChaosOperation::GetMulti).make(|| self.proxied.get_multi(keys))
    }

    fn set_multi(&self, entries: Vec<Entry>) -> Result<(), BackendError> {
        self.call(ChaosOperation::SetMulti).make(|| self.proxied.set_multi(entries))
    }

    fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        self.call(ChaosOperation::DeleteMulti).make(|| self.proxied.delete_multi(keys))
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        let mutex = self.proxied.get_mutex(key)?;
        Some(Arc::new(ChaosMutex { key: key.to_owned(), mutex, control: self.control.clone() }))
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.proxied.capabilities();
        let immediate = capabilities.immediate && !self.control.may_delay();
        capabilities.with_immediate(immediate)
    }

    fn health(&self) -> Result<(), BackendError> {
        self.call(ChaosOperation::Health).make(|| self.proxied.health())
    }
}
