//! Reads ini files as Python does.

use std::fmt;

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: String,
    /// The line of the name, counted from 1.
    pub(super) line: usize,
    /// Whether it is a default of all regions.
    pub(super) is_default: bool,
}

/// A section with its entries. Those before the first section are in one without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
}

/// Reads the sections of `text`. An indented line continues the value before it.
///
/// # Errors
/// The number and the problem of the first line that cannot be read.
pub(super) fn sections(text: &str) -> Result<Vec<Section>, (usize, String)> {
    let mut sections = vec![Section::default()];
    for (number, line) in (1..).zip(text.lines()) {
        let (trimmed, is_indented) = (line.trim(), line.starts_with([' ', '\t']));
        let Some(section) = sections.last_mut() else { continue };
        match section.entries.last_mut() {
            _ if trimmed.is_empty() || trimmed.starts_with(['#', ';']) => {}
            Some(entry) if is_indented => {
                entry.value.push('\n');
                entry.value.push_str(trimmed);
            }
            _ => match (trimmed.strip_prefix('['), trimmed.split_once(['=', ':'])) {
                (Some(rest), _) => {
                    let name =
                        rest.strip_suffix(']').ok_or((number, "this section lacks its \"]\"".to_owned()))?;
                    sections.push(Section { name: name.trim().to_owned(), entries: Vec::new() });
                }
                (None, Some((name, value))) => {
                    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                    section.entries.push(Entry { name, value, line: number, is_default: false });
                }
                (None, None) => {
                    return Err((number, "expected \"name = value\" or \"[section]\"".to_owned()));
                }
            },
        }
    }
    Ok(sections)
}

/// How many values a value may lead through, as in Python.
const DEEPEST: usize = 10;

/// How many bytes all values of a file may have with the values that they refer to.
const LONGEST: usize = 64 << 20;

/// Why a value cannot be interpolated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// A name that it refers to has no value.
    Absent(String),
    /// A name that it refers to leads to itself, or through too many others.
    Deep(String),
    /// The values of the file become too long.
    Long,
}

/// Replaces `%(name)s` in values by another value, and `%%` by a percent sign, as Python does.
pub(super) struct Interpolation<'a> {
    find: &'a dyn Fn(&str) -> Option<String>,
    /// How many more bytes are looked at. Each value may name others several times, so that they grow without a limit.
    left: usize,
}

impl<'a> Interpolation<'a> {
    /// Creates the interpolation of the values of a file. `find` returns the value of a name.
    pub(super) fn new(find: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Interpolation { find, left: LONGEST }
    }

    /// Returns `value`, interpolated.
    ///
    /// # Errors
    /// If a name has no value or leads to itself, or the values of the file become too long.
    pub(super) fn of(&mut self, value: &str) -> Result<String, Unresolved> {
        self.expand(value, 0)
    }

    fn expand(&mut self, value: &str, depth: usize) -> Result<String, Unresolved> {
        // Once it is 0, no other value is looked at.
        self.left = self.left.saturating_sub(value.len() + 1);
        let (mut text, mut rest) = (String::new(), value);
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('%') {
                text.push('%');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(")s"))
            {
                text.push_str(&self.value_of(name, depth)?);
                rest = after;
            } else {
                text.push('%');
            }
        }
        text.push_str(rest);
        Ok(text)
    }

    fn value_of(&mut self, name: &str, depth: usize) -> Result<String, Unresolved> {
        if self.left == 0 {
            return Err(Unresolved::Long);
        }
        let found = (self.find)(name).ok_or_else(|| Unresolved::Absent(name.to_owned()))?;
        if depth == DEEPEST {
            return Err(Unresolved::Deep(name.to_owned()));
        }
        self.expand(&found, depth + 1)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unresolved::Absent(name) => {
                write!(f, "\"%({name})s\" has no value; set {name:?} in this section")
            }
            Unresolved::Deep(name) => write!(
                f,
                "\"%({name})s\" leads to itself, or through more than {DEEPEST} values; write its value here"
            ),
            Unresolved::Long => write!(
                f,
                "the values that contain others have more than {} MiB; write them without others",
                LONGEST >> 20
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_continued_values_are_read() {
        let text = "a = 1\n# comment\n[one]\nb: x = y\n[two]\nc = 1\n  ; comment\n  2,\n\n  3\nd =\n";
        let sections = sections(text).unwrap();
        let entry = |name: &str, value: &str, line| Entry {
            name: name.to_owned(),
            value: value.to_owned(),
            line,
            is_default: false,
        };
        let entries: Vec<_> = sections.iter().map(|section| section.entries.clone()).collect();
        assert_eq!(
            entries,
            [
                vec![entry("a", "1", 1)],
                vec![entry("b", "x = y", 4)],
                vec![entry("c", "1\n2,\n3", 6), entry("d", "", 11)]
            ]
        );
        assert_eq!(sections[2].name, "two");
    }

    #[test]
    fn line_of_another_form_is_an_error() {
        assert_eq!(sections("a = 1\nb\n").unwrap_err().0, 2);
        assert_eq!(sections("[a\n").unwrap_err().0, 1);
    }

    #[test]
    fn values_are_interpolated() {
        let find = |name: &str| match name {
            "here" => Some("/etc".to_owned()),
            "file" => Some("%(here)s/cache".to_owned()),
            "loop" => Some("%(loop)s".to_owned()),
            _ => None,
        };
        let interpolated = |value: &str| Interpolation::new(&find).of(value);
        assert_eq!(interpolated("%(file)s-%(here)s 5%% %x").unwrap(), "/etc/cache-/etc 5% %x");
        assert_eq!(interpolated("%(loop)s"), Err(Unresolved::Deep("loop".to_owned())));
        assert_eq!(interpolated("%(absent)s"), Err(Unresolved::Absent("absent".to_owned())));
    }

    /// Each name stands for a longer value than the one before it.
    #[test]
    fn values_that_grow_without_a_limit_are_refused() {
        let find = |name: &str| {
            let number: usize = name.parse().ok()?;
            Some(format!("%({})s", number.saturating_sub(1)).repeat(if number == 0 { 0 } else { 100 }))
        };
        let mut interpolation = Interpolation::new(&find);
        assert_eq!(interpolation.of("%(2)s"), Ok(String::new()));
        assert_eq!(interpolation.of("%(9)s"), Err(Unresolved::Long));
        assert_eq!(interpolation.of("%(2)s"), Err(Unresolved::Long), "the limit is one of the file");
    }
}
