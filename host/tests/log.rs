//! With the feature `log`, an application without `tracing` gets what the host logs.
//!
//! A test binary of its own, because a logger is set once for a process, and no subscriber may be set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, StoreOptions};
use dogpile::{CacheRegion, RegionConfig, log_targets};
use log::{LevelFilter, Log, Metadata, Record};

static RECORDS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Keeping;

impl Log for Keeping {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        RECORDS.lock().unwrap().push((record.target().to_owned(), record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Stores nothing, because it fails.
#[derive(Debug)]
struct Full;

impl CacheBackend for Full {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        let cause = BackendError::new(ErrorKind::Other, "no space left");
        Err(BackendError::new(ErrorKind::Unavailable, "the disk is full").with_source(cause))
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

#[test]
fn logger_gets_warnings_with_all_causes() {
    log::set_logger(&Keeping).unwrap();
    log::set_max_level(LevelFilter::Warn);
    let region = CacheRegion::new("logged");
    region.configure(RegionConfig::from_instance(Arc::new(Full))).unwrap();
    region.get_or_create("tea", || 1).unwrap();
    let records = RECORDS.lock().unwrap();
    let [(target, text)] = records.as_slice() else { panic!("one record was expected: {records:?}") };
    assert_eq!(target, log_targets::CREATION);
    for part in ["a created value was not stored", "logged", "\"tea\"", "the disk is full", "no space left"] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert!(!text.contains("\\\""), "the key is quoted twice: {text}");
}
