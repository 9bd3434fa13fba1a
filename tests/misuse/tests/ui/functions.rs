use dogpile::{CacheRegion, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments(region = REGION)]
struct NotAFunction;

#[cache_on_arguments(region = REGION)]
const fn constant(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION)]
unsafe fn unsafe_function(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION)]
extern "C" fn external(a: u32) -> u32 {
    a
}

#[cache_on_arguments(region = REGION)]
fn returns_nothing(a: u32) {
    let _ = a;
}

#[cache_on_arguments(region = REGION)]
fn returns_a_reference(a: u32) -> &'static str {
    "a"
}

#[cache_on_arguments(region = REGION)]
fn returns_something(a: u32) -> impl std::fmt::Display {
    a
}

#[cache_on_arguments(region = REGION)]
fn never_returns(a: u32) -> ! {
    panic!("{a}")
}

#[cache_on_arguments(region = REGION)]
fn takes_a_pattern((a, b): (u32, u32)) -> u32 {
    a + b
}

#[cache_on_arguments(region = REGION)]
fn takes_anything(a: impl ToString) -> String {
    a.to_string()
}

fn main() {}
