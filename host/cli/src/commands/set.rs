//! `dogpile set REGION KEY VALUE`.

use std::io::Read;
use std::thread;
use std::time::Duration;

use dogpile::CacheRegion;
use serde_json::Value;

use crate::answer::Answered;
use crate::arguments::Set;
use crate::commands::delete::Done;
use crate::error::CommandError;
use crate::workplace;

/// The longest value that is read from the standard input, in bytes. It is that of Redis.
const LONGEST: u64 = 512 << 20;

/// How often a value that was stored is looked for, and the pause between two attempts.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Stores a value: JSON or, if it is not JSON, a string.
pub(super) fn run(asked: &Set) -> Answered {
    let region = workplace::open(&asked.key.region)?;
    let given = if asked.value == "-" { from_stdin()? } else { asked.value.clone() };
    let value = match serde_json::from_str(&given) {
        Ok(value) if !asked.text => value,
        _ => Value::String(given),
    };
    region.set(&asked.key.key, value)?;
    let (key, name) = (&asked.key.key, &asked.key.region.region);
    if workplace::is_in_process(&region)? {
        return Err(CommandError::other(format!(
            "{key:?} is not stored: the backend of region {name:?} keeps values in its process only, and this one ends; use \
             a backend with a server or a file"
        )));
    }
    if !is_kept(&region, key)? {
        let why = workplace::unreachable(&region)?;
        let why =
            why.unwrap_or_else(|| "the backend or a proxy did not keep it; see `dogpile check`".to_owned());
        return Err(CommandError::other(format!("{key:?} of region {name:?} is not stored: {why}")));
    }
    Ok(Box::new(Done::new("stored", &asked.key)))
}

/// Returns whether a value is stored under `key`. Some backends do not report that they stored nothing.
fn is_kept(region: &CacheRegion, key: &str) -> Result<bool, CommandError> {
    let (backend, mangled) = (region.backend()?, region.mangled_key(key)?);
    for attempt in 0..ATTEMPTS {
        if backend.get(&mangled)?.is_some() {
            return Ok(true);
        }
        // A backend that does not wait for replies may store the value a moment later.
        if attempt + 1 < ATTEMPTS {
            thread::sleep(PAUSE);
        }
    }
    Ok(false)
}

fn from_stdin() -> Result<String, CommandError> {
    read_value(std::io::stdin(), LONGEST)
}

/// Returns the text of `input`, which has at most `limit` bytes.
fn read_value(input: impl Read, limit: u64) -> Result<String, CommandError> {
    let failed =
        |why: &str| CommandError::other(format!("the value cannot be read from the standard input: {why}"));
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes).map_err(|error| failed(&error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(failed(&format!("it is longer than {limit} bytes, which no server stores")));
    }
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8; this command stores text and JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_value_and_other_bytes_are_refused() {
        let refused = |input: &mut dyn Read| read_value(input, 1000).unwrap_err().to_string();
        let failed = "the value cannot be read from the standard input: ";
        assert_eq!(
            refused(&mut std::io::repeat(0)),
            format!("{failed}it is longer than 1000 bytes, which no server stores")
        );
        assert_eq!(
            refused(&mut &b"\xff"[..]),
            format!("{failed}it is not UTF-8; this command stores text and JSON")
        );
        assert_eq!(read_value("\u{e4}".as_bytes(), 2).unwrap(), "\u{e4}");
    }
}
