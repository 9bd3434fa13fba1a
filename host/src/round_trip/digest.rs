//! [`digest`]: a number for all contents of a value.
//!
//! The order of lists and maps does not count, because sets and maps are written in an arbitrary order.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use serde::Serialize;

use crate::walk::{Leaf, Observer, Step, Whole, walk};

/// Returns a number that is the same for equal values, or `None` if serde does not show the value.
pub(super) fn digest<T: Serialize>(value: &T) -> Option<u64> {
    walk(value, Digest(0)).ok()
}

/// The digest of the way to a part from the part that contains it.
#[derive(Clone, Copy)]
struct Digest(u64);

/// Returns a number for `value` of a `kind` at a place.
fn mix(place: u64, kind: u64, value: u64) -> u64 {
    fold(fold(place ^ 0x243f_6a88_85a3_08d3, kind ^ 0x1319_8a2e_0370_7344), value ^ 0xa409_3822_299f_31d0)
}

/// Multiplies two numbers, and folds the product into one.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

fn of_bytes(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

fn of_wide(value: u128) -> u64 {
    mix(value as u64, 0, (value >> 64) as u64)
}

impl Observer for Digest {
    type Found = u64;

    fn leaf(self, leaf: Leaf<'_>) -> u64 {
        match leaf {
            Leaf::Bool(value) => mix(self.0, 1, value.into()),
            Leaf::Signed(bits, value) => mix(self.0, 256 + u64::from(bits), of_wide(value as u128)),
            Leaf::Unsigned(bits, value) => mix(self.0, 512 + u64::from(bits), of_wide(value)),
            // There are many forms of "not a number". All of them count as one value.
            Leaf::Float32(value) if value.is_nan() => mix(self.0, 2, 0),
            Leaf::Float32(value) => mix(self.0, 3, value.to_bits().into()),
            Leaf::Float64(value) if value.is_nan() => mix(self.0, 4, 0),
            Leaf::Float64(value) => mix(self.0, 5, value.to_bits()),
            Leaf::Char(value) => mix(self.0, 6, u32::from(value).into()),
            Leaf::Str(value) => mix(self.0, 7, of_bytes(value.as_bytes())),
            Leaf::Display(value) => mix(self.0, 7, of_bytes(value.to_string().as_bytes())),
            Leaf::Bytes(value) => mix(self.0, 8, of_bytes(value)),
            Leaf::None => mix(self.0, 9, 0),
            Leaf::Unit => mix(self.0, 10, 0),
            Leaf::UnitStruct => mix(self.0, 11, 0),
            Leaf::UnitVariant(index, _) => mix(self.0, 12, index.into()),
            // A field may be written as its default, or not at all.
            Leaf::Skipped => 0,
        }
    }

    fn whole(self, whole: Whole, parts: u64) -> u64 {
        let kind = match whole {
            Whole::Some => 20,
            Whole::Newtype => 21,
            Whole::Variant => 22,
            Whole::Seq { .. } => 23,
            Whole::Tuple(_) => 24,
            Whole::Map { .. } => 25,
            Whole::Struct => 26,
        };
        mix(self.0, kind, parts)
    }

    fn enter(self, step: Step) -> Self {
        Digest(match step {
            Step::Some | Step::Newtype | Step::Element(_) | Step::Key => 0,
            Step::Variant(index, _) => mix(self.0, 30, index.into()),
            Step::Position(position) => mix(0, 31, position as u64),
            Step::Field(name) => mix(0, 32, of_bytes(name.as_bytes())),
        })
    }

    fn enter_value(self, key: &u64) -> Self {
        Digest(*key)
    }

    fn add(parts: &mut u64, part: u64) {
        *parts = parts.wrapping_add(part);
    }
}
