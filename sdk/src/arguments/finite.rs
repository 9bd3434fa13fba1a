//! [`Finite`]: a value of a configuration, whose numbers are finite.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value of a configuration. A number that is infinite or not a number is refused.
///
/// As JSON, it would be `null`, and an argument that is `null` has its default.
pub(super) struct Finite(pub(super) Value);

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FiniteVisitor).map(Finite)
    }
}

struct FiniteVisitor;

impl<'de> Visitor<'de> for FiniteVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a configuration")
    }

    fn visit_bool<E: de::Error>(self, given: bool) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_i64<E: de::Error>(self, given: i64) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_u64<E: de::Error>(self, given: u64) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_f64<E: de::Error>(self, given: f64) -> Result<Value, E> {
        let number = Number::from_f64(given).map(Value::Number);
        number.ok_or_else(|| E::custom(format_args!("invalid number {given}: expected a finite one")))
    }

    fn visit_str<E: de::Error>(self, given: &str) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Finite(item)) = given.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some((name, Finite(value))) = given.next_entry()? {
            entries.insert(name, value);
        }
        Ok(entries.into())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, F64Deserializer, MapDeserializer};

    use super::*;

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"a":[1,-2,2.5,"x",true,null,{"b":{}}],"c":18446744073709551615}"#;
        let Finite(read) = serde_json::from_str(text).unwrap();
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn number_that_is_not_finite_is_refused() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let given: F64Deserializer<Error> = number.into_deserializer();
            let error = Finite::deserialize(given).map(|given| given.0).unwrap_err();
            assert!(error.to_string().contains("expected a finite one"), "{error}");
            let nested = MapDeserializer::<_, Error>::new([("timeout", number)].into_iter());
            assert!(Finite::deserialize(nested).is_err());
        }
    }
}
