//! `hitbox`: an asynchronous caching framework with policies, on its moka backend.

use dogpile_benches::{AsyncCache, AsyncCreator, KEYS};
use hitbox::DisabledOffload;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;

/// With room for twice the keys, which its backend requires, and one creator at a time for each key.
pub(crate) const HITBOX: &str = "hitbox with moka";

/// A cached function and its cache. The backend keeps serialized values, as JSON by default.
pub(crate) struct Hitbox(Cache<MokaBackend, BroadcastConcurrencyManager<u64>, DisabledOffload>);

impl Hitbox {
    pub(crate) fn new() -> Self {
        let one = ConcurrencyLimit::new(1).expect("one creator is a valid limit");
        let cache = Cache::builder()
            .backend(MokaBackend::builder().max_entries(2 * KEYS as u64).build())
            .policy(PolicyConfig::builder().concurrency(one).build())
            .concurrency_manager(BroadcastConcurrencyManager::new())
            .build();
        Hitbox(cache)
    }
}

#[cached(skip(creator))]
async fn number(key: String, creator: AsyncCreator) -> u64 {
    let _ = key;
    creator.create().await
}

impl AsyncCache for Hitbox {
    async fn get_or_create(&self, key: &str, creator: &AsyncCreator) -> u64 {
        number(key.to_owned(), creator.clone()).cache(&self.0).await
    }
}
