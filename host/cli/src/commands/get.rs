//! `dogpile get REGION KEY`.

use dogpile::sdk::CreationTime;
use dogpile::serializer::name_of;
use dogpile::{CacheRegion, CacheValue};
use serde::Serialize;
use serde_json::Value;

use super::peek;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Key;
use crate::error::CommandError;
use crate::page::{Color, Page};
use crate::{times, workplace};

/// The value of a key.
#[derive(Serialize)]
struct Found {
    key: String,
    found: bool,
    value: Option<Value>,
    age_seconds: Option<f64>,
    /// Why there is no value.
    reason: Option<String>,
}

/// Reads the value of a key as an application would: one that is too old is missing.
pub(super) fn run(asked: &Key) -> Answered {
    let region = workplace::open(&asked.region)?;
    let value = region.get_value_metadata::<Value>(&asked.key)?;
    Ok(Box::new(Found {
        key: asked.key.clone(),
        found: value.is_some(),
        age_seconds: value.as_ref().map(|value| value.age.as_secs_f64()),
        reason: if value.is_none() { Some(reason(&region, &asked.key)?) } else { None },
        value: value.map(|value| value.value),
    }))
}

/// Returns why the region serves no value of `key`.
fn reason(region: &CacheRegion, key: &str) -> Result<String, CommandError> {
    let backend = region.backend()?;
    let Some(found) = backend.get(&region.mangled_key(key)?)? else {
        if let Some(problem) = workplace::unreachable(region)? {
            return Ok(problem);
        }
        let kept_here = if workplace::is_in_process(region)? { workplace::IN_PROCESS } else { "" };
        return Ok(format!("nothing is stored under this key{kept_here}"));
    };
    let age = times::rough(found.metadata.creation_time.age(CreationTime::now()).as_secs_f64());
    let (bytes, serializer) = match (found.payload.as_bytes(), region.serializer()?) {
        (Some(bytes), Some(serializer)) => (bytes, serializer),
        _ => return Ok(format!("the value is {age} old, which is too old, or it is not JSON")),
    };
    let own = name_of(&serializer).unwrap_or_else(|| format!("{serializer:?}"));
    if let Some(format) = peek::foreign_format(&found, &*serializer) {
        return Ok(peek::advice(format, &own));
    }
    if let Err(error) = Value::deserialize(bytes, &*serializer) {
        return Ok(format!("the value has {} bytes and cannot be read as {own}: {error}", bytes.len()));
    }
    Ok(format!("the value is too old: it was created {age} ago, or the region was invalidated since then"))
}

impl Answer for Found {
    fn json(&self) -> Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        match &self.value {
            Some(Value::String(text)) => page.line(text),
            Some(value) => page.line(format!("{value:#}")),
            None => {
                let none = page.paint(Color::Yellow, "no value");
                page.wrapped(&format!("{none}: "), "  ", self.reason.as_deref().unwrap_or_default());
            }
        }
    }

    /// A string as it is, for the shell.
    fn raw(&self) -> Option<&str> {
        self.value.as_ref().and_then(Value::as_str)
    }

    fn is_absent(&self) -> bool {
        !self.found
    }

    fn is_good(&self) -> bool {
        self.found
    }
}
