//! [`Offers`]: all entry points by name, and how each is built.

use std::collections::BTreeMap;
use std::sync::Arc;

use dogpile_sdk::{Arguments, BackendError, CacheBackend};

use super::entry_point::{EntryKind, EntryPoint, Origin};
use super::error::RegistryError;
#[cfg(feature = "plugins")]
use super::library_error::LibraryError;
use super::name::check_name;

/// An entry point of any origin.
pub(super) struct Offer {
    pub(super) origin: Origin,
    pub(super) make: Make,
}

/// The function that builds a backend, or a proxy around one.
#[derive(Clone)]
pub(super) enum Make {
    Backend(Arc<dyn Fn(Arguments) -> Built + Send + Sync>),
    Proxy(Arc<dyn Fn(Arguments, Arc<dyn CacheBackend>) -> Built + Send + Sync>),
}

pub(super) type Built = Result<Arc<dyn CacheBackend>, Failure>;

/// The reason why nothing was built.
pub(super) enum Failure {
    #[cfg(feature = "plugins")]
    Library(LibraryError),
    Refused(BackendError),
}

#[cfg(feature = "plugins")]
impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        Failure::Library(error)
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Failure::Refused(error)
    }
}

impl Failure {
    /// Converts to the error of the entry point `name`.
    pub(super) fn of(self, kind: EntryKind, name: &str, origin: Origin) -> RegistryError {
        match self {
            #[cfg(feature = "plugins")]
            Failure::Library(error) => RegistryError::Library(error),
            Failure::Refused(source) => {
                RegistryError::Refused { kind, name: name.to_owned(), origin, source }
            }
        }
    }
}

impl Offer {
    pub(super) fn backend(
        origin: Origin,
        build: impl Fn(Arguments) -> Built + Send + Sync + 'static,
    ) -> Self {
        Offer { origin, make: Make::Backend(Arc::new(build)) }
    }

    pub(super) fn proxy(
        origin: Origin,
        build: impl Fn(Arguments, Arc<dyn CacheBackend>) -> Built + Send + Sync + 'static,
    ) -> Self {
        Offer { origin, make: Make::Proxy(Arc::new(build)) }
    }

    fn is_loaded(&self) -> bool {
        matches!(self.origin, Origin::Library { .. })
    }

    fn kind(&self) -> EntryKind {
        match self.make {
            Make::Backend(_) => EntryKind::Backend,
            Make::Proxy(_) => EntryKind::Proxy,
        }
    }
}

/// All entry points, by name.
#[derive(Default)]
pub(super) struct Offers(BTreeMap<String, Vec<Offer>>);

impl Offers {
    pub(super) fn insert(&mut self, name: &str, offer: Offer) {
        self.0.entry(name.to_owned()).or_default().push(offer);
    }

    /// Adds an entry point of a plugin library.
    ///
    /// # Errors
    /// If the application provides the name itself. The entry point is ignored then.
    pub(super) fn insert_loaded(&mut self, name: &str, offer: Offer) -> Result<(), RegistryError> {
        let own = self.0.get(name).and_then(|offers| offers.iter().find(|offer| !offer.is_loaded()));
        if let Some(own) = own {
            return Err(shadowed(name, &own.origin, &offer.origin));
        }
        self.insert(name, offer);
        Ok(())
    }

    /// Adds an entry point of the application's code. Returns an error for each of a library that is ignored from now on.
    ///
    /// # Errors
    /// If `name` is invalid, or the application provides it already.
    pub(super) fn insert_own(
        &mut self,
        name: &str,
        offer: Offer,
    ) -> Result<Vec<RegistryError>, RegistryError> {
        check_name(name)?;
        let others = self.0.entry(name.to_owned()).or_default();
        if let Some(own) = others.iter().find(|other| !other.is_loaded()) {
            return Err(duplicate(name, &own.origin, &offer.origin));
        }
        let ignored = others.drain(..).map(|other| shadowed(name, &offer.origin, &other.origin)).collect();
        others.push(offer);
        Ok(ignored)
    }

    /// Returns an error if `name` is invalid or taken. `origin` is what wants to provide it.
    pub(super) fn check_free(&self, name: &str, origin: &Origin) -> Result<(), RegistryError> {
        check_name(name)?;
        match self.0.get(name).and_then(|offers| offers.first()) {
            None => Ok(()),
            Some(first) => Err(duplicate(name, &first.origin, origin)),
        }
    }

    /// Returns the entry point `name`, or `None` if there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<&Offer>, RegistryError> {
        match self.0.get(name).map_or(&[][..], Vec::as_slice) {
            [] => Ok(None),
            [offer] => Ok(Some(offer)),
            [first, second, ..] => Err(duplicate(name, &first.origin, &second.origin)),
        }
    }

    pub(super) fn names_of(&self, kind: EntryKind) -> Vec<String> {
        let of_kind = |offers: &Vec<Offer>| offers.iter().any(|offer| offer.kind() == kind);
        self.0.iter().filter(|(_, offers)| of_kind(offers)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn entry_points(&self) -> Vec<EntryPoint> {
        let each = self.0.iter().flat_map(|(name, offers)| offers.iter().map(move |offer| (name, offer)));
        each.map(|(name, offer)| EntryPoint {
            name: name.clone(),
            kind: offer.kind(),
            origin: offer.origin.clone(),
        })
        .collect()
    }

    /// Returns an error for each name that is provided twice and therefore cannot be used.
    pub(super) fn duplicates(&self) -> impl Iterator<Item = RegistryError> {
        self.0.keys().filter_map(|name| self.find(name).err())
    }
}

fn duplicate(name: &str, first: &Origin, second: &Origin) -> RegistryError {
    RegistryError::Duplicate { name: name.to_owned(), origins: Box::new([first.clone(), second.clone()]) }
}

fn shadowed(name: &str, own: &Origin, ignored: &Origin) -> RegistryError {
    RegistryError::Shadowed { name: name.to_owned(), origins: Box::new([own.clone(), ignored.clone()]) }
}
