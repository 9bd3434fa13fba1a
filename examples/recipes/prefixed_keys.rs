//! A recipe: all keys of an application on a shared server begin with its name.
//!
//! A key mangler adds the name in every call, including those of cached functions. The proxy
//! `dogpile.proxy.key_prefix` does it in a configuration. dogpile.cache's documentation calls this "prefixing all
//! keys in Redis".
//!
//! `cargo run --example prefixed_keys`

use dogpile::{CacheRegion, Configuration, RegionConfig, cache_on_arguments};

static BY_MANGLER: CacheRegion = CacheRegion::new("by_mangler");
static BY_PROXY: CacheRegion = CacheRegion::new("by_proxy");

#[cache_on_arguments(region = BY_MANGLER, key_name = "shop:price")]
fn price(item: &str) -> u32 {
    item.chars().map(u32::from).sum()
}

#[cache_on_arguments(region = BY_PROXY, key_name = "shop:stock")]
fn stock(item: &str) -> usize {
    item.len()
}

const CONFIGURATION: &str = r#"
    [regions.by_proxy]
    backend = "dogpile.cache.memory"
    wrap = [{ name = "dogpile.proxy.key_prefix", arguments = { prefix = "myapp:" } }]
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = RegionConfig::new("dogpile.cache.memory").key_mangler(|key| format!("myapp:{key}"));
    BY_MANGLER.configure(config)?;
    Configuration::from_toml(CONFIGURATION)?.configure(&BY_PROXY)?;
    println!("a price of {}, {} in stock", price("tea"), stock("tea"));

    for (region, key) in [(&BY_MANGLER, "myapp:shop:price|tea"), (&BY_PROXY, "myapp:shop:stock|tea")] {
        let stored = region.actual_backend()?.get(key)?;
        println!("region {:?} stores it under {key:?}: {}", region.name(), stored.is_some());
        assert!(stored.is_some());
    }
    Ok(())
}
