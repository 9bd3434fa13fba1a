//! [`Document`]: a TOML text, with the places of its names and values.

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a text. Both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A TOML text: its contents and their places.
pub(crate) struct Document<'t> {
    text: &'t str,
    places: DeTable<'t>,
    pub(crate) table: toml::Table,
}

/// A step from a table or list to an item in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'s> {
    Name(&'s str),
    Item(usize),
}

impl<'t> Document<'t> {
    /// Reads `text`.
    ///
    /// # Errors
    /// All syntax errors, each with its place.
    pub(crate) fn read(text: &'t str) -> Result<Self, Vec<(Place, String)>> {
        let (places, errors) = DeTable::parse_recoverable(text);
        let mut told: Vec<_> = errors.iter().map(|error| told(text, error)).collect();
        if told.is_empty() {
            match toml::from_str(text) {
                Ok(table) => return Ok(Document { text, places: places.into_inner(), table }),
                Err(error) => told.push(self::told(text, &error)),
            }
        }
        Err(told)
    }

    /// Returns the place of the value that `path` leads to: that of its name, or its own if it is an item of a list.
    /// If the path leads nowhere, returns the place of the nearest value.
    pub(crate) fn place(&self, path: &[Step<'_>]) -> Place {
        let mut at = 0;
        let mut table = Some(&self.places);
        let mut list = None;
        for step in path {
            let value: Option<&Spanned<DeValue<'_>>> = match *step {
                Step::Name(name) => table.and_then(|table| {
                    let (name, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
                    at = name.span().start;
                    Some(value)
                }),
                Step::Item(number) => list.and_then(|list: &toml::de::DeArray<'_>| {
                    let value = list.get(number)?;
                    at = value.span().start;
                    Some(value)
                }),
            };
            let Some(value) = value else { break };
            (table, list) = (value.get_ref().as_table(), value.get_ref().as_array());
        }
        place_of(self.text, at)
    }
}

/// Returns the place and the message of `error`.
pub(crate) fn told(text: &str, error: &toml::de::Error) -> (Place, String) {
    let start = error.span().map_or(0, |span| span.start);
    (place_of(text, start), error.message().to_owned())
}

/// Returns the line and column of the byte `at`.
fn place_of(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::Step::{Item, Name};
    use super::*;

    #[test]
    fn names_and_items_have_places() {
        let text = "[regions.a]\nbackend = 'x'\nwrap = ['p',\n  { name = 'q' }]\n";
        let document = Document::read(text).ok().unwrap();
        let at = |path: &[Step<'_>]| {
            let Place { line, column } = document.place(path);
            (line, column)
        };
        assert_eq!(at(&[Name("regions"), Name("a")]), (1, 10));
        assert_eq!(at(&[Name("regions"), Name("a"), Name("backend")]), (2, 1));
        assert_eq!(at(&[Name("regions"), Name("a"), Name("wrap"), Item(1)]), (4, 3));
        assert_eq!(at(&[Name("regions"), Name("a"), Name("absent")]), (1, 10));
    }

    #[test]
    fn each_syntax_error_has_a_place() {
        let errors = Document::read("a = \nb = 1\nc = 'x\n").err().unwrap();
        assert_eq!(errors.iter().map(|(place, _)| place.line).collect::<Vec<_>>(), [1, 3]);
    }
}
