use dogpile::{CacheRegion, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

struct Opaque;

#[cache_on_arguments(region = 5)]
fn in_no_region(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, expiration_time = 'x')]
fn for_no_time(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, expiration_time = soon())]
fn for_some_time(a: u32) -> u32 {
    a
}

fn soon() -> Opaque {
    Opaque
}

fn main() {}
