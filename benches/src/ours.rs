//! Regions on `dogpile.cache.memory`, linked and loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dogpile::registry::Trust;
use dogpile::{CacheRegion, RegionConfig, Registry, Share};

use crate::async_subject::{AsyncCache, AsyncCreator};
use crate::subject::{Cache, Failure, Subject, Value};
use crate::workload::KEYS;

/// The backend, compiled in.
pub const LINKED: &str = "dogpile, linked";
/// The linked backend, in a region whose values expire after an hour.
pub const LINKED_EXPIRING: &str = "dogpile, linked, expiring";
/// The linked backend, in a region with expiration after an hour, jitter, and early refresh.
pub const LINKED_STAGED: &str = "dogpile, linked, early refresh";
/// The linked backend, with room for twice the keys.
pub const LINKED_BOUNDED: &str = "dogpile, linked, bounded";
/// The backend, in a plugin library.
pub const LOADED: &str = "dogpile, loaded";
/// The loaded backend, in a region whose values expire after an hour.
pub const LOADED_EXPIRING: &str = "dogpile, loaded, expiring";

/// The linked backend, with asynchronous calls.
pub const OURS_ASYNC: &str = "dogpile, async";

const BACKEND: &str = "dogpile.cache.memory";
const EXPIRATION: Duration = Duration::from_secs(60 * 60);

/// Returns regions on the linked backend.
///
/// # Errors
/// If a region cannot be configured.
pub fn linked() -> Result<Vec<Subject>, Failure> {
    let bounded = linked_config().arguments(BTreeMap::from([("max_entries", 2 * KEYS)]));
    let staged = linked_config().expiration_time(EXPIRATION).jitter(Share::percent(10));
    let staged = staged.early_refresh(Share::percent(80));
    Ok(vec![
        subject(LINKED, linked_config())?,
        subject(LINKED_EXPIRING, linked_config().expiration_time(EXPIRATION))?,
        subject(LINKED_STAGED, staged)?,
        subject(LINKED_BOUNDED, bounded)?,
    ])
}

/// Returns regions on the linked and on the loaded backend.
///
/// # Errors
/// If the plugin library is not beside the bench, or a region cannot be configured.
pub fn ours() -> Result<Vec<Subject>, Failure> {
    let mut all = linked()?;
    all.push(subject(LOADED, loaded_config()?)?);
    all.push(subject(LOADED_EXPIRING, loaded_config()?.expiration_time(EXPIRATION))?);
    Ok(all)
}

/// Returns a configuration that uses the linked backend.
pub fn linked_config() -> RegionConfig {
    RegionConfig::new(BACKEND)
}

/// Returns a configuration that uses the backend of the plugin library, and no other.
///
/// # Errors
/// If the plugin library is not beside the bench.
pub fn loaded_config() -> Result<RegionConfig, Failure> {
    let registry = Registry::empty();
    registry.restrict(Trust::default().reserved(BACKEND)?);
    registry.add_library(library()?)?;
    Ok(RegionConfig::new(BACKEND).registry(registry))
}

/// Returns the path of the library. Cargo builds it into the folder of the bench's binary.
fn library() -> Result<PathBuf, Failure> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let name = format!("{DLL_PREFIX}dogpile_memory_dylib{DLL_SUFFIX}");
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Returns a region on the linked backend, for asynchronous calls.
///
/// # Errors
/// If the region cannot be configured.
pub fn ours_async() -> Result<CacheRegion, Failure> {
    let region = CacheRegion::new(OURS_ASYNC);
    region.configure(linked_config())?;
    Ok(region)
}

fn subject(name: &'static str, config: RegionConfig) -> Result<Subject, Failure> {
    let region = CacheRegion::new(name);
    region.configure(config)?;
    Ok(Subject::new(name, region))
}

impl Cache for CacheRegion {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        CacheRegion::get_or_create(self, key, creator).expect("the memory backend does not fail")
    }
}

impl AsyncCache for CacheRegion {
    async fn get_or_create(&self, key: &str, creator: &AsyncCreator) -> u64 {
        let value = self.get_or_create_async(key, async || Arc::new(creator.create().await)).await;
        *value.expect("the memory backend does not fail")
    }
}
