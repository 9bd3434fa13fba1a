//! Proxies named in a configuration, one of them written here: it keeps secrets from being stored as they are.
//!
//! `cargo run --example proxy_stack`

use std::sync::Arc;

use dogpile::sdk::{
    BackendError, Bytes, CacheBackend, CachedValue, ErrorKind, Payload, ProxyBackend, register_proxy,
};
use dogpile::{CacheRegion, Configuration};
use serde::Deserialize;

/// Arguments of the `acme.mask` entry point.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskConfig {
    /// What every stored byte is masked with.
    mask: u8,
}

register_proxy! {
    name: "acme.mask",
    config: MaskConfig,
    build: |config: MaskConfig, proxied| {
        if config.mask == 0 {
            return Err("a mask of 0 masks nothing");
        }
        Ok(Mask { mask: config.mask, proxied })
    },
}

/// Masks what is stored. (A toy: it shows where encryption or compression would stand.)
#[derive(Debug)]
struct Mask {
    mask: u8,
    proxied: Arc<dyn CacheBackend>,
}

impl Mask {
    fn masked(&self, mut value: CachedValue) -> Result<CachedValue, BackendError> {
        let Payload::Bytes(bytes) = &value.payload else {
            let message = "acme.mask works on bytes; give the region a serializer";
            return Err(BackendError::new(ErrorKind::InvalidValue, message));
        };
        let masked: Vec<u8> = bytes.iter().map(|byte| byte ^ self.mask).collect();
        value.payload = Payload::Bytes(Bytes::from(masked));
        Ok(value)
    }
}

/// Only what changes is named; deletions, mutexes and all the rest go on to the wrapped backend.
impl ProxyBackend for Mask {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.proxied.get(key)?.map(|value| self.masked(value)).transpose()
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.proxied.set(key, self.masked(value)?)
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
    let stored = tokens.actual_backend()?.get("tokens:ada")?.ok_or("nothing was stored")?;
    if let Payload::Bytes(bytes) = stored.payload {
        println!("stored: {}", bytes.escape_ascii());
    }
    Ok(())
}
