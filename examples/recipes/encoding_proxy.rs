//! A recipe: a proxy that stores values in an encoding of its own.
//!
//! It encodes the bytes of each value on the way into the backend, and decodes them on the way out. dogpile.cache's
//! documentation calls this "encoding and decoding data into another format".
//!
//! `cargo run --example encoding_proxy`

use std::fmt::Write;
use std::sync::Arc;

use dogpile::sdk::{
    BackendError, CacheBackend, CachedValue, ErrorKind, NoArguments, Payload, ValueProxy, register_proxy,
};
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};

static USERS: CacheRegion = CacheRegion::new("users");

register_proxy! {
    name: "acme.hex",
    config: NoArguments,
    build: |_, proxied| Ok::<_, BackendError>(Hex { proxied }),
}

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
        return Err(refused(
            "cannot encode an object: acme.hex encodes bytes; set a serializer for the region",
        ));
    };
    let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    value.payload = Payload::Bytes(digits.into_bytes().into());
    Ok(value)
}

/// Returns `None` for bytes that are not hexadecimal digits. The key is a miss then.
fn decoded(mut value: CachedValue) -> Option<CachedValue> {
    let Payload::Bytes(bytes) = &value.payload else { return None };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = bytes.chunks(2).map(pair).collect::<Option<_>>()?;
    value.payload = Payload::Bytes(bytes.into());
    Some(value)
}

/// Single and multi calls alike go through these two methods. All other calls go to the wrapped backend.
impl ValueProxy for Hex {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn encode(&self, _key: &str, value: CachedValue) -> Result<CachedValue, BackendError> {
        encoded(value)
    }

    fn decode(&self, _key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError> {
        Ok(decoded(value))
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
