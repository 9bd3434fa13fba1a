//! The entry points of linked crates. Their panics become errors, as those of plugin libraries do.

use std::sync::Arc;

use dogpile_sdk::{BackendEntry, BackendError, CacheBackend, ContainedBackend, ProxyEntry};

use super::entry_point::Origin;
use super::offers::{Built, Offer};
use crate::bundled;

/// Returns the entry point of a linked backend.
pub(super) fn backend(entry: &'static BackendEntry) -> Offer {
    let origin = origin(entry.package, entry.version);
    let name: Arc<str> = origin.to_string().into();
    Offer::backend(origin, move |arguments| contained(entry.package, &name, || (entry.build)(arguments)))
}

/// Returns the entry point of a linked proxy.
pub(super) fn proxy(entry: &'static ProxyEntry) -> Offer {
    let origin = origin(entry.package, entry.version);
    let name: Arc<str> = origin.to_string().into();
    Offer::proxy(origin, move |arguments, proxied| {
        contained(entry.package, &name, || (entry.build)(arguments, proxied))
    })
}

fn origin(package: &str, version: &str) -> Origin {
    Origin::Linked { package: package.to_owned(), version: version.to_owned() }
}

/// Returns what `build` returns. A panic of it, or later of its backend, becomes an error that contains `origin`.
fn contained(
    package: &str,
    origin: &Arc<str>,
    build: impl FnOnce() -> Result<Arc<dyn CacheBackend>, BackendError>,
) -> Built {
    let backend = ContainedBackend::build(origin, build)?;
    if !bundled::is_contained(package) {
        return Ok(backend);
    }
    Ok(Arc::new(ContainedBackend::new(backend, Arc::clone(origin))))
}
