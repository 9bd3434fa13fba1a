//! `dogpile inspect REGION KEY`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dogpile::CacheRegion;
use dogpile::sdk::{CachedValue, CreationTime, Payload};
use dogpile::serializer::{Serializer, name_of};
use serde::Serialize;
use serde_json::Value;

use super::peek;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Key;
use crate::error::CommandError;
use crate::page::{Color, Page, padded, shortened};
use crate::times;
use crate::workplace;

/// The number of characters of a value that are shown.
const PREVIEW: usize = 400;

/// How a key is stored.
#[derive(Serialize)]
struct Stored {
    region: String,
    key: String,
    mangled_key: String,
    serializer: Option<String>,
    locked: bool,
    value: Option<StoredValue>,
}

#[derive(Serialize)]
struct StoredValue {
    created: f64,
    created_text: String,
    age_seconds: f64,
    version: i64,
    /// The size of the payload. A value that is not serialized has none.
    size: Option<usize>,
    /// Whether a `get` would return the value.
    fresh: bool,
    /// The serializer that seems to have written the value, if it is not the region's.
    foreign_format: Option<&'static str>,
    preview: String,
}

/// Shows how a key is stored, regardless of the age of its value.
pub(super) fn run(asked: &Key) -> Answered {
    let region = workplace::open(&asked.region)?;
    let mangled_key = region.mangled_key(&asked.key)?;
    let serializer = region.serializer()?;
    let found = region.backend()?.get(&mangled_key)?;
    let value = found.map(|found| stored_value(&region, &asked.key, &found, serializer.as_deref()));
    Ok(Box::new(Stored {
        region: asked.region.region.clone(),
        key: asked.key.clone(),
        locked: region.key_is_locked(&asked.key)?,
        serializer: serializer.as_ref().map(|it| name_of(it).unwrap_or_else(|| format!("{it:?}"))),
        mangled_key,
        value: value.transpose()?,
    }))
}

fn stored_value(
    region: &CacheRegion,
    key: &str,
    found: &CachedValue,
    serializer: Option<&dyn Serializer>,
) -> Result<StoredValue, CommandError> {
    let created = found.metadata.creation_time;
    let since_epoch = Duration::try_from_secs_f64(created.as_seconds()).unwrap_or_default();
    let size = match &found.payload {
        Payload::Bytes(bytes) => Some(bytes.len()),
        Payload::Object(_) => None,
    };
    Ok(StoredValue {
        created: created.as_seconds(),
        created_text: times::utc(UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)),
        age_seconds: created.age(CreationTime::now()).as_secs_f64(),
        version: found.metadata.version,
        size,
        foreign_format: serializer.and_then(|serializer| peek::foreign_format(found, serializer)),
        fresh: region.get::<Value>(key)?.is_some(),
        preview: preview(found, serializer),
    })
}

/// Returns the value as JSON if it can be read so, and its first bytes otherwise.
fn preview(found: &CachedValue, serializer: Option<&dyn Serializer>) -> String {
    let bytes = match &found.payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Object(object) => {
            return object.downcast_ref::<Value>().map_or_else(|| format!("{object:?}"), Value::to_string);
        }
    };
    let read =
        serializer.and_then(|serializer| <Value as dogpile::CacheValue>::deserialize(bytes, serializer).ok());
    let text = read.map_or_else(
        || format!("bytes {}", bytes[..bytes.len().min(PREVIEW)].escape_ascii()),
        |value| value.to_string(),
    );
    shortened(&text, PREVIEW)
}

impl Answer for Stored {
    fn json(&self) -> Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        let name = |page: &Page, name: &str| page.paint(Color::Dim, &padded(name, 13));
        let mut fact = |what: &str, text: &str| {
            let first = name(page, what);
            page.wrapped(&first, &" ".repeat(13), text);
        };
        fact("region", &self.region);
        fact("key", &self.key);
        fact("mangled key", &self.mangled_key);
        fact("serializer", self.serializer.as_deref().unwrap_or("none: values are stored as they are"));
        fact("locked", if self.locked { "yes: a caller is creating its value" } else { "no" });
        let Some(value) = &self.value else { return fact("value", "none") };
        fact("created", &format!("{} ({})", value.created_text, value.created));
        let fresh = if value.fresh { "" } else { ", and not served: it is too old, or cannot be read" };
        fact("age", &format!("{}{fresh}", times::rough(value.age_seconds)));
        fact("size", &value.size.map_or("not serialized".to_owned(), |size| format!("{size} bytes")));
        fact("value", &value.preview);
        if let Some(format) = value.foreign_format {
            fact("warning", &peek::advice(format, self.serializer.as_deref().unwrap_or_default()));
        }
    }

    fn is_good(&self) -> bool {
        self.value.is_some()
    }
}
