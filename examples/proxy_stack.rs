//! Proxies that a configuration names. One of them is written here, and masks the values that are stored.
//!
//! `cargo run --example proxy_stack`

use std::sync::Arc;

use dogpile::sdk::{
    BackendError, Bytes, CacheBackend, CachedValue, ErrorKind, Payload, ValueProxy, register_proxy,
};
use dogpile::{CacheRegion, Configuration};
use serde::Deserialize;

/// Arguments of the `acme.mask` entry point.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskConfig {
    /// Mask of every stored byte. Required, not 0.
    mask: u8,
}

register_proxy! {
    name: "acme.mask",
    config: MaskConfig,
    build: |config: MaskConfig, proxied| {
        if config.mask == 0 {
            return Err("invalid argument \"mask\": 0 masks nothing; set a number from 1 to 255");
        }
        Ok(Mask { mask: config.mask, proxied })
    },
}

/// Masks the stored bytes. A real proxy would encrypt or compress them in the same place.
#[derive(Debug)]
struct Mask {
    mask: u8,
    proxied: Arc<dyn CacheBackend>,
}

impl Mask {
    /// Returns `value` with its bytes masked, or `None` for an object, which has no bytes.
    fn masked(&self, mut value: CachedValue) -> Option<CachedValue> {
        let masked: Vec<u8> = value.payload.as_bytes()?.iter().map(|byte| byte ^ self.mask).collect();
        value.payload = Payload::Bytes(Bytes::from(masked));
        Some(value)
    }
}

/// Every form of reading and storing goes through these two methods: single, multi, blocking, and asynchronous.
impl ValueProxy for Mask {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn encode(&self, key: &str, value: CachedValue) -> Result<CachedValue, BackendError> {
        let message = "cannot mask an object: acme.mask masks bytes; set a serializer for the region";
        let refused = || BackendError::new(ErrorKind::InvalidValue, message).for_key(key);
        self.masked(value).ok_or_else(refused)
    }

    /// A value that cannot have been masked is a miss.
    fn decode(&self, _key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.masked(value))
    }
}

const REGIONS: &str = r#"
    [regions.tokens]
    backend = "dogpile.cache.memory"
    serializer = "json"
    wrap = [                                        # the first is outermost
        "dogpile.proxy.logging",
        { name = "acme.mask", arguments = { mask = 90 } },
        { name = "dogpile.proxy.key_prefix", arguments = { prefix = "tokens:" } },
    ]
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens = CacheRegion::new("tokens");
    Configuration::from_toml(REGIONS)?.configure(&tokens)?;

    println!("made:   {}", tokens.get_or_create("ada", || "open sesame".to_owned())?);
    println!("read:   {:?}", tokens.get::<String>("ada")?);
    tokens.set_multi([("bob", "speak friend".to_owned())])?;
    for key in ["tokens:ada", "tokens:bob"] {
        let stored = tokens.actual_backend()?.get(key)?.ok_or("nothing was stored")?;
        let Payload::Bytes(bytes) = stored.payload else { return Err("no bytes were stored".into()) };
        println!("stored: {}", bytes.escape_ascii());
    }
    Ok(())
}
