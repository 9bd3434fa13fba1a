//! [`Arguments`]: the arguments that a configuration passes to a backend or proxy.

pub mod bounds;
mod error;
mod finite;
mod foreign;
mod lenient;
pub mod list;
mod oslo;
pub mod seconds;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::BackendError;
use crate::nearest::did_you_mean;

use self::error::refused;
use self::finite::Finite;
pub(crate) use self::foreign::Renamed;
use self::foreign::Translated;
pub use self::foreign::{Conversion, ForeignArgument, ForeignArguments};
use self::lenient::{FieldNames, Lenient};
pub use self::oslo::OSLO_CACHE;

/// The arguments of an entry point, by name. They may contain secrets, so `Debug` shows only the names.
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
    /// Creates arguments from `source`, a struct or a map.
    ///
    /// # Errors
    /// If `source` is neither, or cannot be serialized.
    pub fn from_serialize(source: impl Serialize) -> Result<Self, BackendError> {
        match serde_json::to_value(source) {
            Ok(Value::Object(map)) => Ok(Arguments(map)),
            Ok(other) => {
                Err(refused(format!("invalid arguments {other}: expected a table of names and values")))
            }
            Err(error) => Err(refused(format!("the arguments cannot be read: {error}"))),
        }
    }

    /// Adds `more`, which replaces arguments of the same names.
    pub fn extend(&mut self, more: Arguments) {
        self.0.extend(more.0);
    }

    /// Returns whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Converts the arguments to `C`, the configuration of the entry point.
    ///
    /// # Errors
    /// If a name is unknown to `C`, an argument is missing, or a value is invalid. [`BackendError::argument`] returns the
    /// name. The text for an unknown name lists the known ones.
    pub fn parse<C: DeserializeOwned>(self) -> Result<C, BackendError> {
        self.parse_beside(&ForeignArguments::NONE)
    }

    /// Converts the arguments as [`parse`](Self::parse) does, after replacing the names of `foreign`.
    ///
    /// Also returns the given names without effect, and how foreign names were replaced.
    pub(crate) fn parse_foreign<C: DeserializeOwned>(
        self,
        foreign: &ForeignArguments,
    ) -> Result<(C, Vec<String>, Renamed), BackendError> {
        let Translated { arguments, ignored, renamed } = foreign.translate(self.0, Self::names_of::<C>())?;
        let config = Arguments(arguments).parse_beside(foreign).map_err(|error| renamed.explain(error))?;
        Ok((config, ignored, renamed))
    }

    /// Returns the arguments with the names of `C` instead of those of `foreign`, and the given names without effect.
    pub(crate) fn translated<C: DeserializeOwned>(
        self,
        foreign: &ForeignArguments,
    ) -> Result<(Self, Vec<String>), BackendError> {
        let Translated { arguments, ignored, .. } = foreign.translate(self.0, Self::names_of::<C>())?;
        Ok((Arguments(arguments), ignored))
    }

    /// Converts the arguments as [`parse`](Self::parse) does. An unknown name may be a mistyped one of `foreign`.
    fn parse_beside<C: DeserializeOwned>(self, foreign: &ForeignArguments) -> Result<C, BackendError> {
        let fields = FieldNames::new(None);
        let given = Value::Object(self.0.clone());
        let parsed = C::deserialize(Lenient { value: given, fields: Some(&fields) });
        if let Some(known) = fields.get()
            && let Some(unknown) = self.0.keys().find(|name| !known.contains(&name.as_str()))
        {
            return Err(refused(unknown_argument(unknown, known, foreign)).for_argument(unknown));
        }
        parsed.map_err(|error| {
            let rejected = refused(error.to_string());
            match error.argument() {
                Some(argument) => rejected.for_argument(argument),
                None => rejected,
            }
        })
    }

    /// Returns the names of the arguments of `C`, if it is a struct.
    pub(crate) fn names_of<C: DeserializeOwned>() -> &'static [&'static str] {
        let fields = FieldNames::new(None);
        // The result is of no interest: a struct states its fields before it reads them.
        let _ = C::deserialize(Lenient { value: Value::Object(Map::new()), fields: Some(&fields) });
        fields.get().unwrap_or_default()
    }

    /// Returns the arguments as a JSON object, including secrets.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    #[cfg(feature = "plugins")]
    pub(crate) fn from_json(json: &str) -> Result<Self, BackendError> {
        serde_json::from_str(json)
            .map(Arguments)
            .map_err(|error| refused(format!("the arguments cannot be read: {error}")))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, Finite>::deserialize(deserializer)?;
        Ok(Arguments(given.into_iter().map(|(name, Finite(value))| (name, value)).collect()))
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn unknown_argument(unknown: &str, known: &[&'static str], foreign: &ForeignArguments) -> String {
    let list = known.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { "none".to_owned() } else { list };
    format!(
        "unknown argument {unknown:?} (known: {list}){}",
        did_you_mean(unknown, known.iter().copied().chain(foreign.names()))
    )
}
