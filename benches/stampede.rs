//! 64 threads request a key that is not cached, and its creator takes 50 ms.
//!
//! `cargo bench -p dogpile-benches --bench stampede` (`-- --quick`: one round).
//!
//! The bench measures how many creators run, when the last thread has the value, and when the leader returns. In each
//! round, every cache is measured once, in a new order. Ratios are taken within a round.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ProxyBackend, StoreOptions};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::rivals::verdict;
use dogpile_benches::versus::{self, BARE_CONDVAR, MOKA};
use dogpile_benches::{
    Dice, Failure, LINKED, LOADED, Subject, Summary, is_quick, linked_config, loaded_config,
};

const THREADS: usize = 64;
const CREATION: Duration = Duration::from_millis(50);
/// How long a thread stays after it has the value, so that its end does not delay the threads that have yet to wake.
const REST: Duration = Duration::from_millis(20);
const ROUNDS: usize = 41;

/// The longest time from the creator's end until the last waiter has the value, in milliseconds.
const LAST_WAITER: f64 = 2.0;
/// The longest time of the last waiter, as a part of that with a bare condition variable.
const LAST_WAITER_RATIO: f64 = 1.1;
/// The longest time from the end of the store until the leader returns, in milliseconds.
const LEADER_RETURN: f64 = 0.1;

thread_local! {
    /// When this thread last stored a value.
    static STORED: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn main() -> Result<(), Failure> {
    let rounds = if is_quick()? { 1 } else { ROUNDS };
    let mut measured = [
        Measured::new(region(LINKED, linked_config())?),
        Measured::new(region(LOADED, loaded_config()?)?),
        Measured::new(versus::bare_condvar()),
        Measured::new(versus::moka()),
    ];
    println!("{THREADS} threads, a cold key, a creator of {} ms; {rounds} rounds", CREATION.as_millis());
    let (mut dice, mut order) = (Dice::default(), [0, 1, 2, 3]);
    for round in 1..=rounds {
        dice.shuffle(&mut order);
        for place in order {
            let Measured { subject, stampedes } = &mut measured[place];
            stampedes.push(stampede(subject, &format!("cold:{round}")));
        }
        print_round(round, &measured);
    }
    print_waiters(&measured);
    print_ratios(&measured);
    print_leaders(&measured);
    Ok(())
}

/// A cache, and what was measured of it in each round.
struct Measured {
    subject: Subject,
    stampedes: Vec<Stampede>,
}

impl Measured {
    fn new(subject: Subject) -> Self {
        Measured { subject, stampedes: Vec::new() }
    }

    /// Returns the times of the last waiter, in milliseconds.
    fn last_waiters(&self) -> impl Iterator<Item = f64> {
        self.stampedes.iter().map(|stampede| stampede.last_waiter)
    }
}

/// What was measured in one stampede. Times are in milliseconds.
struct Stampede {
    creators: usize,
    /// The time from the creator's end until the last thread had the value.
    last_waiter: f64,
    /// The time from the end of the store until the leader returned, if the cache notes its stores.
    leader_return: Option<f64>,
}

/// What one thread saw.
struct Seen {
    returned: Instant,
    /// When this thread stored the value, if it led.
    stored: Option<Instant>,
}

fn stampede(subject: &Subject, key: &str) -> Stampede {
    let (creators, ended, start) = (AtomicUsize::new(0), OnceLock::new(), Barrier::new(THREADS));
    let request = || {
        start.wait();
        subject.get_or_create(key, || {
            creators.fetch_add(1, Relaxed);
            thread::sleep(CREATION);
            let value = Arc::new(1);
            ended.get_or_init(Instant::now);
            value
        });
        let seen = Seen { returned: Instant::now(), stored: STORED.take() };
        thread::sleep(REST);
        seen
    };
    let seen: Vec<Seen> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(request)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let ended = ended.get().copied().expect("a creator ran");
    let last = seen.iter().map(|seen| seen.returned).max().unwrap_or(ended);
    let leader_return = seen.iter().find_map(|seen| Some(milliseconds(seen.stored?, seen.returned)));
    Stampede { creators: creators.into_inner(), last_waiter: milliseconds(ended, last), leader_return }
}

fn milliseconds(from: Instant, until: Instant) -> f64 {
    until.duration_since(from).as_secs_f64() * 1e3
}

/// Returns a region that notes when it has stored a value.
fn region(name: &'static str, config: RegionConfig) -> Result<Subject, Failure> {
    let region = CacheRegion::new(name);
    region.configure(config)?;
    region.wrap(|proxied| Noting { proxied })?;
    Ok(Subject::new(name, region))
}

/// Notes when a store ends, in the thread that stores.
#[derive(Debug)]
struct Noting {
    proxied: Arc<dyn CacheBackend>,
}

impl ProxyBackend for Noting {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        let done = self.proxied.set(key, value, options);
        STORED.set(Some(Instant::now()));
        done
    }
}

