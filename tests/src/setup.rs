//! The setups of the conformance suite: every configuration of our backends, linked and loaded.

mod dbm;
mod frozen;
mod leased;
mod memcached;
mod memory;
mod redis;
mod subject;

use std::sync::{Arc, OnceLock};

use dogpile::Registry;
use dogpile::sdk::{Arguments, CacheBackend, ProxyBackend, proxy};
use dogpile_conformance::Setup;

use self::subject::{Build, Built, Subject, as_backend_error, linked, loaded};
use crate::libraries::library;

/// The families of backends, one file each.
const FAMILIES: &[fn() -> Vec<Subject>] =
    &[dbm::subjects, memcached::subjects, memory::subjects, redis::subjects];

/// Returns all setups.
///
/// Each subject is linked and loaded. It is bare, behind a linked proxy that changes nothing, and behind a loaded
/// proxy. The first subject of each family is also behind a chaos proxy that lets all calls pass, or delays them. Further
/// setups claim a lease, or have a server that can be frozen.
pub fn setups() -> Vec<Setup> {
    let origins: [(_, Build); 2] = [("linked", linked), ("loaded", loaded)];
    let wrappings: [(_, Wrap); 3] = [
        ("", bare),
        ("_behind_a_proxy", behind_a_linked_proxy),
        ("_behind_a_loaded_proxy", behind_a_loaded_proxy),
    ];
    let mut setups = leased::setups();
    setups.extend(frozen::setups());
    for subject in FAMILIES.iter().filter_map(|family| family().into_iter().next()) {
        let name = format!("{}_linked_behind_chaos", subject.name);
        setups.push(setup(name.clone(), subject.clone(), linked, |backend| {
            behind_chaos(backend, "errors = 0")
        }));
        let delaying = |backend| behind_chaos(backend, "delay = { max = '1ms' }");
        setups.push(setup(format!("{name}_delaying"), subject, linked, delaying));
    }
    for subject in FAMILIES.iter().flat_map(|family| family()) {
        for (origin, build) in origins {
            for (wrapping, wrap) in wrappings {
                setups.push(setup(
                    format!("{}_{origin}{wrapping}", subject.name),
                    subject.clone(),
                    build,
                    wrap,
                ));
            }
        }
    }
    setups
}

fn setup(name: String, subject: Subject, build: Build, wrap: Wrap) -> Setup {
    let missing = subject.missing.clone();
    let setup = Setup::new(name, move || wrap(build(&subject)).map_err(as_backend_error));
    match missing {
        Some(why) => setup.ignored(why),
        None => setup,
    }
}

type Wrap = fn(Built) -> Built;

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

/// Wraps `backend` in a chaos proxy with `arguments`, which are TOML.
fn behind_chaos(backend: Built, arguments: &str) -> Built {
    let arguments = toml::from_str(arguments).expect("the arguments are TOML");
    Registry::global().build_proxy("dogpile.proxy.chaos", arguments, backend?)
}
