//! What a hit of a cached function of two numbers costs, compared with a ready-made key and with rivals.
//!
//! `cargo bench -p dogpile-benches --bench functions` (half a minute; `-- --quick`: a second, to see that it runs). In
//! each round every function is measured once, in a new order, and ratios are taken within a round.

use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
use dogpile_benches::versus::functions::{
    CACHED, CACHED_EXPIRING, CACHED_ONCE, CONCURRENT, MOKA, MOKA_EXPIRING, functions,
};
use dogpile_benches::{Cached, Dice, Failure, Summary, is_quick, made_of};

static PLAIN: CacheRegion = CacheRegion::new("plain");
static EXPIRING: CacheRegion = CacheRegion::new("expiring");

const READY_MADE: &str = "get_or_create, ready-made key";
const DECORATED: &str = "dogpile";
const DECORATED_EXPIRING: &str = "dogpile, expiring";

/// How many pairs of numbers there are.
const PAIRS: [(&str, u32); 2] = [("one pair", 1), ("1,000 pairs", 1_000)];

/// Two functions, and the largest ratio of the first one's time to the second one's.
const RATIOS: [(&str, &str, Option<f64>); 7] = [
    (DECORATED, READY_MADE, Some(1.8)),
    (DECORATED, CACHED, None),
    (DECORATED, MOKA, None),
    (DECORATED_EXPIRING, CACHED_EXPIRING, None),
    (DECORATED_EXPIRING, CACHED_ONCE, None),
    (DECORATED_EXPIRING, CONCURRENT, None),
    (DECORATED_EXPIRING, MOKA_EXPIRING, None),
];

#[cache_on_arguments(region = PLAIN)]
fn decorated(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

#[cache_on_arguments(region = EXPIRING)]
fn decorated_expiring(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

/// Requests keys that were made beforehand from the region itself. They are as long as those of the function.
fn ready_made(pairs: u32) -> impl Fn(u32, u32) -> u64 {
    let keys: Vec<String> =
        (0..pairs).map(|a| format!("ready:{}", decorated::key(a, number_of(a)))).collect();
    move |a, b| PLAIN.get_or_create(&keys[a as usize], || made_of(a, b)).expect("memory does not fail")
}

/// Returns the second number of a pair.
fn number_of(a: u32) -> u32 {
    a.wrapping_mul(7919)
}

fn main() -> Result<(), Failure> {
    let (rounds, calls) = if is_quick()? { (1, 2_000) } else { (40, 200_000) };
    PLAIN.configure(RegionConfig::new("dogpile.cache.memory"))?;
    let hour = Duration::from_secs(60 * 60);
    EXPIRING.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(hour))?;
    for (name, pairs) in PAIRS {
        for threads in [1, 2] {
            println!("\n{name}, {threads} threads: ns a hit, median of {rounds} rounds (1st to 9th decile)");
            report(&measure(pairs, threads, rounds, calls));
        }
    }
    Ok(())
}

/// Returns the nanoseconds of a hit of each function, round by round.
fn measure(pairs: u32, threads: usize, rounds: usize, calls: usize) -> Vec<(&'static str, Vec<f64>)> {
    let mut all = functions();
    all.push(Cached::new(READY_MADE, ready_made(pairs)));
    all.push(Cached::new(DECORATED, decorated));
    all.push(Cached::new(DECORATED_EXPIRING, decorated_expiring));
    let mut arguments: Vec<(u32, u32)> = (0..pairs).map(|a| (a, number_of(a))).collect();
    let mut dice = Dice::default();
    dice.shuffle(&mut arguments);
    let mut times: Vec<(&str, Vec<f64>)> = all.iter().map(|one| (one.name, Vec::new())).collect();
    for round in 0..=rounds {
        dice.shuffle(&mut all);
        for one in &all {
            let time = one.time(&arguments, calls, threads).as_nanos() as f64 / calls as f64;
            // The first round makes the values.
            if let Some((_, times)) = times.iter_mut().find(|(name, _)| round > 0 && *name == one.name) {
                times.push(time);
            }
        }
    }
    times
}

fn report(times: &[(&str, Vec<f64>)]) {
    for (name, times) in times {
        let Summary { median, low, high, .. } = Summary::of(times.iter().copied());
        println!("  {name:34} {median:>6.0} ({low:.0}-{high:.0})");
    }
    let of = |name| {
        times.iter().find(|(found, _)| *found == name).map(|(_, times)| times.as_slice()).unwrap_or_default()
    };
    for (ours, theirs, most) in RATIOS {
        let rounds = of(ours).iter().zip(of(theirs)).map(|(ours, theirs)| ours / theirs);
        let median = Summary::of(rounds).median;
        let verdict = most
            .map(|most| format!("  at most {most}: {}", if median <= most { "met" } else { "missed (!)" }));
        println!("  {:52} {median:>5.2}{}", format!("{ours} : {theirs}"), verdict.unwrap_or_default());
    }
}
