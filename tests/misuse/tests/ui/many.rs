use std::collections::HashMap;

use dogpile::{CacheRegion, cache_multi_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_multi_on_arguments(region = REGION)]
fn no_keys() -> Vec<u32> {
    Vec::new()
}

#[cache_multi_on_arguments(region = REGION)]
fn one_key(key: u32) -> Vec<u32> {
    vec![key]
}

#[cache_multi_on_arguments(region = REGION)]
fn owned_keys(keys: Vec<u32>) -> Vec<u32> {
    keys
}

#[cache_multi_on_arguments(region = REGION)]
fn two_arguments(shop: u32, keys: &[u32]) -> Vec<u32> {
    keys.to_vec()
}

#[cache_multi_on_arguments(region = REGION)]
fn one_value(keys: &[u32]) -> u32 {
    keys[0]
}

#[cache_multi_on_arguments(region = REGION)]
fn a_map(keys: &[u32]) -> HashMap<u32, u32> {
    keys.iter().map(|key| (*key, *key)).collect()
}

#[cache_multi_on_arguments(region = REGION, asdict)]
fn no_map(keys: &[u32]) -> Result<Vec<u32>, String> {
    Ok(keys.to_vec())
}

fn main() {}
