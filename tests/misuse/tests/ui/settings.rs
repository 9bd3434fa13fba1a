use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments]
fn no_region(a: u32) -> u32 {
    a
}

#[cache_on_arguments(namespace = "ns")]
fn still_no_region(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, expire = 60)]
fn unknown(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, namespace = "a", namespace = "b")]
fn twice(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, namespace)]
fn no_value(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, background = true)]
fn a_value(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, ignore = a)]
fn no_list(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, ignore(b))]
fn ignores_nothing(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, expiration_time = -5)]
fn negative(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, expiration_time = "one hour")]
fn text(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION, asdict)]
fn of_the_other_macro(a: u32) -> u32 {
    a
}

#[cache_multi_on_arguments(region = REGION, defaults(a = 1))]
fn not_of_this_macro(a: &[u32]) -> Vec<u32> {
    a.to_vec()
}

#[cache_on_arguments(region = REGION, version = "two")]
fn not_a_number(a: u32) -> u32 {
    a
}

fn main() {}
