use dogpile::CacheRegion;

static REGION: CacheRegion = CacheRegion::new("region");

fn price(item: &str) -> Result<u32, String> {
    if item.is_empty() { Err("no item".to_owned()) } else { Ok(350) }
}

fn errors_would_be_cached() -> Result<u32, String> {
    REGION.cache_on_arguments("shop:price").wrap(|item: &str| price(item)).call(("tea",))
}

/// Errors are not cached.
fn fallible() -> Result<u32, String> {
    REGION.cache_on_arguments("shop:price").wrap_fallible(|item: &str| price(item)).call(("tea",))
}

fn main() {}
