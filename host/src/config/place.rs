//! Positions in a TOML document: the [`Place`] of an error, and the [`Lines`] of settings.

use std::collections::BTreeMap;

use toml::de::{DeString, DeTable, DeValue};

use crate::error::RegionError;

/// A position in a TOML document.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
    pub(super) region: Option<String>,
    pub(super) setting: Option<String>,
}

impl Place {
    /// Returns the place of the byte at offset `at`.
    pub(super) fn of(document: &str, at: usize) -> Self {
        let before = document.get(..at).unwrap_or(document);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (region, setting) = match DeTable::parse(document) {
            Ok(table) => owner(&keys_at(table.get_ref(), at).unwrap_or_default()),
            Err(_) => (None, None),
        };
        Place {
            line: line_of(document, at),
            column: before[line_start..].chars().count() + 1,
            region,
            setting,
        }
    }
}

/// The lines of a region's settings and of its backend's arguments.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Returns the lines of each region of `document`, by its name.
    pub(super) fn of_regions(document: &str) -> BTreeMap<String, Lines> {
        let Ok(table) = DeTable::parse(document) else { return BTreeMap::new() };
        let regions = table.get_ref().get("regions").and_then(|regions| regions.get_ref().as_table());
        let lines = |(name, region): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let region = region.get_ref().as_table()?;
            let mut lines = Lines::default();
            lines.add(document, "", region);
            let arguments = region.get("arguments").and_then(|arguments| arguments.get_ref().as_table());
            arguments.into_iter().for_each(|arguments| lines.add(document, "arguments.", arguments));
            let name: &DeString<'_> = name.get_ref();
            Some((name.to_string(), lines))
        };
        regions.into_iter().flatten().filter_map(lines).collect()
    }

    fn add(&mut self, document: &str, prefix: &str, table: &DeTable<'_>) {
        let line = |name: &toml::Spanned<DeString<'_>>| line_of(document, name.span().start);
        self.0.extend(table.keys().map(|name| (format!("{prefix}{}", name.get_ref()), line(name))));
    }

    /// Returns the line of the argument or setting that is wrong according to `error`, if it is in the document.
    pub(super) fn of(&self, error: &RegionError) -> Option<usize> {
        let of_backend = error.setting() == Some("backend");
        let argument =
            error.argument().filter(|_| of_backend).map(|argument| format!("arguments.{argument}"));
        let line = |name: &str| self.0.get(name).copied();
        argument.as_deref().and_then(line).or_else(|| line(error.setting()?))
    }
}

/// Returns the line of the byte at offset `at`, counted from 1.
pub(super) fn line_of(document: &str, at: usize) -> usize {
    document.get(..at).unwrap_or(document).matches('\n').count() + 1
}

/// Returns the keys that lead to the innermost entry at offset `at`.
fn keys_at(table: &DeTable<'_>, at: usize) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = value.get_ref().as_table().and_then(|table| keys_at(table, at));
        let is_here = key.span().contains(&at) || value.span().contains(&at);
        let below = inner.or_else(|| is_here.then(Vec::new))?;
        Some([vec![key.get_ref().to_string()], below].concat())
    })
}

/// Returns the region and the setting to which `keys` lead.
fn owner(keys: &[String]) -> (Option<String>, Option<String>) {
    let joined = |keys: &[String]| if keys.is_empty() { None } else { Some(keys.join(".")) };
    match keys {
        [first, region, setting @ ..] if first == "regions" => (Some(region.clone()), joined(setting)),
        keys => (None, joined(keys)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
color = 1
[plugins]
allow = ['x', 'y']
[regions.a]
backend = 'b'
arguments = { one = 1, two = 2 }
[regions.b]
backend = 'c'
wrap = ['p']
[regions.b.arguments]
three = 3
";

    fn place(text: &str) -> (usize, Option<String>, Option<String>) {
        let place = Place::of(DOCUMENT, DOCUMENT.find(text).unwrap());
        (place.line, place.region, place.setting)
    }

    #[test]
    fn innermost_setting_is_found() {
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        let setting = |text: &str| Some(text.to_owned());
        assert_eq!(place("color"), (1, None, setting("color")));
        assert_eq!(place("'y'"), (3, None, setting("plugins.allow")));
        assert_eq!(place("a]"), (4, a.clone(), None));
        assert_eq!(place("'b'"), (5, a.clone(), setting("backend")));
        assert_eq!(place("2 }"), (6, a, setting("arguments.two")));
        assert_eq!(place("'p'"), (9, b.clone(), setting("wrap")));
        assert_eq!(place("3\n"), (11, b, setting("arguments.three")));
    }

    #[test]
    fn column_counts_characters() {
        let place = Place::of("ä = ö", "ä = ".len());
        assert_eq!((place.line, place.column), (1, 5));
    }
}
