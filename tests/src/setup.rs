//! What the conformance suite runs on: every way to configure a backend of ours, linked and loaded.

mod dbm;
mod leased;
mod memcached;
mod memory;
mod redis;
mod subject;

use std::sync::{Arc, OnceLock};

use dogpile::Registry;
use dogpile::registry::RegistryError;
use dogpile::sdk::{Arguments, CacheBackend, ProxyBackend, proxy};
use dogpile_conformance::Setup;

use self::subject::{Subject, as_backend_error};
use crate::libraries::library;

/// One file for each family of backends.
const FAMILIES: &[fn() -> Vec<Subject>] =
    &[dbm::subjects, memcached::subjects, memory::subjects, redis::subjects];

/// Each subject linked and loaded; bare, behind a linked proxy that changes nothing, and behind a loaded one. And those
/// that claim a lease.
pub fn setups() -> Vec<Setup> {
    let doors: [(_, Door); 2] = [("linked", linked), ("loaded", loaded)];
    let coats: [(_, Coat); 3] = [
        ("", bare),
        ("_behind_a_proxy", behind_a_linked_proxy),
        ("_behind_a_loaded_proxy", behind_a_loaded_proxy),
    ];
    let mut setups = leased::setups();
    for subject in FAMILIES.iter().flat_map(|family| family()) {
        for (door, build) in doors {
            for (coat, wrap) in coats {
                setups.push(setup(format!("{}_{door}{coat}", subject.name), subject.clone(), build, wrap));
            }
        }
    }
    setups
}

fn setup(name: String, subject: Subject, build: Door, wrap: Coat) -> Setup {
    let missing = subject.missing.clone();
    let setup = Setup::new(name, move || wrap(build(&subject)).map_err(as_backend_error));
    match missing {
        Some(why) => setup.ignored(why),
        None => setup,
    }
}

type Door = fn(&Subject) -> Built;
type Coat = fn(Built) -> Built;
type Built = Result<Arc<dyn CacheBackend>, RegistryError>;

fn linked(subject: &Subject) -> Built {
    Registry::global().build_backend(subject.backend, (subject.arguments)())
}

fn loaded(subject: &Subject) -> Built {
    let registry = Registry::empty();
    registry.add_library(library(subject.package))?;
    registry.build_backend(subject.backend, (subject.arguments)())
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
