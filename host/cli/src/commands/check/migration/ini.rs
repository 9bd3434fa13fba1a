//! Reads ini files as Python does.

use std::collections::HashSet;

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
            Some(entry) if is_indented => entry.value = format!("{}\n{trimmed}", entry.value),
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

/// Replaces `%(name)s` in `value` by another value, and `%%` by a percent sign, as Python does.
///
/// # Errors
/// The name that `find` does not know, or that contains itself.
pub(super) fn interpolated(value: &str, find: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    expand(value, find, &mut HashSet::new())
}

fn expand(
    value: &str,
    find: &dyn Fn(&str) -> Option<String>,
    open: &mut HashSet<String>,
) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(")s")) {
            let found = find(name).filter(|_| open.insert(name.to_owned())).ok_or_else(|| name.to_owned())?;
            text.push_str(&expand(&found, find, open)?);
            open.remove(name);
            rest = after;
        } else {
            text.push('%');
        }
    }
    text.push_str(rest);
    Ok(text)
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
        assert_eq!(interpolated("%(file)s-%(here)s 5%% %x", &find).unwrap(), "/etc/cache-/etc 5% %x");
        assert_eq!(interpolated("%(loop)s", &find), Err("loop".to_owned()));
        assert_eq!(interpolated("%(absent)s", &find), Err("absent".to_owned()));
    }
}
