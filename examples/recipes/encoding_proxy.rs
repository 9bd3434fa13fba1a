//! A recipe: values are stored in an encoding of one's own, by a proxy.
//!
//! It sees what any backend stores, whole values as bytes, and encodes them on the way in and decodes them on the way
//! out. dogpile.cache's documentation calls this "encoding and decoding data into another format".
//!
//! `cargo run --example encoding_proxy`

use std::fmt::Write;
use std::sync::Arc;

use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, ErrorKind, Payload, ProxyBackend, register_proxy,
};
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
use serde::Deserialize;

static USERS: CacheRegion = CacheRegion::new("users");

register_proxy! {
    name: "acme.hex",
    config: HexConfig,
    build: |_: HexConfig, proxied| Ok::<_, BackendError>(Hex { proxied }),
}

/// It has no arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HexConfig {}

/// Stores payloads as hexadecimal digits.
#[derive(Debug)]
struct Hex {
    proxied: Arc<dyn CacheBackend>,
}

fn refused(message: &'static str) -> BackendError {
    BackendError::new(ErrorKind::InvalidValue, message)
}

fn encoded(mut value: CachedValue) -> Result<CachedValue, BackendError> {
    let Payload::Bytes(bytes) = &value.payload else {
        return Err(refused("acme.hex works on bytes; give the region a serializer"));
    };
    let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    value.payload = Payload::Bytes(digits.into_bytes().into());
    Ok(value)
}

/// `None` for what is no hexadecimal text: as good as absent.
fn decoded(mut value: CachedValue) -> Option<CachedValue> {
    let Payload::Bytes(bytes) = &value.payload else { return None };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = bytes.chunks(2).map(pair).collect::<Option<_>>()?;
    value.payload = Payload::Bytes(bytes.into());
    Some(value)
}

/// Single and many values go through these four; whatever else is asked for goes on by itself.
impl ProxyBackend for Hex {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.proxied.get(key)?.and_then(decoded))
    }

    fn set(&self, key: &str, value: CachedValue) -> Result<(), BackendError> {
        self.proxied.set(key, encoded(value)?)
    }

    fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<CachedValue>>, BackendError> {
        Ok(self.proxied.get_multi(keys)?.into_iter().map(|found| found.and_then(decoded)).collect())
    }

    fn set_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), BackendError> {
        let entries = entries.into_iter().map(|(key, value)| Ok((key, encoded(value)?)));
        self.proxied.set_multi(entries.collect::<Result<_, BackendError>>()?)
    }
}

#[cache_on_arguments(region = USERS, key_name = "users:name")]
fn name(id: u64) -> String {
    format!("user {id}")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    USERS.configure(RegionConfig::new("dogpile.cache.memory").serializer_named("json").wrap("acme.hex"))?;
    println!("made:   {}", name(7));
    println!("read:   {:?}", name::get(7)?);
    let stored = USERS.actual_backend()?.get("users:name|7")?.ok_or("nothing was stored")?;
    let Payload::Bytes(bytes) = stored.payload else { return Err("no bytes were stored".into()) };
    println!("stored: {}", bytes.escape_ascii());
    assert_eq!(&*bytes, b"2275736572203722"); // "user 7", with its quotes
    assert_eq!(name::get(7)?.as_deref(), Some("user 7"));
    Ok(())
}
