//! [`difference`]: the first part of a value that another value does not have.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use serde::Serialize;

use crate::walk::{Leaf, Observer, Step, Whole, walk};

/// The most parts that are compared. A value may have millions, and each costs memory.
const PARTS: usize = 4096;

/// The longest text that is kept of a part or a key, in bytes. A hash stands for a longer one.
const LENGTH: usize = 64;

/// Returns how `read` differs from `value`, for a message. It shows neither strings nor bytes, which may be secret.
pub(super) fn difference<T: Serialize>(value: &T, read: &T) -> String {
    let (before, after) = (outline_of(value), outline_of(read));
    let changed = before.iter().find_map(|(path, part)| part.change(after.get(path)));
    let added = || {
        let (_, part) = after.iter().find(|(path, _)| !before.contains_key(*path))?;
        Some(format!("{}{} would be added", part.shown, part.place()))
    };
    changed.or_else(added).unwrap_or_else(|| "its parts would change".to_owned())
}

/// Returns all parts without parts, by the way to them.
fn outline_of<T: Serialize>(value: &T) -> BTreeMap<String, Part> {
    let page = Page { places: RefCell::new(vec![Place::default()]), parts: RefCell::default() };
    // A part that serde does not show is the last one that is compared.
    let _ = walk(value, Outline { page: &page, place: 0 });
    page.parts.into_inner()
}

/// A part without parts.
struct Part {
    shown_path: String,
    /// The text, which is compared.
    text: String,
    shown: String,
}

impl Part {
    /// Returns how this part differs from the one that was read at its place.
    fn change(&self, read: Option<&Part>) -> Option<String> {
        let Part { shown, text, .. } = self;
        match read {
            Some(other) if other.text == *text => None,
            Some(other) if other.shown == *shown => {
                Some(format!("{shown}{} would become another", self.place()))
            }
            Some(other) => Some(format!("{shown}{} would become {}", self.place(), other.shown)),
            None => Some(format!("{shown}{} would be lost", self.place())),
        }
    }

    fn place(&self) -> String {
        if self.shown_path.is_empty() { String::new() } else { format!(" at {}", self.shown_path) }
    }
}

struct Page {
    places: RefCell<Vec<Place>>,
    parts: RefCell<BTreeMap<String, Part>>,
}

/// The way to a part.
#[derive(Clone, Default)]
struct Place {
    path: String,
    /// The path without the keys of maps.
    shown_path: String,
    /// What is around the part without being a step of its path, such as `Some(`.
    around: String,
}

impl Place {
    fn step(&mut self, step: fmt::Arguments<'_>) {
        self.path.push_str(&step.to_string());
        self.shown_path.push_str(&step.to_string());
    }
}

#[derive(Clone, Copy)]
struct Outline<'p> {
    page: &'p Page,
    place: usize,
}

impl Outline<'_> {
    fn changed(self, change: impl FnOnce(&mut Place)) -> Self {
        let mut places = self.page.places.borrow_mut();
        if places.len() == 2 * PARTS {
            return self;
        }
        let mut place = places[self.place].clone();
        change(&mut place);
        places.push(place);
        Outline { place: places.len() - 1, ..self }
    }

    fn part(self, text: &str, shown: &str) {
        let mut parts = self.page.parts.borrow_mut();
        if parts.len() < PARTS && self.page.places.borrow().len() < 2 * PARTS {
            let Place { path, shown_path, around } = self.page.places.borrow()[self.place].clone();
            let closed = ")".repeat(around.matches('(').count());
            let text = format!("{around}{text}");
            parts.insert(path, Part { shown_path, text, shown: format!("{around}{shown}{closed}") });
        }
    }
}

