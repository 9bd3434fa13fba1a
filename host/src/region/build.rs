//! Builds a [`Configured`] from the settings of a region, or returns what is wrong with them.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{CacheBackend, KeyBytes, KeyMangler, did_you_mean};

use super::configured::Configured;
use super::settings::{BackendChoice, Choice, OnCreatorFailure, Settings, Wrap};
use super::stores::gates_of;
use crate::clock::SystemClock;
use crate::error::RegionError;
use crate::expiration::Expiration;
use crate::invalidation::DefaultInvalidationStrategy;
use crate::key::{NAMED_MANGLERS, named_mangler};
use crate::registry::{Registry, RegistryError};
use crate::serializer::{self, Serializer};
use crate::time::RegionTime;

/// How long a call waits for other creators, unless the configuration says otherwise.
const CREATION_WAIT_TIMEOUT: Duration = Duration::from_secs(300);

/// Builds a region from `settings`.
pub(super) fn build(region: &str, settings: Settings) -> Result<Configured, RegionError> {
    let builder = Builder { region, settings: &settings };
    let (backend_name, actual_backend) = builder.actual_backend()?;
    let backend = builder.wrapped(Arc::clone(&actual_backend))?;
    assemble(region, settings, backend_name, actual_backend, backend)
}

/// Builds the region `present` again, with `backend` as its outermost proxy.
pub(super) fn rewrap(
    present: &Configured,
    settings: Settings,
    backend: Arc<dyn CacheBackend>,
) -> Result<Configured, RegionError> {
    let (name, actual) = (present.backend_name.clone(), Arc::clone(&present.actual_backend));
    assemble(&present.region, settings, name, actual, backend)
}

fn assemble(
    region: &str,
    mut settings: Settings,
    backend_name: String,
    actual_backend: Arc<dyn CacheBackend>,
    backend: Arc<dyn CacheBackend>,
) -> Result<Configured, RegionError> {
    let builder = Builder { region, settings: &settings };
    let (key_mangler, serializer) = (builder.key_mangler(&*backend)?, builder.serializer(&*backend)?);
    let capabilities = backend.capabilities();
    let strategy = settings.region_invalidator.take();
    let strategy = strategy.unwrap_or_else(|| Arc::new(DefaultInvalidationStrategy::default()));
    // Keep both among the settings, so that they outlive the backend: a new one is invalidated as far as the old one was.
    settings.region_invalidator = Some(Arc::clone(&strategy));
    let marks = Arc::clone(settings.time_marks.get_or_insert_default());
    let clock = settings.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
    let clock = Arc::new(RegionTime::new(clock, Arc::clone(&strategy), marks));
    let limits_keys = capabilities.max_key_bytes.is_some() || capabilities.key_bytes != KeyBytes::Any;
    Ok(Configured {
        region: region.into(),
        backend_name,
        limits_keys,
        keeps_keys: key_mangler.is_none() && !limits_keys,
        capabilities,
        mangle_invalid_keys: settings.mangle_invalid_keys.unwrap_or(true),
        expiration: settings.expiration_time.and_then(Expiration::limit),
        key_mangler,
        serializer,
        strategy,
        runner: settings.async_creation_runner.clone(),
        clock,
        gates: gates_of(&actual_backend),
        creation_wait_timeout: settings.creation_wait_timeout.unwrap_or(CREATION_WAIT_TIMEOUT),
        shares_failures: settings.on_creator_failure == Some(OnCreatorFailure::Share),
        backend,
        actual_backend,
        settings,
    })
}

struct Builder<'a> {
    region: &'a str,
    settings: &'a Settings,
}

impl Builder<'_> {
    fn registry(&self) -> &Registry {
        self.settings.registry.as_deref().unwrap_or_else(|| Registry::global())
    }

    fn problem(&self, problem: String) -> RegionError {
        RegionError::Setting { region: self.region.to_owned(), problem }
    }

    fn entry_point(&self, error: RegistryError) -> RegionError {
        RegionError::EntryPoint { region: self.region.to_owned(), source: Box::new(error) }
    }

    /// Returns the backend and its name.
    fn actual_backend(&self) -> Result<(String, Arc<dyn CacheBackend>), RegionError> {
        match &self.settings.backend {
            Some(BackendChoice::Instance(backend)) => Ok((format!("{backend:?}"), Arc::clone(backend))),
            Some(BackendChoice::Named { name, arguments }) => {
                let built = self.registry().build_backend(name, arguments.clone());
                Ok((name.clone(), built.map_err(|error| self.entry_point(error))?))
            }
            None => Err(self.problem("no backend is named; set \"backend\" to an entry point".to_owned())),
        }
    }

    /// Returns `backend` in its proxies. The first one is the outermost.
    fn wrapped(&self, backend: Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, RegionError> {
        let mut wraps = self.settings.wrap.iter().flatten().rev();
        wraps.try_fold(backend, |proxied, wrap| match wrap {
            Wrap::With(make) => Ok(make(proxied)),
            Wrap::Named { name, arguments } => {
                let built = self.registry().build_proxy(name, arguments.clone(), proxied);
                built.map_err(|error| self.entry_point(error))
            }
        })
    }

    fn key_mangler(&self, backend: &dyn CacheBackend) -> Result<Option<KeyMangler>, RegionError> {
        match &self.settings.key_mangler {
            None => Ok(backend.key_mangler()),
            Some(Choice::Given(mangler)) => Ok(Some(mangler.clone())),
            Some(Choice::Named(name)) => named_mangler(name).map(Some).ok_or_else(|| {
                let hint = did_you_mean(name, NAMED_MANGLERS);
                self.problem(format!("unknown key mangler {name:?} (known: {NAMED_MANGLERS:?}){hint}"))
            }),
        }
    }

    fn serializer(&self, backend: &dyn CacheBackend) -> Result<Option<Arc<dyn Serializer>>, RegionError> {
        let name = match &self.settings.serializer {
            Some(Choice::Given(serializer)) => return Ok(Some(Arc::clone(serializer))),
            Some(Choice::Named(name)) => name.clone(),
            None => match backend.capabilities().serializer {
                Some(name) => name,
                None => return Ok(None),
            },
        };
        serializer::named(&name).map(Some).ok_or_else(|| {
            let known = serializer::names();
            let hint = did_you_mean(&name, known.iter().map(String::as_str));
            self.problem(format!("unknown serializer {name:?} (known: {known:?}){hint}"))
        })
    }
}
