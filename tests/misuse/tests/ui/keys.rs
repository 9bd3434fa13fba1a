use std::collections::HashMap;

use dogpile::{CacheKey, CacheRegion, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

struct Opaque;

#[cache_on_arguments(region = REGION)]
fn of_a_type_without_a_text(a: Opaque) -> u32 {
    let _ = a;
    1
}

#[cache_on_arguments(region = REGION)]
fn of_a_map_without_an_order(a: HashMap<u8, u8>) -> usize {
    a.len()
}

#[derive(CacheKey)]
struct Generic<T>(u8, T);

#[cache_on_arguments(region = REGION)]
fn of_a_generic_type(a: Generic<Opaque>) -> u8 {
    a.0
}

#[derive(CacheKey)]
struct Field {
    a: u8,
    b: Opaque,
}

fn main() {}
