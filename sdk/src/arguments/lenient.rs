//! Reads a configuration's values as the types that an entry point asks for.
//!
//! An ini file knows only texts, and Python's dogpile.cache guesses their types before anybody asks (so that the
//! password `0123` becomes 123). Here a text stays one until a number or a truth value is asked for.
//!
//! Source: dogpile.cache `util/__init__.py`, `coerce_string_conf`.

use std::cell::Cell;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

/// The names of the fields of the outermost struct that was read, once it is known.
pub(super) type FieldNames = Cell<Option<&'static [&'static str]>>;

/// A value on its way to the type that is asked for.
pub(super) struct Lenient<'a> {
    pub(super) value: Value,
    /// Where to note the fields; only for the outermost value.
    pub(super) fields: Option<&'a FieldNames>,
}

impl Lenient<'_> {
    fn inner(value: Value) -> Self {
        Lenient { value, fields: None }
    }

    /// The value, a text being read as a number.
    fn number(self) -> Result<Value, Error> {
        let Value::String(text) = &self.value else { return Ok(self.value) };
        let digits = text.trim();
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if let Ok(whole) = digits.parse::<i64>() {
            return Ok(whole.into());
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Ok(whole.into());
        }
        let broken = digits.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        broken.map(Value::Number).ok_or_else(|| Error::custom(format!("{text:?} is not a number")))
    }

    /// The value, a text being read as a truth value.
    fn truth(self) -> Result<Value, Error> {
        let Value::String(text) = &self.value else { return Ok(self.value) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(Error::custom(format!("{text:?} is neither true nor false"))),
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Lenient<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! as_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.number()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient<'_> {
    type Error = Error;

    as_number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.truth()?.deserialize_bool(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Array(items) => {
                SeqDeserializer::new(items.into_iter().map(Lenient::inner)).deserialize_seq(visitor)
            }
            other => other.deserialize_seq(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Object(map) => {
                let entries = map.into_iter().map(|(name, value)| (name, Lenient::inner(value)));
                MapDeserializer::new(entries).deserialize_map(visitor)
            }
            other => other.deserialize_map(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(noted) = self.fields {
            noted.set(Some(fields));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::arguments::Arguments;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Asked {
        port: Option<i64>,
        ratio: Option<f64>,
        distributed: Option<bool>,
        password: Option<String>,
        sleeps: Option<Vec<f64>>,
    }

    fn read(given: serde_json::Value) -> Result<Asked, String> {
        Arguments::from_serialize(given).unwrap().parse().map_err(|error| error.to_string())
    }

    /// Behaviour: `config-coerce-negative-int`, `config-coerce-plus-int`, `config-coerce-float`,
    /// `config-coerce-exponent`, `config-string-coercion`
    #[test]
    fn texts_become_what_is_asked_for() {
        for (text, number) in [("-1", -1), ("+1", 1), ("600", 600), (" 7 ", 7)] {
            assert_eq!(read(serde_json::json!({ "port": text })).unwrap().port, Some(number));
        }
        for (text, number) in [("0.1", 0.1), ("-3.14e-10", -3.14e-10), ("5", 5.0)] {
            assert_eq!(read(serde_json::json!({ "ratio": text })).unwrap().ratio, Some(number));
        }
        for (text, truth) in [("true", true), ("False", false), ("TRUE", true)] {
            assert_eq!(read(serde_json::json!({ "distributed": text })).unwrap().distributed, Some(truth));
        }
        assert_eq!(read(serde_json::json!({ "sleeps": ["1", 2] })).unwrap().sleeps, Some(vec![1.0, 2.0]));
    }

    #[test]
    fn a_text_that_looks_like_a_number_stays_a_text_where_one_is_asked_for() {
        assert_eq!(
            read(serde_json::json!({ "password": "0123" })).unwrap().password.as_deref(),
            Some("0123")
        );
    }

    #[test]
    fn a_text_that_is_no_number_is_refused() {
        let error = read(serde_json::json!({ "port": "many" })).unwrap_err();
        assert_eq!(error, "wrong arguments: \"many\" is not a number");
    }
}
