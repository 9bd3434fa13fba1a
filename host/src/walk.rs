//! [`Walk`]: a serializer that writes nothing and shows a value's parts to an [`Observer`].

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// How deep values can be nested. Deeper ones could exhaust the stack when they are written.
pub(crate) const MAX_DEPTH: u16 = 512;

/// Looks at the parts of a value. A copy of the observer stands for each part.
pub(crate) trait Observer: Copy {
    /// What is found out about a part.
    type Found: Default;

    /// Looks at a part that has no parts.
    fn leaf(self, leaf: Leaf<'_>) -> Self::Found;

    /// Looks at a part that has parts, after these were added to `parts`.
    fn whole(self, whole: Whole, parts: Self::Found) -> Self::Found;

    /// Returns the observer of a part of this part.
    fn enter(self, step: Step) -> Self;

    /// Returns the observer of the value of a map whose key was looked at.
    fn enter_value(self, key: &Self::Found) -> Self;

    /// Adds what was found out about one part to that about the parts before it.
    fn add(parts: &mut Self::Found, part: Self::Found);

    /// Called for a value that is nested too deep to be looked at.
    fn too_deep(self) {}
}

/// A value without parts.
#[derive(Clone, Copy)]
pub(crate) enum Leaf<'v> {
    Bool(bool),
    /// An integer of a type with so many bits.
    Signed(u8, i128),
    /// An integer of a type with so many bits.
    Unsigned(u8, u128),
    Float32(f32),
    Float64(f64),
    Char(char),
    Str(&'v str),
    /// A string that is made while it is written.
    Display(&'v dyn fmt::Display),
    Bytes(&'v [u8]),
    None,
    Unit,
    UnitStruct,
    UnitVariant(u32, &'static str),
    /// A field that its type does not write at present.
    Skipped,
}

/// A value with parts.
#[derive(Clone, Copy)]
pub(crate) enum Whole {
    Some,
    Newtype,
    Variant,
    Seq { is_empty: bool },
    Tuple(usize),
    Map { is_empty: bool },
    Struct,
}

/// The way from a value to one of its parts.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Some,
    Newtype,
    Variant(u32, &'static str),
    Element(usize),
    Position(usize),
    Key,
    Field(&'static str),
}

/// Shows all parts of `value` to `observer`.
///
/// # Errors
/// If the value refuses to be serialized, or is nested too deep.
#[inline]
pub(crate) fn walk<T: Serialize + ?Sized, O: Observer>(value: &T, observer: O) -> Result<O::Found, Stop> {
    value.serialize(Walk { observer, depth: 0 })
}

/// A place in a value.
#[derive(Clone, Copy)]
pub(crate) struct Walk<O> {
    observer: O,
    depth: u16,
}

type Found<O> = Result<<O as Observer>::Found, Stop>;

impl<O: Observer> Walk<O> {
    #[inline]
    fn deeper(self, observer: O) -> Result<Self, Stop> {
        if self.depth == MAX_DEPTH {
            self.observer.too_deep();
            return Err(Stop);
        }
        Ok(Walk { observer, depth: self.depth + 1 })
    }

    #[inline]
    fn enter(self, step: Step) -> Result<Self, Stop> {
        self.deeper(self.observer.enter(step))
    }

    #[inline]
    fn only<T: Serialize + ?Sized>(self, step: Step, whole: Whole, value: &T) -> Found<O> {
        let part = value.serialize(self.enter(step)?)?;
        Ok(self.observer.whole(whole, part))
    }

    #[inline]
    fn parts(self, whole: Whole) -> Result<Parts<O>, Stop> {
        Ok(Parts { place: self, whole, position: 0, key: None, found: O::Found::default() })
    }
}

macro_rules! leaves {
    ($($method:ident($value:ident: $type:ty) $leaf:expr;)*) => {$(
        #[inline]
        fn $method(self, $value: $type) -> Found<O> {
            Ok(self.observer.leaf($leaf))
        }
    )*};
}

impl<O: Observer> Serializer for Walk<O> {
    type Ok = O::Found;
    type Error = Stop;
    type SerializeSeq = Parts<O>;
    type SerializeTuple = Parts<O>;
    type SerializeTupleStruct = Parts<O>;
    type SerializeTupleVariant = Parts<O>;
    type SerializeMap = Parts<O>;
    type SerializeStruct = Parts<O>;
    type SerializeStructVariant = Parts<O>;

    leaves! {
        serialize_bool(value: bool) Leaf::Bool(value);
        serialize_i8(value: i8) Leaf::Signed(8, value.into());
        serialize_i16(value: i16) Leaf::Signed(16, value.into());
        serialize_i32(value: i32) Leaf::Signed(32, value.into());
        serialize_i64(value: i64) Leaf::Signed(64, value.into());
        serialize_i128(value: i128) Leaf::Signed(128, value);
        serialize_u8(value: u8) Leaf::Unsigned(8, value.into());
        serialize_u16(value: u16) Leaf::Unsigned(16, value.into());
        serialize_u32(value: u32) Leaf::Unsigned(32, value.into());
        serialize_u64(value: u64) Leaf::Unsigned(64, value.into());
        serialize_u128(value: u128) Leaf::Unsigned(128, value);
        serialize_f32(value: f32) Leaf::Float32(value);
        serialize_f64(value: f64) Leaf::Float64(value);
        serialize_char(value: char) Leaf::Char(value);
        serialize_str(value: &str) Leaf::Str(value);
        serialize_bytes(value: &[u8]) Leaf::Bytes(value);
        serialize_unit_struct(_name: &'static str) Leaf::UnitStruct;
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Found<O> {
        Ok(self.observer.leaf(Leaf::Display(&value)))
    }

    #[inline]
    fn serialize_none(self) -> Found<O> {
        Ok(self.observer.leaf(Leaf::None))
    }

    #[inline]
    fn serialize_unit(self) -> Found<O> {
        Ok(self.observer.leaf(Leaf::Unit))
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, index: u32, variant: &'static str) -> Found<O> {
        Ok(self.observer.leaf(Leaf::UnitVariant(index, variant)))
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Found<O> {
        self.only(Step::Some, Whole::Some, value)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Found<O> {
        self.only(Step::Newtype, Whole::Newtype, value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Found<O> {
        self.only(Step::Variant(index, variant), Whole::Variant, value)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<O>, Stop> {
        self.parts(Whole::Seq { is_empty: length == Some(0) })
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Parts<O>, Stop> {
        self.parts(Whole::Tuple(length))
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Parts<O>, Stop> {
        self.parts(Whole::Tuple(length))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<O>, Stop> {
        self.enter(Step::Variant(index, variant))?.parts(Whole::Tuple(length))
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Parts<O>, Stop> {
        self.parts(Whole::Map { is_empty: length == Some(0) })
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Parts<O>, Stop> {
        self.parts(Whole::Struct)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Parts<O>, Stop> {
        self.enter(Step::Variant(index, variant))?.parts(Whole::Struct)
    }
}

/// The parts of a value, one after the other.
pub(crate) struct Parts<O: Observer> {
    place: Walk<O>,
    whole: Whole,
    position: usize,
    /// What was found out about the key of the next value of a map.
    key: Option<O::Found>,
    found: O::Found,
}

impl<O: Observer> Parts<O> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, step: Step, value: &T) -> Result<(), Stop> {
        let part = value.serialize(self.place.enter(step)?)?;
        O::add(&mut self.found, part);
        self.position += 1;
        Ok(())
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let key = self.key.take().unwrap_or_default();
        let place = self.place.deeper(self.place.observer.enter_value(&key))?;
        O::add(&mut self.found, value.serialize(place)?);
        Ok(())
    }

    #[inline]
    fn finish(self) -> Found<O> {
        Ok(self.place.observer.whole(self.whole, self.found))
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident $step:ident;)*) => {$(
        impl<O: Observer> ser::$trait for Parts<O> {
            type Ok = O::Found;
            type Error = Stop;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
                self.part(Step::$step(self.position), value)
            }

            #[inline]
            fn end(self) -> Found<O> {
                self.finish()
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element Element;
    SerializeTuple serialize_element Position;
    SerializeTupleStruct serialize_field Position;
    SerializeTupleVariant serialize_field Position;
}

impl<O: Observer> ser::SerializeMap for Parts<O> {
    type Ok = O::Found;
    type Error = Stop;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        self.key = Some(key.serialize(self.place.enter(Step::Key)?)?);
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.value(value)
    }

    #[inline]
    fn end(self) -> Found<O> {
        self.finish()
    }
}

macro_rules! structs {
    ($($trait:ident)*) => {$(
        impl<O: Observer> ser::$trait for Parts<O> {
            type Ok = O::Found;
            type Error = Stop;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Stop> {
                self.part(Step::Field(name), value)
            }

            #[inline]
            fn skip_field(&mut self, name: &'static str) -> Result<(), Stop> {
                let part = self.place.observer.enter(Step::Field(name)).leaf(Leaf::Skipped);
                O::add(&mut self.found, part);
                Ok(())
            }

            #[inline]
            fn end(self) -> Found<O> {
                self.finish()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

/// The end of a walk over a value that is nested too deep, or that refuses to be serialized.
#[derive(Debug)]
pub(crate) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be serialized")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Stop
    }
}
