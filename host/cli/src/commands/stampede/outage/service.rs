//! [`Service`]: workers that request values from a region, and the source that makes them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosScript};
use dogpile::{CacheRegion, RegionConfig, Registry, ThreadRunner};
use dogpile::{Configuration as Document, CreateError};

use super::plan::{Configuration, Plan};
use super::tally::{Served, Tally};
use crate::dice::Dice;
use crate::error::{CommandError, causes};

/// The region's name. A document has just one.
const REGION: &str = "simulated";

/// A simulated service: a region over a cache in memory that can be down, and its source of values.
pub(super) struct Service {
    region: CacheRegion,
    chaos: ChaosControl,
    source: Arc<Source>,
}

/// The source of the values.
struct Source {
    plan: Plan,
    /// When the simulation began.
    began: Mutex<Option<Instant>>,
    /// The key and the beginning of each creation.
    creations: Mutex<Vec<(u64, Duration)>>,
}

/// The failure of the source.
#[derive(Debug)]
struct SourceFailed;

impl fmt::Display for SourceFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of the values fails")
    }
}

impl Service {
    /// Opens a region with the settings of `configuration`.
    pub(super) fn open(plan: &Plan, configuration: &Configuration) -> Result<Self, CommandError> {
        let expiration = plan.expiration_time().as_secs_f64();
        let settings = configuration.settings;
        let document = format!(
            "[regions.{REGION}]\nbackend = \"dogpile.cache.memory\"\nexpiration_time = {expiration}\n{settings}\n"
        );
        let mut chaos = ChaosConfig::default();
        chaos.seed = Some(plan.seed);
        let chaos = ChaosControl::new(chaos)?;
        let control = chaos.clone();
        // Its own registry: the simulation depends on no plugin of the environment.
        let mut config = Document::from_toml_with(&document, Registry::new())?.region_config(REGION)?;
        config = config.wrap_in(move |proxied| Chaos::controlled(&control, proxied));
        if configuration.background {
            config = config.async_creation_runner(Arc::new(ThreadRunner));
        }
        let region = CacheRegion::with_defaults(REGION, RegionConfig::default());
        region.configure(config)?;
        let (began, creations) = (Mutex::default(), Mutex::default());
        Ok(Service { region, chaos, source: Arc::new(Source { plan: plan.clone(), began, creations }) })
    }

    /// Lets the outages count from `began`, which is now.
    fn begin(&self, began: Instant) -> Result<(), CommandError> {
        *lock(&self.source.began) = Some(began);
        let script = ChaosScript::new().down(self.source.plan.cache_is_down.clone());
        Ok(self.chaos.set_script(script)?)
    }

    /// Makes the requests of one worker until the simulation ends.
    fn work(&self, worker: u64, began: Instant) -> Tally {
        let plan = &self.source.plan;
        // Each region gets the same requests.
        let mut dice = Dice::new(plan.seed.wrapping_add(worker.wrapping_mul(1_000_003)));
        let mut tally = Tally::new();
        loop {
            let asked = began.elapsed();
            if asked >= plan.length() {
                return tally;
            }
            let served = self.request(dice.below(plan.keys), asked);
            tally.count(plan, asked, began.elapsed().saturating_sub(asked), served);
            let pause = 2 * plan.pause().as_micros() as u64;
            thread::sleep(Duration::from_micros(dice.below(pause)));
        }
    }

    /// Requests the value of `key` at the time `asked`.
    fn request(&self, key: u64, asked: Duration) -> Served {
        let source = Arc::clone(&self.source);
        let call = self.region.options().background();
        let value = call.try_get_or_create(&format!("key {key}"), move || source.create(key));
        match value {
            // A value is the time at which it was made.
            Ok(made) => {
                let age = asked.saturating_sub(Duration::from_secs_f64(made));
                let expiration = self.source.plan.expiration_time();
                // The value counts from the moment when it is stored, which is later on a busy machine.
                if age > expiration + expiration / 8 { Served::Stale } else { Served::Fresh }
            }
            Err(error) => Served::Error(message(&error)),
        }
    }
}

fn message(error: &CreateError<SourceFailed>) -> String {
    causes(error).join(": ")
}

impl Source {
    /// Returns a value, which is the time at which it was made.
    fn create(&self, key: u64) -> Result<f64, SourceFailed> {
        let began = lock(&self.began).unwrap_or_else(Instant::now);
        let asked = began.elapsed();
        lock(&self.creations).push((key, asked));
        thread::sleep(self.plan.creation_time());
        if self.plan.source_fails.contains(&asked) {
            return Err(SourceFailed);
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

/// Runs all services at once, each with its workers, and returns what their users got.
pub(super) fn run_all(plan: &Plan, services: &[Service]) -> Result<Vec<Tally>, CommandError> {
    let began = Instant::now();
    services.iter().try_for_each(|service| service.begin(began))?;
    let tallies = thread::scope(|scope| {
        let start = |service| {
            (0..plan.workers).map(move |worker| scope.spawn(move || Service::work(service, worker, began)))
        };
        let started: Vec<Vec<_>> = services.iter().map(|service| start(service).collect()).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, Tally>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let sum = |workers: Vec<_>| {
            workers.into_iter().map(join).fold(Tally::new(), |mut all, tally| {
                all.add(tally);
                all
            })
        };
        started.into_iter().map(sum).collect::<Vec<_>>()
    });
    let complete = |(service, mut tally): (&Service, Tally)| {
        tally.count_creations(plan, &lock(&service.source.creations));
        tally
    };
    Ok(services.iter().zip(tallies).map(complete).collect())
}

/// A thread that panicked left the data as it was.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
