//! [`Shape`]: what a value consists of, without its contents.
//!
//! A *feature* is a kind of value at a place: "a string at the field `name` of an element". The place has the static
//! steps from the outermost value: fields, variants, and positions in tuples, but neither the keys of maps nor the
//! positions in lists. Kinds distinguish the values that formats treat differently, such as finite numbers and `NaN`.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use foldhash::fast::FixedState;
use serde::Serialize;

use super::features::Features;
use crate::walk::{Leaf, Observer, Step, Whole, walk};

/// Positions in a tuple from this one on count as one place. Some crates serialize long arrays as tuples.
const POSITIONS: usize = 32;

/// The most new features that are collected of one value.
const MAX_NEW: usize = 1 << 14;

/// The features of a value, as far as they are new.
pub(super) struct Shape {
    new: HashSet<u64, FixedState>,
    pub(super) is_too_deep: bool,
    /// Whether a number in it is infinite, or `NaN`.
    pub(super) is_non_finite: bool,
}

impl Shape {
    #[inline]
    pub(super) fn has_new_features(&self) -> bool {
        !self.new.is_empty()
    }

    pub(super) fn new_features(&self) -> impl Iterator<Item = u64> {
        self.new.iter().copied()
    }
}

/// Returns the shape of `value`, as far as `known` lacks its features.
#[inline]
pub(super) fn shape_of<T: Serialize>(value: &T, known: &Features) -> Shape {
    let seen = Seen {
        known,
        last: Cell::new(0),
        new: RefCell::default(),
        is_too_deep: Cell::new(false),
        is_non_finite: Cell::new(false),
    };
    // Other errors come from the value itself. The serializer is going to report them.
    let _ = walk(value, Place { seen: &seen, path: 1 });
    let (is_too_deep, is_non_finite) = (seen.is_too_deep.get(), seen.is_non_finite.get());
    Shape { new: seen.new.into_inner(), is_too_deep, is_non_finite }
}

/// What was seen so far.
struct Seen<'k> {
    known: &'k Features,
    /// The last feature, which is often the next one too.
    last: Cell<u64>,
    new: RefCell<HashSet<u64, FixedState>>,
    is_too_deep: Cell<bool>,
    is_non_finite: Cell<bool>,
}

impl Seen<'_> {
    #[inline(always)]
    fn note(&self, feature: u64) {
        if self.last.replace(feature) != feature && !self.known.surely_contains(feature) {
            self.search(feature);
        }
    }

    #[inline(never)]
    fn search(&self, feature: u64) {
        let mut new = self.new.borrow_mut();
        if !self.known.contains(feature) && new.len() < MAX_NEW {
            new.insert(feature);
        }
    }
}

/// A place in a value.
#[derive(Clone, Copy)]
struct Place<'s> {
    seen: &'s Seen<'s>,
    path: u64,
}

impl Place<'_> {
    #[inline(always)]
    fn note(self, kind: u64, detail: u64) {
        // Zero is not a feature.
        self.seen.note(mix(self.path, detail << 8 | kind) | 1);
    }

    #[inline(always)]
    fn float(self, kind: u64, value: f64) {
        if !value.is_finite() {
            self.seen.is_non_finite.set(true);
        }
        self.note(kind, class_of(value));
    }

    #[inline(always)]
    fn step(self, kind: u64, detail: u64) -> Self {
        Place { path: mix(self.path, detail << 8 | kind), ..self }
    }
}

impl Observer for Place<'_> {
    type Found = ();

    #[inline(always)]
    fn leaf(self, leaf: Leaf<'_>) {
        match leaf {
            Leaf::Bool(value) => self.note(1, value.into()),
            Leaf::Signed(bits, value) => self.note(2, u64::from(bits) << 8 | signed_range(value)),
            Leaf::Unsigned(bits, value) => self.note(3, u64::from(bits) << 8 | unsigned_range(value)),
            Leaf::Float32(value) => self.float(4, value.into()),
            Leaf::Float64(value) => self.float(5, value),
            Leaf::Char(_) => self.note(6, 0),
            // The text need not be made to know that it is one.
            Leaf::Str(value) => self.note(7, class_of_str(value)),
            Leaf::Display(_) => self.note(7, 0),
            Leaf::Bytes(_) => self.note(8, 0),
            Leaf::None => self.note(9, 0),
            Leaf::Unit => self.note(10, 0),
            Leaf::UnitStruct => self.note(11, 0),
            Leaf::UnitVariant(index, _) => self.note(12, index.into()),
            Leaf::Skipped => self.note(13, 0),
        }
    }

    #[inline(always)]
    fn whole(self, whole: Whole, (): ()) {
        match whole {
            // Their parts say it all.
            Whole::Some | Whole::Newtype | Whole::Variant => {}
            Whole::Seq { is_empty } => self.note(14, is_empty.into()),
            Whole::Tuple(length) => self.note(15, length as u64),
            Whole::Map { is_empty } => self.note(16, is_empty.into()),
            Whole::Struct => self.note(17, 0),
        }
    }

    #[inline(always)]
    fn enter(self, step: Step) -> Self {
        match step {
            Step::Some => self.step(20, 0),
            Step::Newtype => self.step(21, 0),
            Step::Variant(index, _) => self.step(22, index.into()),
            Step::Element(_) => self.step(23, 0),
            Step::Position(position) => self.step(24, position.min(POSITIONS) as u64),
            Step::Key => self.step(25, 0),
            // The address of a literal is a good name, and quickly read.
            Step::Field(name) => self.step(26, (name.as_ptr() as u64) << 8 ^ name.len() as u64),
        }
    }

    #[inline(always)]
    fn enter_value(self, (): &()) -> Self {
        self.step(27, 0)
    }

    #[inline(always)]
    fn add((): &mut (), (): ()) {}

    fn too_deep(self) {
        self.seen.is_too_deep.set(true);
    }
}

/// Mixes `more` into `hash`. What is mixed is not chosen from outside.
#[inline(always)]
fn mix(hash: u64, more: u64) -> u64 {
    (hash.rotate_left(5) ^ more).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns a number for the smallest type that `value` fits into.
#[inline(always)]
fn signed_range(value: i128) -> u64 {
    match value {
        0 => 3,
        _ if i64::try_from(value).is_ok() => 0,
        _ if u64::try_from(value).is_ok() => 1,
        _ => 2,
    }
}

/// Returns a number for the smallest type that `value` fits into.
#[inline(always)]
fn unsigned_range(value: u128) -> u64 {
    i128::try_from(value).map_or(4, signed_range)
}

/// Distinguishes usual strings, the empty one, and those that have a meaning of their own in JSON.
#[inline(always)]
fn class_of_str(value: &str) -> u64 {
    match value.as_bytes() {
        [] => 1,
        b"null" => 2,
        // The JSON library takes a map with such a key for a number, or for raw JSON.
        [b'$', ..] => 3,
        _ => 0,
    }
}

/// Distinguishes finite numbers, the zeros, infinities, and `NaN`.
#[inline(always)]
fn class_of(value: f64) -> u64 {
    match value {
        _ if value.is_nan() => 1,
        _ if value.is_infinite() => 2 + u64::from(value.is_sign_negative()),
        _ if value == 0.0 => 4 + u64::from(value.is_sign_negative()),
        _ => 0,
    }
}
