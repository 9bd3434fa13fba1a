//! The in-process backends.

use std::sync::Arc;

use super::subject::Subject;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        memory("memory", "dogpile.cache.memory", ""),
        memory("memory_bounded_by_entries", "dogpile.cache.memory", "max_entries = 2000"),
        memory("memory_bounded_by_bytes", "dogpile.cache.memory", "max_bytes = 16_000_000"),
        memory("memory_pickle", "dogpile.cache.memory_pickle", ""),
        memory("memory_pickle_bounded", "dogpile.cache.memory_pickle", "max_entries = 2000"),
    ]
}

/// Creates a subject whose `arguments` are TOML.
fn memory(name: &'static str, backend: &'static str, arguments: &'static str) -> Subject {
    let arguments = Arc::new(move || toml::from_str(arguments).expect("the arguments are TOML"));
    Subject { name, package: "dogpile-memory-dylib", backend, arguments, missing: None }
}