impl Observer for Outline<'_> {
    /// The text of a key.
    type Found = String;

    fn leaf(self, leaf: Leaf<'_>) -> String {
        let (text, shown) = match leaf {
            Leaf::Bool(value) => (value.to_string(), None),
            Leaf::Signed(bits, value) => (format!("{value}i{bits}"), None),
            Leaf::Unsigned(bits, value) => (format!("{value}u{bits}"), None),
            Leaf::Float32(value) => (format!("{value:?}f32"), None),
            Leaf::Float64(value) => (format!("{value:?}f64"), None),
            Leaf::Char(value) => (format!("{value:?}"), Some("a character".to_owned())),
            Leaf::Str(value) => (bounded(value), Some(format!("a string of {} bytes", value.len()))),
            Leaf::Display(value) => return self.leaf(Leaf::Str(&value.to_string())),
            Leaf::Bytes(value) => {
                (bounded(&String::from_utf8_lossy(value)), Some(format!("{} raw bytes", value.len())))
            }
            Leaf::None => ("None".to_owned(), None),
            Leaf::Unit => ("()".to_owned(), None),
            Leaf::UnitStruct => ("a unit struct".to_owned(), None),
            Leaf::UnitVariant(_, name) => (name.to_owned(), None),
            Leaf::Skipped => return String::new(),
        };
        self.part(&text, shown.as_ref().unwrap_or(&text));
        text
    }

    fn whole(self, whole: Whole, parts: String) -> String {
        match whole {
            Whole::Seq { is_empty: true } => self.part("[]", "[]"),
            Whole::Map { is_empty: true } => self.part("{}", "{}"),
            _ => {}
        }
        parts
    }

    fn enter(self, step: Step) -> Self {
        self.changed(|place| match step {
            Step::Some => place.around.push_str("Some("),
            Step::Variant(_, name) => {
                place.around.push_str(name);
                place.around.push('(');
            }
            Step::Newtype => {}
            Step::Key => place.path.push_str("[key]"),
            Step::Element(number) => place.step(format_args!("[{number}]")),
            Step::Position(number) => place.step(format_args!(".{number}")),
            Step::Field(name) => place.step(format_args!(".{name}")),
        })
    }

    fn enter_value(self, key: &String) -> Self {
        self.changed(|place| {
            place.path.push_str(&format!("[{key}]"));
            place.shown_path.push_str("[_]");
        })
    }

    fn add(parts: &mut String, part: String) {
        // Only a key needs the text, to distinguish it from others.
        parts.push_str(&part);
        *parts = bounded(parts);
    }
}

/// Returns `text`, or a hash of it if it is long.
fn bounded(text: &str) -> String {
    if text.len() <= LENGTH {
        text.to_owned()
    } else {
        format!("#{:016x}", FixedState::default().hash_one(text))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn difference_names_the_first_part_that_changed() {
        assert_eq!(difference(&Some(None), &None::<Option<u8>>), "Some(None) would become None");
        let (one, other) = ([(1_u8, 2.5_f32)], [(1_u8, f32::NAN)]);
        assert_eq!(difference(&one, &other), "2.5f32 at .0.1 would become NaNf32");
        assert_eq!(difference(&vec![1_u64], &vec![]), "1u64 at [0] would be lost");
        assert_eq!(difference(&vec![1_u64], &vec![1, 2]), "2u64 at [1] would be added");
    }

    #[test]
    fn difference_of_large_values_takes_bounded_memory() {
        let of = |last: Option<u8>| {
            let mut list = vec![Some(Some(1)); 100_000];
            list.push(Some(last));
            BTreeMap::from([("k".repeat(100_000), list)])
        };
        assert_eq!(difference(&of(None), &of(Some(1))), "its parts would change");
        let outline = outline_of(&of(None));
        let bytes = outline.iter().map(|(path, part)| path.len() + part.text.len() + part.shown.len());
        assert!(outline.len() <= PARTS && bytes.sum::<usize>() < PARTS * 4 * LENGTH);
    }

    #[test]
    fn difference_shows_no_strings() {
        let of = |text: &str| BTreeMap::from([("secret", text.to_owned())]);
        assert_eq!(
            difference(&of("password"), &of("passwort")),
            "a string of 8 bytes at [_] would become another"
        );
        assert_eq!(difference(&'x', &'y'), "a character would become another");
    }
}
