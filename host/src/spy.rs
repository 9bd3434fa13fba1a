//! [`Spy`]: a deserializer that observes what a type requests and what it gets.
//!
//! Most types request what they expect. Untagged enums, flattened fields, and dynamic values take what the format has,
//! by `deserialize_any`, and guess the type from it. A spy notes that. It also replaces strings that stand for numbers.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// A deserializer, a part of one, or what it is read with, under observation.
pub(crate) struct Spy<'s, D> {
    inner: D,
    mission: Mission<'s>,
}

/// What a spy does.
#[derive(Clone, Copy)]
pub(crate) struct Mission<'s> {
    /// Set if the format chose what was read.
    pub(crate) chosen: Option<&'s Cell<bool>>,
    /// Returns the number that a string stands for.
    pub(crate) number_of: Option<fn(&str) -> Option<f64>>,
}

impl Mission<'_> {
    fn number_of(&self, text: &str) -> Option<f64> {
        self.number_of.and_then(|number_of| number_of(text))
    }
}

impl<'s, D> Spy<'s, D> {
    pub(crate) fn new(inner: D, mission: Mission<'s>) -> Self {
        Spy { inner, mission }
    }
}

macro_rules! expected {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Spy::new(visitor, self.mission))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Spy<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if let Some(chosen) = self.mission.chosen {
            chosen.set(true);
        }
        self.inner.deserialize_any(Spy::new(visitor, self.mission))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = Spy::new(visitor, self.mission);
        match self.mission.number_of {
            None => self.inner.deserialize_f32(visitor),
            Some(_) => self.inner.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = Spy::new(visitor, self.mission);
        match self.mission.number_of {
            None => self.inner.deserialize_f64(visitor),
            Some(_) => self.inner.deserialize_any(visitor),
        }
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    expected! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }
}

macro_rules! values {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Spy<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    values! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        match self.mission.number_of(value) {
            Some(number) => self.inner.visit_f64(number),
            None => self.inner.visit_str(value),
        }
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        match self.mission.number_of(value) {
            Some(number) => self.inner.visit_f64(number),
            None => self.inner.visit_borrowed_str(value),
        }
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        match self.mission.number_of(&value) {
            Some(number) => self.inner.visit_f64(number),
            None => self.inner.visit_string(value),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Spy::new(deserializer, self.mission))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Spy::new(deserializer, self.mission))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Spy::new(seq, self.mission))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Spy::new(map, self.mission))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Spy::new(data, self.mission))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Spy<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Spy::new(deserializer, self.mission))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Spy<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Spy::new(seed, self.mission))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Spy<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(Spy::new(seed, self.mission))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(Spy::new(seed, self.mission))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 's, A: EnumAccess<'de>> EnumAccess<'de> for Spy<'s, A> {
    type Error = A::Error;
    type Variant = Spy<'s, A::Variant>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(Spy::new(seed, self.mission))?;
        Ok((value, Spy::new(variant, self.mission)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Spy<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Spy::new(seed, self.mission))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(length, Spy::new(visitor, self.mission))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Spy::new(visitor, self.mission))
    }
}
