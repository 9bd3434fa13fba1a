//! [`Writer`]: writes pickles of protocol 3, which every Python 3 reads.

use erased_serde::Serialize as ErasedSerialize;
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::budget::MAX_DEPTH;
use super::error::Error;
use super::integer;
use super::opcode as op;

/// The number of items after which a list or dict takes those that lie on the stack, as in Python.
const BATCH: usize = 1000;

/// Returns the pickle of `value`.
pub(super) fn to_vec(value: &dyn ErasedSerialize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(128);
    out.extend([op::PROTO, 3]);
    let mut writer = Writer { out, depth: 0, keys: 0 };
    value.serialize(&mut writer)?;
    writer.out.push(op::STOP);
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    /// How many containers the current value lies in.
    depth: u32,
    /// How many of them are keys of a dict, or lie in one.
    keys: u32,
}

impl Writer {
    fn enter(&mut self) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::custom(format!(
                "more than {MAX_DEPTH} containers are nested; store a flatter value"
            )));
        }
        self.depth += 1;
        Ok(())
    }

    /// Writes an empty dict, unless it would be a key.
    fn empty_dict(&mut self) -> Result<(), Error> {
        if self.keys > 0 {
            let advice = "use a string, a number, or a tuple as the key";
            return Err(Error::custom(format!("Python cannot use a dict as a key of a dict; {advice}")));
        }
        self.out.push(op::EMPTY_DICT);
        Ok(())
    }

    fn variant(&mut self, name: &str) -> Result<(), Error> {
        self.empty_dict()?;
        self.enter()?;
        self.serialize_str(name)
    }

    /// Begins a list, or a tuple in a key, where Python can use no list.
    fn list(&mut self) -> Result<Compound<'_>, Error> {
        if self.keys > 0 {
            return self.begin(End::Tuple);
        }
        self.out.push(op::EMPTY_LIST);
        self.begin(End::Batch(op::APPENDS))
    }

    fn dict(&mut self) -> Result<Compound<'_>, Error> {
        self.empty_dict()?;
        self.begin(End::Batch(op::SETITEMS))
    }

    fn begin(&mut self, end: End) -> Result<Compound<'_>, Error> {
        self.enter()?;
        if end == End::Tuple {
            self.out.push(op::MARK);
        }
        Ok(Compound { writer: self, end, count: 0, is_variant: false })
    }
}

/// Returns a length of four bytes.
fn length_of(bytes: &[u8], what: &str) -> Result<[u8; 4], Error> {
    let length = u32::try_from(bytes.len());
    let length = length.map_err(|_| Error::custom(format!("{what} of more than 4 GiB is not supported")))?;
    Ok(length.to_le_bytes())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The opcode by which a list or dict takes the items after the mark.
    Batch(u8),
    /// The items become a tuple.
    Tuple,
}

/// A list, tuple, or dict whose items are being written.
struct Compound<'w> {
    writer: &'w mut Writer,
    end: End,
    count: usize,
    /// Whether it is the data of a variant, whose dict and name come before it.
    is_variant: bool,
}

impl Compound<'_> {
    /// Writes what comes before an item.
    fn before_item(&mut self) {
        if let End::Batch(take) = self.end
            && self.count.is_multiple_of(BATCH)
        {
            self.writer.out.extend((self.count > 0).then_some(take));
            self.writer.out.push(op::MARK);
        }
        self.count += 1;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.before_item();
        value.serialize(&mut *self.writer)
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.before_item();
        self.writer.keys += 1;
        key.serialize(&mut *self.writer)?;
        self.writer.keys -= 1;
        Ok(())
    }

    fn finish(self) {
        let out = &mut self.writer.out;
        match (self.end, self.count) {
            (End::Batch(_), 0) => {}
            (End::Batch(take), _) => out.push(take),
            (End::Tuple, 0) => {
                out.pop();
                out.push(op::EMPTY_TUPLE);
            }
            (End::Tuple, _) => out.push(op::TUPLE),
        }
        self.writer.depth -= 1;
        if self.is_variant {
            self.writer.out.push(op::SETITEM);
            self.writer.depth -= 1;
        }
    }
}

macro_rules! small_integers {
    ($($method:ident($integer:ty))*) => {$(
        fn $method(self, value: $integer) -> Result<(), Error> {
            self.serialize_i64(value.into())
        }
    )*};
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'w>;
    type SerializeTuple = Compound<'w>;
    type SerializeTupleStruct = Compound<'w>;
    type SerializeTupleVariant = Compound<'w>;
    type SerializeMap = Compound<'w>;
    type SerializeStruct = Compound<'w>;
    type SerializeStructVariant = Compound<'w>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push(if value { op::NEWTRUE } else { op::NEWFALSE });
        Ok(())
    }

    small_integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        integer::signed(&mut self.out, value.into());
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        integer::signed(&mut self.out, value);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.serialize_i128(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        integer::unsigned(&mut self.out, value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.out.push(op::BINFLOAT);
        self.out.extend(value.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        let length = length_of(value.as_bytes(), "a string")?;
        self.out.push(op::BINUNICODE);
        self.out.extend(length);
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        if let Ok(length) = u8::try_from(value.len()) {
            self.out.extend([op::SHORT_BINBYTES, length]);
        } else {
            let length = length_of(value, "a byte string")?;
            self.out.push(op::BINBYTES);
            self.out.extend(length);
        }
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push(op::NONE);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.out.push(op::SETITEM);
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'w>, Error> {
        self.list()
    }

    fn serialize_tuple(self, _length: usize) -> Result<Compound<'w>, Error> {
        self.begin(End::Tuple)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Compound<'w>, Error> {
        self.begin(End::Tuple)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w>, Error> {
        self.variant(variant)?;
        Ok(Compound { is_variant: true, ..self.list()? })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'w>, Error> {
        self.dict()
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Compound<'w>, Error> {
        self.dict()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w>, Error> {
        self.variant(variant)?;
        Ok(Compound { is_variant: true, ..self.dict()? })
    }
}

/// Implements the traits whose items, besides keys, are alike.
macro_rules! items {
    ($($part:ident :: $method:ident)*) => {$(
        impl $part for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

/// Implements the traits whose items are fields.
macro_rules! fields {
    ($($part:ident)*) => {$(
        impl $part for Compound<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.key(key)?;
                value.serialize(&mut *self.writer)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}
