//! A detached function cannot call itself by its own name: whether its future is `Send` depends on itself.

use dogpile::{CacheRegion, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments(region = REGION, detach)]
async fn sum(number: u64) -> u64 {
    if number == 0 { 0 } else { number + sum(number - 1).await }
}

fn main() {}
