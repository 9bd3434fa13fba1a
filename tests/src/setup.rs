//! What the conformance suite runs on: one line for each way to configure a backend of ours.

use std::sync::{Arc, OnceLock};

use dogpile::Registry;
use dogpile::registry::RegistryError;
use dogpile::sdk::{Arguments, BackendError, CacheBackend, ErrorKind, ProxyBackend, proxy};
use dogpile_conformance::Setup;

use crate::libraries::library;

/// A backend as a configuration names it.
#[derive(Clone, Copy, Debug)]
struct Subject {
    name: &'static str,
    /// The library that has it; the linked crate has it too.
    package: &'static str,
    backend: &'static str,
    /// TOML.
    arguments: &'static str,
}

const fn memory(name: &'static str, backend: &'static str, arguments: &'static str) -> Subject {
    Subject { name, package: "dogpile-memory-dylib", backend, arguments }
}

const SUBJECTS: &[Subject] = &[
    memory("memory", "dogpile.cache.memory", ""),
    memory("memory_bounded_by_entries", "dogpile.cache.memory", "max_entries = 2000"),
    memory("memory_bounded_by_bytes", "dogpile.cache.memory", "max_bytes = 16_000_000"),
    memory("memory_pickle", "dogpile.cache.memory_pickle", ""),
    memory("memory_pickle_bounded", "dogpile.cache.memory_pickle", "max_entries = 2000"),
];

/// Each subject linked and loaded; bare, behind a linked proxy that changes nothing, and behind a loaded one.
pub fn setups() -> Vec<Setup> {
    let doors: [(_, Door); 2] = [("linked", linked), ("loaded", loaded)];
    let coats: [(_, Coat); 3] = [
        ("", bare),
        ("_behind_a_proxy", behind_a_linked_proxy),
        ("_behind_a_loaded_proxy", behind_a_loaded_proxy),
    ];
    let mut setups = Vec::new();
    for subject in SUBJECTS {
        for (door, build) in doors {
            for (coat, wrap) in coats {
                let name = format!("{}_{door}{coat}", subject.name);
                setups.push(Setup::new(name, move || wrap(build(subject)).map_err(as_backend_error)));
            }
        }
    }
    setups
}

type Door = fn(&Subject) -> Built;
type Coat = fn(Built) -> Built;
type Built = Result<Arc<dyn CacheBackend>, RegistryError>;

fn linked(subject: &Subject) -> Built {
    Registry::global().build_backend(subject.backend, arguments(subject))
}

fn loaded(subject: &Subject) -> Built {
    let registry = Registry::empty();
    registry.add_library(library(subject.package))?;
    registry.build_backend(subject.backend, arguments(subject))
}

fn arguments(subject: &Subject) -> Arguments {
    toml::from_str(subject.arguments).expect("the arguments are TOML")
}

fn bare(backend: Built) -> Built {
    backend
}

#[derive(Debug)]
struct PassThrough(Arc<dyn CacheBackend>);

impl ProxyBackend for PassThrough {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }
}

fn behind_a_linked_proxy(backend: Built) -> Built {
    backend.map(|backend| proxy(PassThrough(backend)))
}

fn behind_a_loaded_proxy(backend: Built) -> Built {
    static ACME: OnceLock<Registry> = OnceLock::new();
    let acme = ACME.get_or_init(|| {
        let registry = Registry::empty();
        registry.add_library(library("acme-dogpile-dylib")).expect("the library opens");
        registry
    });
    acme.build_proxy("acme.hit_counter", Arguments::default(), backend?)
}

fn as_backend_error(error: RegistryError) -> BackendError {
    BackendError::new(ErrorKind::Configuration, error.to_string()).with_source(error)
}