fn named<'a>(name: &str, measured: &'a [Measured]) -> &'a Measured {
    measured.iter().find(|measured| measured.subject.name == name).expect("every cache is measured")
}

/// Returns, for each round, the time of the last waiter as a part of that with a bare condition variable.
fn ratios(name: &str, measured: &[Measured]) -> Vec<f64> {
    let bare = named(BARE_CONDVAR, measured).last_waiters();
    named(name, measured).last_waiters().zip(bare).map(|(ours, bare)| ours / bare).collect()
}

fn print_round(round: usize, measured: &[Measured]) {
    print!("round {round:>2}: last waiter");
    for name in [LINKED, LOADED, MOKA] {
        let ratio = ratios(name, measured).pop().unwrap_or_default();
        print!("   {name} / bare {ratio:.2}");
    }
    println!();
}

fn print_waiters(measured: &[Measured]) {
    println!("\n{:28}{:>16}   last waiter after the creator's end, ms", "", "creators a round");
    println!("{:28}{:>16}   {:>8}{:>12}{:>8}", "", "", "median", "9th decile", "most");
    for one in measured {
        let creators = || one.stampedes.iter().map(|stampede| stampede.creators);
        let (fewest, most) = (creators().min().unwrap_or_default(), creators().max().unwrap_or_default());
        let late = Summary::of(one.last_waiters());
        print!("{:28}{:>16}", one.subject.name, format!("{fewest} to {most}"));
        print!("   {:>8.2}{:>12.2}{:>8.2}", late.median, late.high, late.max);
        println!("{}", if is_ours(one) { waiters_verdict(most, late) } else { String::new() });
    }
}

fn is_ours(measured: &Measured) -> bool {
    [LINKED, LOADED].contains(&measured.subject.name)
}

fn waiters_verdict(creators: usize, late: Summary) -> String {
    let creators = if creators == 1 { "met" } else { "missed (!)" };
    format!("  one creator: {creators}; median{}", verdict(late.median, LAST_WAITER))
}

fn print_ratios(measured: &[Measured]) {
    println!("\n{:44}   {:>8}{:>12}{:>12}", "last waiter, ratio", "median", "1st decile", "9th decile");
    for name in [LINKED, LOADED, MOKA] {
        let Summary { median, low, high, .. } = Summary::of(ratios(name, measured));
        print!("{:44}   {median:>8.2}{low:>12.2}{high:>12.2}", format!("{name} / {BARE_CONDVAR}"));
        println!("{}", if name == MOKA { String::new() } else { verdict(median, LAST_WAITER_RATIO) });
    }
}

fn print_leaders(measured: &[Measured]) {
    println!("\n{:28}leader's return after the end of its store, ms", "");
    println!("{:28}{:>8}{:>12}{:>8}", "", "median", "9th decile", "most");
    for one in measured.iter().filter(|one| is_ours(one)) {
        let leaders = one.stampedes.iter().filter_map(|stampede| stampede.leader_return);
        let Summary { median, high, max, .. } = Summary::of(leaders);
        print!("{:28}{median:>8.3}{high:>12.3}{max:>8.3}", one.subject.name);
        println!("{}", verdict(median, LEADER_RETURN));
    }
}
