//! How often a hit of a cached function allocates, and how much memory reading a value takes.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "allocations/serializers.rs"]
mod serializers;
#[path = "allocations/waiting.rs"]
mod waiting;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use dogpile::{CacheRegion, Created, RegionConfig, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("counted");

#[cache_on_arguments(region = REGION, namespace = "ns", expiration_time = 60)]
fn of_numbers(a: i64, b: u32) -> u64 {
    a.unsigned_abs() + u64::from(b)
}

struct Shop;

impl Shop {
    #[cache_on_arguments(region = REGION, ignore(self))]
    fn of_strings(&self, a: &str, b: Option<&str>) -> usize {
        a.len() + b.map_or(0, str::len)
    }
}

#[cache_on_arguments(region = REGION)]
async fn asynchronous(a: i64, b: &str) -> usize {
    b.len() + usize::from(a > 0)
}

#[cache_on_arguments(region = REGION, ignore(owned), detach)]
async fn detached(owned: Arc<str>, a: i64) -> usize {
    owned.len() + usize::from(a > 0)
}

/// Returns the output of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

const HITS: u64 = 100;

/// Returns the average number of allocations of a hit.
fn each(call: impl Fn()) -> f64 {
    call();
    measure(|| (0..HITS).for_each(|_| call())).count_total as f64 / HITS as f64
}

#[test]
fn hit_allocates_at_most_once() {
    assert!(each(|| drop(std::hint::black_box(Box::new(7)))) >= 1.0, "allocations are counted");
    REGION.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    let numbers = each(|| assert_eq!(of_numbers(-12_345, 678), 13_023));
    assert!(numbers <= 1.0, "{numbers} allocations for a hit with two numbers");
    let strings = each(|| assert_eq!(Shop.of_strings("tea", Some("cup")), 6));
    assert!(strings <= 1.0, "{strings} allocations for a hit with two strings");
    let closure = REGION.cache_on_arguments("counted:closure").wrap(|a: u32, b: &str| a as usize + b.len());
    let closure = each(|| assert_eq!(closure.call((7, "tea")), 10));
    assert!(closure <= 1.0, "{closure} allocations for a hit of a closure");
    let of_task = each(|| assert_eq!(at_once(asynchronous(7, "tea")), 4));
    assert!(of_task <= 1.0, "{of_task} allocations for a hit of an asynchronous function");
    let owned: Arc<str> = Arc::from("tea");
    at_once(detached::set(4, Arc::clone(&owned), 7)).unwrap();
    let of_detached = each(|| assert_eq!(at_once(detached(Arc::clone(&owned), 7)), 4));
    assert!(of_detached <= 1.0, "{of_detached} allocations for a hit of a detached function");
    println!("allocations for an asynchronous hit: {of_task}, and {of_detached} of a detached function");
    println!("allocations for a hit: {numbers} with numbers, {strings} with strings, {closure} of a closure");
}

/// A hit ends at the first poll, and its future has no part on the heap, whatever the form of the call.
#[test]
fn hit_of_a_task_allocates_nothing() {
    let plain = RegionConfig::new("dogpile.cache.memory");
    let expiring = plain.clone().expiration_time(Duration::from_secs(3600));
    let bounded = plain.clone().argument("max_entries", 1000);
    for (kind, config) in [("plain", plain), ("expiring", expiring), ("bounded", bounded)] {
        let region = CacheRegion::new("tasks");
        region.configure(config).unwrap();
        let text = "text".to_owned();
        let counts = [
            each(|| assert_eq!(at_once(region.get_or_create_async("a", async || text.len())).unwrap(), 4)),
            each(|| {
                let creator = async || Ok::<_, Infallible>(text.len());
                assert_eq!(at_once(region.try_get_or_create_async("a", creator)).unwrap(), 4);
            }),
            each(|| {
                let creator = async |_| Ok::<_, Infallible>(Created::new(text.len()));
                let call = region.options().expiration_time(7200).get_or_create_with_async("a", creator);
                assert_eq!(at_once(call).unwrap(), 4);
            }),
            each(|| assert_eq!(at_once(region.get_async::<usize>("a")).unwrap(), Some(4))),
        ];
        assert_eq!(counts, [0.0; 4], "allocations for a hit of a task, {kind}");
    }
}
