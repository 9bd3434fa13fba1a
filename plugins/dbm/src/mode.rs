//! The argument `file_mode`: the permissions of created files.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// A number, as TOML writes `0o600`, or a string of octal digits, as in an ini file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Number(u32),
    Text(String),
}

pub(crate) fn default() -> u32 {
    0o600
}

/// Returns whether `mode` only has permissions, and the owner may read and write.
pub(crate) fn is_valid(mode: u32) -> bool {
    mode & !0o777 == 0 && mode & 0o600 == 0o600
}

pub(crate) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match Given::deserialize(deserializer)? {
        Given::Number(mode) => Ok(mode),
        Given::Text(text) => u32::from_str_radix(text.strip_prefix("0o").unwrap_or(&text), 8).map_err(|_| {
            D::Error::custom(format_args!("invalid mode {text:?}: expected octal digits such as \"0660\""))
        }),
    }
}
