//! What the users of a service get, second by second, while its Redis server is killed and frozen.
//!
//! `cargo bench -p dogpile-benches --bench outage` (half a minute for each configuration, and half a minute for the last one
//! under `wrk`, if it is installed; `-- --quick`: a quarter of a minute for the last one, to see that it runs). It starts its
//! own servers. If none is installed, it reports this and measures nothing.

#[path = "outage/wrk.rs"]
mod wrk;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, Configuration, PoolRunner, RegionConfig};
use dogpile_benches::rivals::verdict;
use dogpile_benches::{Failure, is_quick};
use dogpile_tests::redis::RedisServer;

/// The threads that make requests. Each pauses after a request, so that they make up to 3200 a second.
const THREADS: usize = 16;
const PAUSE: Duration = Duration::from_millis(5);
const KEYS: usize = 8;

/// How long a creator works.
const CREATION: Duration = Duration::from_millis(200);
/// The longest time of a request at the 99th percentile: twice that of a creator.
const LATEST: f64 = 400.0;

const SECOND: Duration = Duration::from_secs(1);

/// The settings of a region.
struct Settings {
    name: &'static str,
    /// Lines of TOML, besides the backend with its address.
    toml: &'static str,
    /// Whether a runner creates stale values in the background.
    background: bool,
}

/// The configurations, from the simplest to the one that bears the most. The quick run measures the last.
const CONFIGURATIONS: &[Settings] = &[
    Settings { name: "dogpile", toml: "preset = 'dogpile'", background: false },
    Settings { name: "resilient", toml: "preset = 'resilient'", background: true },
];

/// How long each phase takes.
#[derive(Clone, Copy)]
struct Phases {
    steady: Duration,
    killed: Duration,
    frozen: Duration,
}

const FULL: Phases =
    Phases { steady: Duration::from_secs(5), killed: Duration::from_secs(3), frozen: Duration::from_secs(6) };
const QUICK: Phases = Phases { steady: SECOND, killed: SECOND, frozen: Duration::from_secs(2) };

fn main() -> Result<(), Failure> {
    let (phases, measured) = if is_quick()? {
        (QUICK, &CONFIGURATIONS[CONFIGURATIONS.len() - 1..])
    } else {
        (FULL, CONFIGURATIONS)
    };
    for settings in measured {
        let Some(server) = server() else { return Ok(()) };
        measure(settings, phases, server)?;
    }
    let Some((settings, server)) = measured.last().zip(server()) else { return Ok(()) };
    wrk::measure(settings, phases, server)
}

/// Starts a server, or prints why there is none.
fn server() -> Option<RedisServer> {
    RedisServer::start(&[]).inspect_err(|why| println!("ignored: {why}")).ok()
}

/// A request: when it began, how long it took, and its error.
struct Request {
    began: Duration,
    took: Duration,
    error: Option<String>,
}

/// A service: a region, and what was created for it.
struct Service {
    region: CacheRegion,
    began: Instant,
    /// For each key, the times at which its creations began.
    creations: Arc<Mutex<BTreeMap<usize, Vec<Duration>>>>,
}

/// Makes requests of a region with `settings` while `server` is killed and frozen, and prints what its users got.
fn measure(settings: &Settings, phases: Phases, mut server: RedisServer) -> Result<(), Failure> {
    let service = Service::open(settings, server.port())?;
    let (requests, states) = thread::scope(|scope| {
        let states = scope.spawn(|| play(&mut server, phases, service.began));
        let end = phases.total();
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn({
                    let service = &service;
                    move || service.work(number, end)
                })
            })
            .collect();
        let joined = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        (joined.collect::<Vec<_>>(), states.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    service.print(settings, &requests, &states);
    Ok(())
}

impl Phases {
    fn total(self) -> Duration {
        3 * self.steady + self.killed + self.frozen
    }
}

/// Returns the keys that a worker requests, in random order. Each run has the same.
fn keys(worker: usize) -> impl Iterator<Item = usize> {
    (0_u64..).map(move |step| {
        // SplitMix64.
        let mut mixed = (((worker as u64) << 32) + step).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % KEYS as u64) as usize
    })
}

