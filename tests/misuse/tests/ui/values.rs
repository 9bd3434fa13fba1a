//! Values that cannot be cached.

use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};
use serde::{Serialize, de::DeserializeOwned};

static REGION: CacheRegion = CacheRegion::new("region");

#[derive(Clone)]
struct WithoutSerde;

#[cache_on_arguments(region = REGION)]
fn value_without_serde(a: u32) -> WithoutSerde {
    let _ = a;
    WithoutSerde
}

#[cache_on_arguments(region = REGION)]
fn result_without_serde(a: u32) -> Result<WithoutSerde, String> {
    let _ = a;
    Ok(WithoutSerde)
}

#[cache_multi_on_arguments(region = REGION)]
fn values_without_serde(a: &[u32]) -> Vec<WithoutSerde> {
    a.iter().map(|_| WithoutSerde).collect()
}

mod own {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub enum Result<T, E> {
        Good(T),
        Bad(E),
    }
}

#[cache_on_arguments(region = REGION)]
fn another_result(a: u32) -> own::Result<u32, String> {
    own::Result::Good(a)
}

type Answer<T> = Result<Vec<T>, String>;

#[cache_on_arguments(region = REGION)]
fn generic_alias<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static>(a: u32) -> Answer<T> {
    Err(a.to_string())
}

type AliasOfResult = Result<WithoutSerde, String>;

#[cache_on_arguments(region = REGION)]
fn alias_without_serde(a: u32) -> AliasOfResult {
    let _ = a;
    Ok(WithoutSerde)
}

struct NotAnError;

#[cache_on_arguments(region = REGION)]
fn error_without_display(a: u32) -> Result<u32, NotAnError> {
    Ok(a)
}

#[cache_on_arguments(region = REGION)]
fn a_future(a: u32) -> impl Future<Output = u32> {
    async move { a }
}

#[cache_on_arguments(region = REGION)]
fn a_boxed_future(a: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { a })
}

fn async_creator() {
    let _ = REGION.get_or_create("key", || async { 1 });
}

fn main() {}
