//! The conformance suite on the memory backends.
//!
//! Behavior: `memory-generic-suite`, `memory-with-serializer`, `memory-pickle-generic-suite`,
//! `memory-cache-dict-argument`

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};

use dogpile_conformance::Setup;
use dogpile_memory::{MemoryBackend, MemoryConfig};

fn main() -> ExitCode {
    let unlimited = MemoryConfig::default();
    let entries = unlimited.with_max_entries(2000);
    let bytes = unlimited.with_max_bytes(16 << 20);
    let both = entries.with_max_bytes(2 << 30);
    dogpile_conformance::run([
        Setup::new("memory", move || Ok(Arc::new(MemoryBackend::new(unlimited)?))),
        Setup::new("memory_with_max_entries", move || Ok(Arc::new(MemoryBackend::new(entries)?))),
        Setup::new("memory_with_max_bytes", move || Ok(Arc::new(MemoryBackend::new(bytes)?))),
        Setup::new("memory_over_a_map", || {
            Ok(Arc::new(MemoryBackend::with_map(Arc::new(Mutex::new(HashMap::new())))))
        }),
        Setup::new("memory_pickle", move || Ok(Arc::new(MemoryBackend::serialized(unlimited)?))),
        Setup::new("memory_pickle_with_both_limits", move || Ok(Arc::new(MemoryBackend::serialized(both)?))),
        Setup::new("memory_pickle_over_a_map", || {
            let map = Arc::new(RwLock::new(HashMap::new()));
            Ok(Arc::new(MemoryBackend::with_map(map).with_serialized_values()))
        }),
    ])
}
