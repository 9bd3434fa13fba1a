//! How often a hit of a cached function allocates, and how much memory reading a value takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "allocations/serializers.rs"]
mod serializers;

use allocation_counter::measure;
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("counted");

#[cache_on_arguments(region = REGION, namespace = "ns", expiration_time = 60)]
fn of_numbers(a: i64, b: u32) -> u64 {
    a.unsigned_abs() + u64::from(b)
}

struct Shop;

impl Shop {
    #[cache_on_arguments(region = REGION, ignore(self))]
    fn of_texts(&self, a: &str, b: Option<&str>) -> usize {
        a.len() + b.map_or(0, str::len)
    }
}

const HITS: u64 = 100;

/// How many allocations a hit has cost, on average.
fn each(call: impl Fn()) -> f64 {
    call();
    measure(|| (0..HITS).for_each(|_| call())).count_total as f64 / HITS as f64
}

#[test]
fn a_hit_allocates_at_most_once() {
    assert!(each(|| drop(std::hint::black_box(Box::new(7)))) >= 1.0, "allocations are counted");
    REGION.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    let numbers = each(|| assert_eq!(of_numbers(-12_345, 678), 13_023));
    assert!(numbers <= 1.0, "{numbers} allocations for a hit with two numbers");
    let texts = each(|| assert_eq!(Shop.of_texts("tea", Some("cup")), 6));
    assert!(texts <= 1.0, "{texts} allocations for a hit with two texts");
    let closure = REGION.cache_on_arguments("counted:closure").wrap(|a: u32, b: &str| a as usize + b.len());
    let closure = each(|| assert_eq!(closure.call((7, "tea")), 10));
    assert!(closure <= 1.0, "{closure} allocations for a hit of a closure");
    println!("allocations for a hit: {numbers} with numbers, {texts} with texts, {closure} of a closure");
}
