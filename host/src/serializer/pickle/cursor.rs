//! [`Cursor`]: a value of a pickle as serde reads it.

use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::arena::{Arena, Items, Kind, Text, Value, Wide};
use super::budget::Budget;
use super::error::Error;

/// A value of a pickle, which is read as far as the target type needs it.
pub(super) struct Cursor<'s, 'a> {
    pub(super) value: Value<'a>,
    pub(super) arena: &'s Arena<'a>,
    pub(super) budget: &'s mut Budget,
}

impl<'a> Cursor<'_, 'a> {
    /// Continues with another value.
    fn at(&mut self, value: Value<'a>) -> Cursor<'_, 'a> {
        Cursor { value, arena: self.arena, budget: self.budget }
    }

    fn container<V: Visitor<'a>>(self, number: u32, visitor: V) -> Result<V::Value, Error> {
        let container = self.arena.container(number);
        self.budget.enter(container.length)?;
        let items = self.arena.items(container);
        let mut entries = Entries { items, arena: self.arena, budget: self.budget };
        let visited = match container.kind {
            Kind::Dict => visitor.visit_map(&mut entries),
            _ => visitor.visit_seq(&mut entries),
        };
        let left = entries.items.len();
        self.budget.leave();
        let value = visited?;
        if left == 0 {
            Ok(value)
        } else {
            Err(Error::invalid_length(container.length as usize, &Fewer(left)))
        }
    }

    fn text<V: Visitor<'a>>(self, text: Text<'a>, visitor: V) -> Result<V::Value, Error> {
        self.budget.spend(self.arena.text(text).len() as u64)?;
        match text {
            Text::Borrowed(text) => visitor.visit_borrowed_str(text),
            Text::Decoded(number) => visitor.visit_str(self.arena.decoded(number)),
        }
    }

    /// Returns the bytes that `text` stands for.
    fn latin1(&mut self, text: Text<'a>) -> Result<Vec<u8>, Error> {
        let text = self.arena.text(text);
        self.budget.spend(text.len() as u64)?;
        let bytes = text.chars().map(|character| u8::try_from(u32::from(character)));
        bytes.collect::<Result<_, _>>().map_err(|_| Error::custom("bytes contain a character beyond Latin-1"))
    }

    /// Reads bytes as a sequence of numbers.
    fn numbers<V: Visitor<'a>>(bytes: &[u8], visitor: V) -> Result<V::Value, Error> {
        let mut numbers = SeqDeserializer::<_, Error>::new(bytes.iter().copied());
        let value = visitor.visit_seq(&mut numbers)?;
        numbers.end()?;
        Ok(value)
    }

    fn wide<V: Visitor<'a>>(wide: Wide, visitor: V) -> Result<V::Value, Error> {
        match wide {
            Wide::Unsigned(integer) => visitor.visit_u128(integer),
            Wide::Signed(integer) => match u64::try_from(integer) {
                Ok(integer) => visitor.visit_u64(integer),
                Err(_) => visitor.visit_i128(integer),
            },
        }
    }

    /// Reads an item of a sequence, or bytes as numbers.
    fn sequence<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Bytes(bytes) => {
                self.budget.spend(bytes.len() as u64)?;
                Self::numbers(bytes, visitor)
            }
            Value::Latin1(text) => Self::numbers(&self.latin1(text)?, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    /// Reads a str. Bytes are not read as one, even if they are UTF-8.
    fn string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Bytes(bytes) => Err(Error::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            Value::Latin1(_) => Err(Error::invalid_type(Unexpected::Other("bytes"), &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    /// Reads a variant with data: a dict from the variant's name to the data.
    fn data_variant<V: Visitor<'a>>(mut self, number: u32, visitor: V) -> Result<V::Value, Error> {
        let container = self.arena.container(number);
        let mut items = self.arena.items(container);
        let (Kind::Dict, 2, Some(name), data) =
            (container.kind, container.length, items.next(), items.next())
        else {
            let found = Unexpected::Other("a container that is not a dict with one entry");
            return Err(Error::invalid_type(found, &visitor));
        };
        self.budget.enter(container.length)?;
        let read = visitor.visit_enum(Variant { name: self.at(name), data });
        self.budget.leave();
        read
    }

    /// Reads what an option or a newtype contains.
    fn wrapped<T>(mut self, read: impl FnOnce(Cursor<'_, 'a>) -> Result<T, Error>) -> Result<T, Error> {
        self.budget.wrap()?;
        let value = self.value;
        let read = read(self.at(value));
        self.budget.unwrap();
        read
    }
}

impl<'a> Deserializer<'a> for Cursor<'_, 'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::None => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Wide(number) => Self::wide(self.arena.wide(number), visitor),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Str(text) => self.text(text, visitor),
            Value::Bytes(bytes) => {
                self.budget.spend(bytes.len() as u64)?;
                visitor.visit_borrowed_bytes(bytes)
            }
            Value::Latin1(text) => visitor.visit_byte_buf(self.latin1(text)?),
            Value::Container(number) => self.container(number, visitor),
            Value::Callable(_) => Err(Error::invalid_type(Unexpected::Other("a Python class"), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::None => visitor.visit_none(),
            _ => self.wrapped(|cursor| visitor.visit_some(cursor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.wrapped(|cursor| visitor.visit_newtype_struct(cursor))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Value::Container(number) => self.data_variant(number, visitor),
            _ => visitor.visit_enum(Variant { name: self, data: None }),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.sequence(visitor)
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct map struct
    }
}

/// What is left of a container while it is read.
struct Entries<'s, 'a> {
    items: Items<'s, 'a>,
    arena: &'s Arena<'a>,
    budget: &'s mut Budget,
}

impl<'a> Entries<'_, 'a> {
    fn next<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.items.next() else { return Ok(None) };
        seed.deserialize(Cursor { value, arena: self.arena, budget: self.budget }).map(Some)
    }
}

impl<'a> SeqAccess<'a> for Entries<'_, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

impl<'a> MapAccess<'a> for Entries<'_, 'a> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.next(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Error> {
        self.next(seed)?.ok_or_else(|| Error::custom("a key of a dict has no value"))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() / 2)
    }
}

/// A variant of an enum, with its data if it has some.
struct Variant<'s, 'a> {
    name: Cursor<'s, 'a>,
    data: Option<Value<'a>>,
}

impl<'s, 'a> Variant<'s, 'a> {
    fn data(self, expected: &dyn Expected) -> Result<Cursor<'s, 'a>, Error> {
        let value = self.data.ok_or_else(|| Error::invalid_type(Unexpected::UnitVariant, expected))?;
        Ok(Cursor { value, ..self.name })
    }
}

impl<'a> EnumAccess<'a> for Variant<'_, 'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'a>>(mut self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = self.name.value;
        Ok((seed.deserialize(self.name.at(name))?, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'_, 'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.data.is_none() { Ok(()) } else { <()>::deserialize(self.data(&"unit variant")?) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.data(&"newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'a>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.data(&"tuple variant")?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.data(&"struct variant")?.deserialize_any(visitor)
    }
}

/// The part of an error that states how many items are too many.
struct Fewer(usize);

impl Expected for Fewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fewer", self.0)
    }
}
