//! Regions on `dogpile.cache.memory`, linked and loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig, Registry};

use crate::subject::{Cache, Failure, Subject, Value};
use crate::workload::KEYS;

/// The backend compiled in.
pub const LINKED: &str = "dogpile, linked";
/// The same, values going stale after an hour.
pub const LINKED_EXPIRING: &str = "dogpile, linked, expiring";
/// The same, with room for twice the keys.
pub const LINKED_BOUNDED: &str = "dogpile, linked, bounded";
/// The backend in a plugin library.
pub const LOADED: &str = "dogpile, loaded";
/// The same, values going stale after an hour.
pub const LOADED_EXPIRING: &str = "dogpile, loaded, expiring";

const BACKEND: &str = "dogpile.cache.memory";
const EXPIRATION: Duration = Duration::from_secs(60 * 60);

/// Returns regions on the linked backend.
///
/// # Errors
/// If a region cannot be configured.
pub fn linked() -> Result<Vec<Subject>, Failure> {
    let bounded = RegionConfig::new(BACKEND).arguments(BTreeMap::from([("max_entries", 2 * KEYS)]));
    Ok(vec![
        subject(LINKED, RegionConfig::new(BACKEND))?,
        subject(LINKED_EXPIRING, RegionConfig::new(BACKEND).expiration_time(EXPIRATION))?,
        subject(LINKED_BOUNDED, bounded)?,
    ])
}

/// Returns regions on the linked and on the loaded backend.
///
/// # Errors
/// If the plugin library is not beside the bench, or a region cannot be configured.
pub fn ours() -> Result<Vec<Subject>, Failure> {
    let mut all = linked()?;
    all.push(subject(LOADED, loaded()?)?);
    all.push(subject(LOADED_EXPIRING, loaded()?.expiration_time(EXPIRATION))?);
    Ok(all)
}

/// The backend out of the library, and from nowhere else.
fn loaded() -> Result<RegionConfig, Failure> {
    let registry = Registry::empty();
    registry.add_library(library()?)?;
    Ok(RegionConfig::new(BACKEND).registry(Arc::new(registry)))
}

/// Cargo builds the library into the folder of the bench's binary.
fn library() -> Result<PathBuf, Failure> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let name = format!("{DLL_PREFIX}dogpile_memory_dylib{DLL_SUFFIX}");
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn subject(name: &'static str, config: RegionConfig) -> Result<Subject, Failure> {
    let region = CacheRegion::new(name);
    region.configure(config)?;
    Ok(Subject::new(name, region))
}

impl Cache for CacheRegion {
    fn get_or_create(&self, key: &str, creator: impl FnOnce() -> Value) -> Value {
        let answer = CacheRegion::get_or_create(self, key, creator);
        answer.expect("the memory backend does not fail")
    }
}
