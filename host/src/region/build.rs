//! Builds a [`Configured`] from the settings of a region, or returns the problem.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dogpile_sdk::{CacheBackend, KeyMangler, did_you_mean};

use super::configured::Configured;
use super::instance_name::instance_name;
use super::settings::{BackendChoice, Choice, Settings, Wrap};
use super::store::Store;
use super::stored_keys::StoredKeys;
use super::stores::Stores;
use super::warnings::Warnings;
use crate::clock::SystemClock;
use crate::error::RegionError;
use crate::expiration::Expiration;
use crate::invalidation::DefaultInvalidationStrategy;
use crate::key::{NAMED_MANGLERS, named_mangler};
use crate::log_targets::REGION;
use crate::observe::{EventKind, Recorder, Watch};
use crate::policy::Policy;
use crate::python_names::meant;
use crate::registry::{Registry, RegistryError};
use crate::serializer::{self, Serializer};
use crate::time::RegionTime;

/// Builds a region from `settings`. Also returns the names of settings that have no effect.
pub(super) fn build(region: &str, mut settings: Settings) -> Result<(Configured, Vec<String>), RegionError> {
    // Taken out, so that they are not logged again when another backend replaces this one.
    let mut ignored = std::mem::take(&mut settings.ignored_names);
    let builder = Builder { region, settings: &settings };
    let (name, actual) = builder.actual_backend()?;
    let backend = builder.wrapped(Arc::clone(&actual))?;
    let (recorder, watch) = builder.watch(&name);
    let bottom = builder.store(name, actual, backend, &watch)?;
    settings.recorder = recorder;
    ignored.extend(bottom.capabilities.ignored_arguments.iter().cloned());
    Ok((assemble(region, settings, bottom, watch)?, ignored))
}

/// Warns of settings of `region` that have no effect.
pub(super) fn warn_of_ignored(region: &str, ignored: &[String]) {
    if !ignored.is_empty() {
        let names = ignored.join(", ");
        tracing::warn!(target: REGION, region, names, "these settings have no effect: {names}; remove them");
    }
}

/// Builds the region `present` again, with `backend` as its outermost proxy.
pub(super) fn rewrap(
    present: &Configured,
    mut settings: Settings,
    backend: Arc<dyn CacheBackend>,
) -> Result<Configured, RegionError> {
    let (region, bottom) = (&present.region, &present.stores.bottom);
    let builder = Builder { region, settings: &settings };
    let (recorder, watch) = builder.watch(&bottom.name);
    let bottom = builder.store(bottom.name.clone(), Arc::clone(&bottom.actual_backend), backend, &watch)?;
    settings.recorder = recorder;
    assemble(region, settings, bottom, watch)
}

fn assemble(
    region: &str,
    mut settings: Settings,
    bottom: Store,
    watch: Arc<Watch>,
) -> Result<Configured, RegionError> {
    let policy = policy(region, &settings)?;
    let key_mangler = Builder { region, settings: &settings }.key_mangler(&*bottom.backend)?;
    let strategy = settings.region_invalidator.take();
    let strategy = strategy.unwrap_or_else(|| Arc::new(DefaultInvalidationStrategy::default()));
    // Keep both among the settings, so that they outlive the backend: a new one is invalidated as far as the old one was.
    settings.region_invalidator = Some(Arc::clone(&strategy));
    let marks = Arc::clone(settings.time_marks.get_or_insert_default());
    let clock = settings.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
    let clock = Arc::new(RegionTime::new(clock, Arc::clone(&strategy), marks));
    let replaces = settings.mangle_invalid_keys.unwrap_or(true);
    check_breaker(region, &settings)?;
    Ok(Configured {
        region: region.into(),
        notes_hits: watch.notes_hits(),
        watch,
        stored_keys: StoredKeys::new(key_mangler, &bottom.capabilities, replaces),
        policy,
        strategy,
        runner: settings.async_creation_runner.clone(),
        runtime: settings.runtime.clone(),
        clock,
        stores: Stores::new(bottom, Vec::new()),
        has_warned: AtomicBool::new(false),
        warnings: Warnings::default(),
        settings,
    })
}

impl Configured {
    /// Lets the settings take effect that concern more than this region. Runs no foreign code.
    pub(super) fn apply(self: &Arc<Self>) {
        let guard = &self.stores.bottom.guard;
        match self.settings.breaker {
            Some(breaker) => guard.configure(breaker),
            None if self.policy.degrades() => guard.configure_by_default(),
            None => {}
        }
        #[cfg(feature = "toml")]
        super::published::publish(self);
    }

    /// Has the changes of the breaker passed on, as long as the region is configured like this. A breaker that is open already
    /// is passed on at once.
    pub(super) fn watch_breaker(&self) {
        if !self.watch.is_on() {
            return;
        }
        let (owner, backend) = (Arc::downgrade(&self.watch), self.stores.bottom.name.clone());
        let watch = owner.clone();
        self.stores.bottom.guard.observe(owner, move |state| {
            if let Some(watch) = watch.upgrade() {
                watch.note(&[], EventKind::Breaker { backend: &backend, state });
            }
        });
    }
}

