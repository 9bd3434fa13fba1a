//! [`Arguments`]: what a configuration says to a backend or proxy.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::error::{BackendError, ErrorKind};
use crate::nearest::did_you_mean;

/// The arguments of an entry point, by name. They may hold secrets, so `Debug` shows only the names.
///
/// ```
/// use dogpile_sdk::Arguments;
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Config { url: String }
///
/// let arguments = Arguments::from_serialize(serde_json::json!({ "url": "shelf://1" }))?;
/// assert_eq!(arguments.parse::<Config>()?.url, "shelf://1");
///
/// let mistyped = Arguments::from_serialize(serde_json::json!({ "ulr": "shelf://1" }))?;
/// let error = mistyped.parse::<Config>().unwrap_err();
/// assert_eq!(error.to_string(), r#"unknown argument "ulr" (known: "url"); did you mean "url"?"#);
/// # Ok::<(), dogpile_sdk::BackendError>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Arguments(Map<String, Value>);

/// The configuration of an entry point that takes no arguments.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

impl Arguments {
    /// The arguments that `source`, a struct or a map, says.
    ///
    /// # Errors
    /// If it is neither, or cannot be serialised.
    pub fn from_serialize(source: impl Serialize) -> Result<Self, BackendError> {
        match serde_json::to_value(source) {
            Ok(Value::Object(map)) => Ok(Arguments(map)),
            Ok(other) => Err(refused(format!("arguments are a table of names and values, not {other}"))),
            Err(error) => Err(refused(format!("the arguments cannot be read: {error}"))),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads them as `C`, the entry point's configuration.
    ///
    /// # Errors
    /// If a name is unknown to `C` (the error lists those that are known), one is missing, or a value is wrong.
    pub fn parse<C: DeserializeOwned>(self) -> Result<C, BackendError> {
        let fields = Cell::new(None);
        let given = Value::Object(self.0.clone());
        let parsed = C::deserialize(RecordFields { inner: given, fields: &fields });
        if let Some(known) = fields.get()
            && let Some(unknown) = self.0.keys().find(|name| !known.contains(&name.as_str()))
        {
            return Err(refused(unknown_argument(unknown, known)));
        }
        parsed.map_err(|error| refused(format!("wrong arguments: {error}")))
    }

    /// They as a JSON object, secrets included.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    pub(crate) fn from_json(json: &str) -> Result<Self, BackendError> {
        serde_json::from_str(json)
            .map(Arguments)
            .map_err(|error| refused(format!("the arguments cannot be read: {error}")))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Arguments)
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn refused(message: String) -> BackendError {
    BackendError::new(ErrorKind::Configuration, message)
}

fn unknown_argument(unknown: &str, known: &[&'static str]) -> String {
    let list = known.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { "none".to_owned() } else { list };
    format!("unknown argument {unknown:?} (known: {list}){}", did_you_mean(unknown, known.iter().copied()))
}

/// Passes everything on, and notes which names the struct that is read has, so that an unknown one is refused
/// even where its author forgot to say `deny_unknown_fields`.
struct RecordFields<'a> {
    inner: Value,
    fields: &'a Cell<Option<&'static [&'static str]>>,
}

impl<'de> Deserializer<'de> for RecordFields<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.fields.set(Some(fields));
        self.inner.deserialize_struct(name, fields, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
