//! Crossings of the FFI boundary, through the real tables, in one process. The sanitizers and Miri run them.
//!
//! Each backend crosses twice, so that objects of both sides meet on their way. At the end of each test, everything
//! that crossed must be gone.

#[path = "boundary/completions.rs"]
mod completions;
#[path = "boundary/failures.rs"]
mod failures;
#[path = "boundary/log.rs"]
mod log;
#[path = "boundary/mutexes.rs"]
mod mutexes;
#[path = "boundary/shelf.rs"]
mod shelf;
#[path = "boundary/values.rs"]
mod values;

use std::sync::Arc;

use dogpile_sdk::{
    CacheBackend, CachedValue, CreationTime, ExportedBackend, LoadedBackend, Metadata, Object, Payload,
};

use crate::shelf::Shelf;

/// Returns a new shelf behind two boundaries.
fn crossed() -> Arc<dyn CacheBackend> {
    let across = |backend| -> Arc<dyn CacheBackend> {
        Arc::new(LoadedBackend::new(ExportedBackend::object(backend), "the other side"))
    };
    across(across(Arc::new(Shelf::default())))
}

/// Returns a value that is an object of the host. It shares `object`, so that tests can count what is left of it.
fn object(object: &Arc<str>) -> CachedValue {
    value(Payload::Object(Object::new(Arc::clone(object))))
}

fn bytes(bytes: &[u8]) -> CachedValue {
    value(Payload::Bytes(bytes.into()))
}

fn value(payload: Payload) -> CachedValue {
    CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.5)) }
}