/// Returns the policy of a call without options.
///
/// # Errors
/// If settings contradict each other.
fn policy(region: &str, settings: &Settings) -> Result<Policy, RegionError> {
    if let Some((setting, problem)) = settings.lifetimes.contradiction(settings.expiration_time) {
        return Err(RegionError::Setting { region: region.to_owned(), setting, problem });
    }
    let (default, preset) = (Policy::default(), settings.preset.unwrap_or_default());
    let policy = Policy {
        expiration: settings.expiration_time.and_then(Expiration::limit),
        creation_wait_timeout: settings.creation_wait_timeout.unwrap_or(default.creation_wait_timeout),
        on_creator_failure: settings.on_creator_failure.unwrap_or(preset.on_creator_failure()),
        on_backend_failure: settings.on_backend_failure.unwrap_or(preset.on_backend_failure()),
        ..default
    };
    Ok(policy.with(&settings.lifetimes.or(preset.lifetimes())))
}

/// # Errors
/// If the settings of the breaker are invalid.
fn check_breaker(region: &str, settings: &Settings) -> Result<(), RegionError> {
    match settings.breaker.and_then(|breaker| breaker.problem()) {
        None => Ok(()),
        Some(problem) => Err(RegionError::Setting { region: region.to_owned(), setting: "breaker", problem }),
    }
}

struct Builder<'a> {
    region: &'a str,
    settings: &'a Settings,
}

impl Builder<'_> {
    fn registry(&self) -> Registry {
        self.settings.registry.clone().unwrap_or_else(Registry::global)
    }

    /// Returns the watch of the region over the backend `name`, and its statistics if it keeps any.
    fn watch(&self, name: &str) -> (Option<Arc<Recorder>>, Arc<Watch>) {
        let recorder = self.settings.statistics.unwrap_or_default().then(|| {
            // Counts outlive the backend.
            self.settings.recorder.clone().unwrap_or_default()
        });
        let own = self.settings.observers.iter().flatten().cloned();
        let observers = self.registry().observers().into_iter().chain(own);
        (recorder.clone(), Arc::new(Watch::new(self.region, name, recorder, observers)))
    }

    fn problem(&self, setting: &'static str, problem: String) -> RegionError {
        RegionError::Setting { region: self.region.to_owned(), setting, problem }
    }

    fn entry_point(&self, error: RegistryError) -> RegionError {
        RegionError::EntryPoint { region: self.region.to_owned(), source: Box::new(error) }
    }

    /// Returns the backend and its name.
    fn actual_backend(&self) -> Result<(String, Arc<dyn CacheBackend>), RegionError> {
        match &self.settings.backend {
            Some(BackendChoice::Instance(backend)) => Ok((instance_name(&**backend), Arc::clone(backend))),
            Some(BackendChoice::Named { name, arguments }) => {
                let built = self.registry().build_backend(name, arguments.clone());
                Ok((name.clone(), built.map_err(|error| self.entry_point(error))?))
            }
            None => {
                Err(self
                    .problem("backend", "no backend is named; set \"backend\" to an entry point".to_owned()))
            }
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

    /// Returns the store of `backend`, with its codec.
    fn store(
        &self,
        name: String,
        actual_backend: Arc<dyn CacheBackend>,
        backend: Arc<dyn CacheBackend>,
        watch: &Arc<Watch>,
    ) -> Result<Store, RegionError> {
        let serializer = self.serializer(&*backend)?;
        Ok(Store::new(self.region, name, [backend, actual_backend], serializer).measured_by(watch))
    }

    fn key_mangler(&self, backend: &dyn CacheBackend) -> Result<Option<KeyMangler>, RegionError> {
        match &self.settings.key_mangler {
            None => Ok(backend.key_mangler()),
            Some(Choice::Given(mangler)) => Ok(Some(mangler.clone())),
            Some(Choice::Named(name)) => named_mangler(name).map(Some).ok_or_else(|| {
                let problem =
                    format!("unknown key mangler {name:?} (known: {NAMED_MANGLERS:?}){}", mangler_hint(name));
                self.problem("key_mangler", problem)
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
        serializer::find(&name).map(Some).map_err(|problem| self.problem("serializer", problem))
    }
}

/// Returns a suggestion for `name`, which is not a key mangler.
fn mangler_hint(name: &str) -> String {
    let similar = did_you_mean(name, NAMED_MANGLERS);
    match meant(name, NAMED_MANGLERS) {
        _ if !similar.is_empty() => similar,
        Some(meant) => format!("; did you mean {meant:?}?"),
        None if name.contains("length_conditional") => {
            "; remove it: keys that are too long are mangled by default, see \"mangle_invalid_keys\""
                .to_owned()
        }
        None => String::new(),
    }
}
