//! [`Lenient`]: reads the values of a configuration as the types that an entry point expects.
//!
//! An ini file contains only strings. Python's dogpile.cache guesses their types before it knows which types are
//! expected, so that the password `0123` becomes 123. Here, a string is converted only where a number, a boolean, or
//! a list is expected.
//
// Source: dogpile.cache `util/__init__.py`, `coerce_string_conf`.

use std::cell::Cell;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::error::ArgumentError;
use super::list;

/// The field names of the outermost struct, once they are known.
pub(super) type FieldNames = Cell<Option<&'static [&'static str]>>;

/// A value that is to be read as an expected type.
pub(super) struct Lenient<'a> {
    pub(super) value: Value,
    /// Where to note the field names. Only the outermost value has it.
    pub(super) fields: Option<&'a FieldNames>,
}

impl Lenient<'_> {
    fn inner(value: Value) -> Self {
        Lenient { value, fields: None }
    }

    /// Returns the value. A string is parsed as a number.
    fn number(self) -> Result<Value, ArgumentError> {
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
        broken.map(Value::Number).ok_or_else(|| ArgumentError::custom(format!("{text:?} is not a number")))
    }

    /// Returns the value. A string is parsed as a boolean.
    fn boolean(self) -> Result<Value, ArgumentError> {
        let Value::String(text) = &self.value else { return Ok(self.value) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(ArgumentError::custom(format!("{text:?} is neither true nor false"))),
        }
    }
}

