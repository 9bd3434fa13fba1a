//! Plugin libraries that are opened, refused, used side by side, and older or newer than the host.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "dylib/asynchronous.rs"]
mod asynchronous;
#[path = "dylib/compiler.rs"]
mod compiler;
#[path = "dylib/contained.rs"]
mod contained;
#[path = "dylib/folders.rs"]
mod folders;
#[path = "dylib/logging.rs"]
mod logging;
#[path = "dylib/lost.rs"]
mod lost;
#[path = "dylib/names.rs"]
mod names;
#[path = "dylib/objects.rs"]
mod objects;
#[path = "dylib/on_tokio.rs"]
mod on_tokio;
#[cfg(unix)]
#[path = "dylib/privileged.rs"]
mod privileged;
#[path = "dylib/refused.rs"]
mod refused;
#[path = "dylib/regions.rs"]
mod regions;
#[path = "dylib/reserved.rs"]
mod reserved;
#[cfg(target_os = "linux")]
#[path = "dylib/sealed.rs"]
mod sealed;
#[path = "dylib/trust.rs"]
mod trust;
#[path = "dylib/versions.rs"]
mod versions;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use dogpile::registry::RegistryError;
use dogpile::sdk::{Arguments, CacheBackend};
use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::libraries::{library, permissive_registry};

const MEMORY: &str = "dogpile.cache.memory";

/// Returns a registry with only the libraries of `packages`, which may provide reserved names.
fn registry_of(packages: &[&str]) -> Registry {
    let registry = permissive_registry();
    packages.iter().for_each(|package| registry.add_library(library(package)).unwrap());
    registry
}

/// Returns the backend `name` of the library of `package`.
fn loaded(package: &str, name: &str) -> Arc<dyn CacheBackend> {
    registry_of(&[package]).build_backend(name, Arguments::default()).unwrap()
}

/// Returns a region on the backend `name`, found in `registry`.
fn region_on(registry: &Registry, name: &str) -> CacheRegion {
    let region = CacheRegion::new("tested");
    region.configure(RegionConfig::new(name).registry(registry.clone())).unwrap();
    region
}

/// Returns the messages of `error` and its causes, a line each. They must have at most five lines.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}\n{error}");
        cause = error.source();
    }
    assert!(text.lines().count() <= 5, "more than five lines: {text}");
    text
}

/// Returns why `path` is refused as a plugin library.
fn refusal(path: &Path) -> String {
    let error: RegistryError = Registry::empty().add_library(path).unwrap_err();
    told(&error)
}
