//! Settings, types, and places that an asynchronous function cannot have.

use std::future::Future;
use std::rc::Rc;

use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments(region = REGION, background)]
async fn in_background(a: u32) -> u32 {
    a
}

#[cache_multi_on_arguments(region = REGION, background, detach)]
async fn many_in_background(keys: &[u32]) -> Vec<u32> {
    keys.to_vec()
}

#[cache_on_arguments(region = REGION, detach)]
fn detached_but_blocking(a: u32) -> u32 {
    a
}

#[cache_multi_on_arguments(region = REGION, detach)]
fn many_detached_but_blocking(keys: &[u32]) -> Vec<u32> {
    keys.to_vec()
}

#[cache_on_arguments(region = REGION, detach = true)]
async fn a_value(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, should_cache_fn = async |value: &u32| *value > 1)]
async fn asynchronous_predicate(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION)]
fn returns_a_future(a: u32) -> impl Future<Output = u32> {
    async move { a }
}

#[cache_on_arguments(region = REGION)]
async fn returns_nothing(a: u32) {
    let _ = a;
}

#[cache_on_arguments(region = REGION)]
async fn returns_a_reference(a: &str) -> &str {
    a
}

#[cache_on_arguments(region = REGION)]
async fn returns_what_cannot_be_cached(a: u32) -> Rc<u32> {
    Rc::new(a)
}

#[cache_multi_on_arguments(region = REGION)]
async fn returns_many_that_cannot_be_cached(keys: &[u32]) -> Vec<Rc<u32>> {
    keys.iter().map(|key| Rc::new(*key)).collect()
}

#[cache_multi_on_arguments(region = REGION)]
async fn one_value(keys: &[u32]) -> u32 {
    keys[0]
}

#[cache_on_arguments(region = REGION, ignore(log))]
async fn mutable(a: u32, log: &mut Vec<u32>) -> u32 {
    log.push(a);
    a
}

struct Shop;

impl Shop {
    #[cache_on_arguments(region = REGION)]
    async fn price(&self, item: u32) -> u32 {
        item
    }

    #[cache_on_arguments(region = REGION)]
    async fn without_self(item: u32) -> u32 {
        item + 1
    }
}

trait Priced {
    async fn discount(&self, item: u32) -> u32;
}

impl Priced for Shop {
    #[cache_on_arguments(region = REGION, ignore(self))]
    async fn discount(&self, item: u32) -> u32 {
        item + 2
    }
}

fn main() {}
