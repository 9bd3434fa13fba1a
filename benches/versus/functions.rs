//! Functions of two numbers, cached by other crates as their documentation shows.

use std::time::Duration;

use cached::macros::{cached, concurrent_cached};
use moka::sync::Cache as Moka;

use crate::function::{Cached, made_of};

/// `cached`, with one lock around the cache.
pub const CACHED: &str = "cached";
/// `cached` with one lock, and with values that expire after an hour.
pub const CACHED_EXPIRING: &str = "cached, expiring";
/// `cached` with one lock and expiring values, where one caller at a time creates a value.
pub const CACHED_ONCE: &str = "cached, expiring, made once";
/// `cached`, with a lock for each of its parts.
pub const CONCURRENT: &str = "cached, concurrent, expiring";
/// `moka`, with the pair of numbers as its key.
pub const MOKA: &str = "moka get_with";
/// `moka` with values that expire after an hour.
pub const MOKA_EXPIRING: &str = "moka get_with, expiring";

#[cached]
fn plain(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

#[cached(ttl_secs = 3600)]
fn expiring(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

#[cached(ttl_secs = 3600, sync_writes = "by_key")]
fn once(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

#[concurrent_cached(ttl_secs = 3600)]
fn of_parts(a: u32, b: u32) -> u64 {
    made_of(a, b)
}

fn by_moka(cache: Moka<(u32, u32), u64>) -> impl Fn(u32, u32) -> u64 {
    move |a, b| cache.get_with((a, b), || made_of(a, b))
}

/// Returns all of them.
pub fn functions() -> Vec<Cached> {
    let hour = Duration::from_secs(60 * 60);
    vec![
        Cached::new(CACHED, plain),
        Cached::new(CACHED_EXPIRING, expiring),
        Cached::new(CACHED_ONCE, once),
        Cached::new(CONCURRENT, of_parts),
        Cached::new(MOKA, by_moka(Moka::builder().build())),
        Cached::new(MOKA_EXPIRING, by_moka(Moka::builder().time_to_live(hour).build())),
    ]
}