impl<'de> IntoDeserializer<'de, ArgumentError> for Lenient<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! as_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
            any(self.number()?, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient<'_> {
    type Error = ArgumentError;

    as_number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        any(self.boolean()?, visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        any(self.value, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.value {
            Value::Array(items) => {
                SeqDeserializer::new(items.into_iter().map(Lenient::inner)).deserialize_seq(visitor)
            }
            Value::String(text) => {
                let elements = list::split(&text).map(|element| Lenient::inner(element.into()));
                SeqDeserializer::new(elements).deserialize_seq(visitor)
            }
            other => any(other, visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        match self.value {
            Value::Object(map) => visitor.visit_map(Named::new(map)),
            other => any(other, visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
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
    ) -> Result<V::Value, ArgumentError> {
        Ok(self.value.deserialize_enum(name, variants, visitor)?)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// Passes `value` to `visitor` as it is. The visitor reports a wrong type as an [`ArgumentError`], without types of Rust.
fn any<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, ArgumentError> {
    match value {
        Value::Null => visitor.visit_unit(),
        Value::Bool(given) => visitor.visit_bool(given),
        Value::String(text) => visitor.visit_string(text),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => visitor.visit_u64(number),
            (_, Some(number), _) => visitor.visit_i64(number),
            (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
        },
        Value::Array(items) => {
            SeqDeserializer::new(items.into_iter().map(Lenient::inner)).deserialize_any(visitor)
        }
        Value::Object(map) => {
            let entries = map.into_iter().map(|(name, value)| (name, Lenient::inner(value)));
            MapDeserializer::new(entries).deserialize_any(visitor)
        }
    }
}

/// The arguments of an entry point, or a table in them. An error in a value gets the name of its argument.
struct Named {
    left: serde_json::map::IntoIter,
    next: Option<(String, Value)>,
}

impl Named {
    fn new(map: Map<String, Value>) -> Self {
        Named { left: map.into_iter(), next: None }
    }
}

impl<'de> MapAccess<'de> for Named {
    type Error = ArgumentError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ArgumentError> {
        self.next = self.left.next();
        let Some((name, _)) = &self.next else { return Ok(None) };
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ArgumentError> {
        let (name, value) = self.next.take().unwrap_or_default();
        seed.deserialize(Lenient::inner(value)).map_err(|error| error.in_argument(name))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use crate::arguments::Arguments;
    use crate::error::BackendError;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Expected {
        port: Option<i64>,
        level: Option<u8>,
        ratio: Option<f64>,
        distributed: Option<bool>,
        password: Option<String>,
        sleeps: Option<Vec<f64>>,
        names: Option<Vec<String>>,
        node: Option<Node>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Node {
        host: String,
        #[serde(default)]
        password: Option<String>,
    }

    fn parse(given: serde_json::Value) -> Result<Expected, BackendError> {
        Arguments::from_serialize(given).unwrap().parse()
    }

    fn read(given: serde_json::Value) -> Expected {
        parse(given).unwrap()
    }

    /// Behavior: `config-coerce-negative-int`, `config-coerce-plus-int`, `config-coerce-float`,
    /// `config-coerce-exponent`, `config-string-coercion`
    #[test]
    fn strings_become_the_expected_types() {
        for (text, number) in [("-1", -1), ("+1", 1), ("600", 600), (" 7 ", 7)] {
            assert_eq!(read(json!({ "port": text })).port, Some(number));
        }
        for (text, number) in [("0.1", 0.1), ("-3.14e-10", -3.14e-10), ("5", 5.0)] {
            assert_eq!(read(json!({ "ratio": text })).ratio, Some(number));
        }
        for (text, truth) in [("true", true), ("False", false), ("TRUE", true)] {
            assert_eq!(read(json!({ "distributed": text })).distributed, Some(truth));
        }
        assert_eq!(read(json!({ "sleeps": ["1", 2] })).sleeps, Some(vec![1.0, 2.0]));
    }

    #[test]
    fn string_becomes_the_expected_list() {
        for (text, numbers) in
            [("1", &[1.0][..]), ("1, 2.5", &[1.0, 2.5]), ("1,\n2,", &[1.0, 2.0]), ("", &[]), (" , ", &[])]
        {
            assert_eq!(read(json!({ "sleeps": text })).sleeps.as_deref(), Some(numbers), "{text:?}");
        }
        let names = |given| read(json!({ "names": given })).names.unwrap();
        assert_eq!(names(json!("[::1]:1, b c ,d")), ["[::1]:1", "b c", "d"]);
        assert_eq!(names(json!(["a,b", " c "])), ["a,b", " c "], "elements of an array are not split");
    }

    #[test]
    fn expected_string_is_not_converted() {
        for text in ["0123", "a,b"] {
            assert_eq!(read(json!({ "password": text })).password.as_deref(), Some(text));
        }
    }

    #[test]
    fn invalid_value_is_reported_with_its_argument() {
        for (given, argument, message) in [
            (json!({ "port": "many" }), "port", "invalid argument \"port\": \"many\" is not a number"),
            (
                json!({ "ratio": 1, "port": true }),
                "port",
                "invalid argument \"port\": found true; expected a whole number",
            ),
            (
                json!({ "level": -5 }),
                "level",
                "invalid argument \"level\": found -5; expected a whole number from 0 to 255",
            ),
            (json!({ "port": 1.5 }), "port", "invalid argument \"port\": found 1.5; expected a whole number"),
            (
                json!({ "port": [1] }),
                "port",
                "invalid argument \"port\": found a list; expected a whole number",
            ),
            (json!({ "names": 5 }), "names", "invalid argument \"names\": found 5; expected a list"),
            (json!({ "node": 5 }), "node", "invalid argument \"node\": found 5; expected a table"),
            (json!({ "password": 12345 }), "password", "invalid argument \"password\": expected a string"),
            (
                json!({ "node": { "host": "a", "password": 12345 } }),
                "node",
                "invalid argument \"node\": expected a string",
            ),
            (json!({ "node": "password=12345" }), "node", "invalid argument \"node\": expected a table"),
            (json!({ "distributed": "yes" }), "distributed", "\"yes\" is neither true nor false"),
            (json!({ "sleeps": [1, "x"] }), "sleeps", "invalid argument \"sleeps\": \"x\" is not a number"),
            (json!({ "sleeps": "1,x" }), "sleeps", "invalid argument \"sleeps\": \"x\" is not a number"),
            (
                json!({ "node": {} }),
                "node",
                "invalid argument \"node\": missing entry \"host\"; write it as { host = ... }",
            ),
        ] {
            let error = parse(given).unwrap_err();
            assert_eq!(error.argument(), Some(argument), "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn missing_argument_is_reported_with_its_name() {
        let error = Arguments::default().parse::<Node>().unwrap_err();
        assert_eq!(
            (error.argument(), error.to_string().as_str()),
            (Some("host"), "missing argument \"host\"; add it, such as arguments = { host = ... }")
        );
    }
}