/// The state of the server, and since when.
type States = Vec<(Duration, &'static str)>;

/// Kills and freezes the server, and returns its states with their times.
fn play(server: &mut RedisServer, phases: Phases, began: Instant) -> States {
    let mut states = vec![(Duration::ZERO, "up")];
    let mut note = |state| states.push((began.elapsed(), state));
    thread::sleep(phases.steady);
    server.kill();
    note("killed");
    thread::sleep(phases.killed);
    server.start_again();
    note("up");
    thread::sleep(phases.steady);
    server.process().stop();
    note("frozen");
    thread::sleep(phases.frozen);
    server.process().go_on();
    note("up");
    states
}

impl Service {
    fn open(settings: &Settings, port: u16) -> Result<Self, Failure> {
        let document = format!(
            "[regions.pages]\nbackend = 'dogpile.cache.redis'\nexpiration_time = '2s'\n{}\n\
             [regions.pages.arguments]\nhost = '127.0.0.1'\nport = {port}\nsocket_timeout = '100ms'\n",
            settings.toml
        );
        let mut config = Configuration::from_toml(&document)?.region_config("pages")?;
        if settings.background {
            let threads = NonZeroUsize::new(KEYS).unwrap_or(NonZeroUsize::MIN);
            config = config.async_creation_runner(Arc::new(PoolRunner::new(threads, KEYS)?));
        }
        let region = CacheRegion::with_defaults("pages", RegionConfig::default());
        region.configure(config)?;
        Ok(Service { region, began: Instant::now(), creations: Arc::default() })
    }

    /// Makes requests until `end`.
    fn work(&self, number: usize, end: Duration) -> Vec<Request> {
        let mut requests = Vec::new();
        for key in keys(number) {
            let began = self.began.elapsed();
            if began >= end {
                break;
            }
            let error = self.request(key).err();
            requests.push(Request { began, took: self.began.elapsed() - began, error });
            thread::sleep(PAUSE);
        }
        requests
    }

    fn request(&self, key: usize) -> Result<u64, String> {
        let (creations, beginning) = (Arc::clone(&self.creations), self.began);
        let create = move || {
            lock(&creations).entry(key).or_default().push(beginning.elapsed());
            thread::sleep(CREATION);
            Ok::<u64, String>(key as u64)
        };
        let call = self.region.options().background();
        call.try_get_or_create(&format!("page:{key}"), create).map_err(|error| format!("{error:#}"))
    }

    fn print(&self, settings: &Settings, requests: &[Request], states: &States) {
        let Settings { name, toml, background } = settings;
        println!("\n{name} ({toml}{}):", if *background { "; creators in the background" } else { "" });
        println!("second  server  requests  errors  p50 ms  p99 ms  creations  most of one key");
        let seconds = requests.iter().map(|request| request.began.as_secs()).max().unwrap_or(0);
        let creations = lock(&self.creations);
        for second in 0..=seconds {
            let of_second: Vec<_> =
                requests.iter().filter(|request| request.began.as_secs() == second).collect();
            let created =
                creations.values().map(|all| all.iter().filter(|began| began.as_secs() == second).count());
            let state = state_in(states, second);
            let errors = of_second.iter().filter(|request| request.error.is_some()).count();
            let [p50, p99] = quantiles(&of_second);
            let (all, most) = (created.clone().sum::<usize>(), created.max().unwrap_or(0));
            let count = of_second.len();
            println!(
                "{second:6}  {state:6}  {count:8}  {errors:6}  {p50:6.1}  {p99:6.1}  {all:9}  {most:15}"
            );
        }
        let created: usize = creations.values().map(Vec::len).sum();
        drop(creations);
        self.print_totals(requests, created);
    }

    fn print_totals(&self, requests: &[Request], created: usize) {
        let errors = requests.iter().filter(|request| request.error.is_some()).count();
        let [p50, p99] = quantiles(&requests.iter().collect::<Vec<_>>());
        println!("{} requests, {created} creations, p50 {p50:.1} ms", requests.len());
        println!("errors {errors}{}", verdict(errors as f64, 0.0));
        println!("p99 {p99:.1} ms{}", verdict(p99, LATEST));
        self.print_most();
        if let Some(error) = requests.iter().find_map(|request| request.error.as_ref()) {
            println!("the first error: {error}");
        }
    }

    /// Prints how often a key was created within a second.
    fn print_most(&self) {
        let most = lock(&self.creations).values().map(|began| most_within_a_second(began)).max().unwrap_or(0);
        println!("creations of a key within a second: at most {most}{}", verdict(most as f64, 1.0));
    }
}

/// A thread that panicked left the data as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the worst state that the server had in a second.
fn state_in(states: &States, second: u64) -> &'static str {
    let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
    let before = states.iter().rfind(|(since, _)| *since <= from);
    let within = states.iter().filter(|(since, _)| *since > from && *since < to);
    let mut all = before.into_iter().chain(within).map(|(_, state)| *state);
    all.find(|state| *state != "up").unwrap_or("up")
}

/// Returns the median and the 99th percentile, in milliseconds.
fn quantiles(requests: &[&Request]) -> [f64; 2] {
    let mut took: Vec<f64> = requests.iter().map(|request| request.took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    [50, 99].map(|percent| {
        took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
    })
}

/// Returns the largest number of these ordered moments that lie within one second.
fn most_within_a_second(moments: &[Duration]) -> usize {
    let within = |first: usize| {
        moments[first..].iter().take_while(|moment| **moment < moments[first] + SECOND).count()
    };
    (0..moments.len()).map(within).max().unwrap_or(0)
}
