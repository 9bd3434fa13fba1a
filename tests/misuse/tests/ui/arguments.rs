//! Arguments that a cached function cannot have.

use std::borrow::Cow;
use std::sync::Arc;

use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments(region = REGION, ignore(log))]
fn mutable(a: u32, log: &mut Vec<u32>) -> u32 {
    log.push(a);
    a
}

#[cache_on_arguments(region = REGION, ignore(log))]
fn mutable_inside(a: u32, log: Option<&mut Vec<u32>>) -> u32 {
    let _ = log;
    a
}

#[cache_multi_on_arguments(region = REGION)]
fn mutable_items(items: &[&mut u32]) -> Vec<u32> {
    items.iter().map(|item| **item).collect()
}

/// A function pointer that takes `&mut` is fine.
#[cache_on_arguments(region = REGION, ignore(each))]
fn function_pointer(a: u32, each: fn(&mut u32)) -> u32 {
    let mut a = a;
    each(&mut a);
    a
}

#[cache_on_arguments(region = REGION, background)]
fn borrowed_text(item: &str) -> usize {
    item.len()
}

#[cache_on_arguments(region = REGION, background, ignore(item))]
fn borrowed_inside(item: Cow<'_, str>) -> usize {
    item.len()
}

#[cache_multi_on_arguments(region = REGION, background)]
fn borrowed_items(items: &[&str]) -> Vec<usize> {
    items.iter().map(|item| item.len()).collect()
}

#[cache_multi_on_arguments(region = REGION, background)]
fn owned_items(items: &[&'static str]) -> Vec<usize> {
    items.iter().map(|item| item.len()).collect()
}

struct Shop {
    id: u32,
}

impl Shop {
    #[cache_on_arguments(region = REGION, ignore(self))]
    fn mutable_self(&mut self, a: u32) -> u32 {
        self.id = a;
        a
    }

    #[cache_on_arguments(region = REGION, ignore(self))]
    fn mutable_typed_self(self: &mut Self, a: u32) -> u32 {
        self.id = a;
        a
    }

    #[cache_on_arguments(region = REGION, key_by(self.id), background)]
    fn borrowed_self(&self, a: u32) -> u32 {
        self.id + a
    }

    #[cache_on_arguments(region = REGION, key_by(self.id), background)]
    fn shared_self(self: Arc<Self>, a: u32) -> u32 {
        self.id + a
    }
}

struct Opaque;

#[cache_on_arguments(region = REGION)]
fn without_text(a: u32, b: Opaque) -> u32 {
    let _ = b;
    a
}

fn main() {}
