//! [`Page`]: text of at most 80 columns, in colors.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

/// The most columns of a line. Only what cannot be broken, such as a path, is longer.
pub(crate) const WIDTH: usize = 80;

/// The colors, and what stands for each of them in a line until it is written.
///
/// They are characters for private use. A value from a cache that contains one can change a color, and nothing else.
const MARKS: [(char, Style); 6] = [
    ('\u{F8F0}', AnsiColor::Green.on_default()),
    ('\u{F8F1}', AnsiColor::Yellow.on_default()),
    ('\u{F8F2}', AnsiColor::Red.on_default()),
    ('\u{F8F3}', AnsiColor::Cyan.on_default()),
    ('\u{F8F4}', Style::new().dimmed()),
    ('\u{F8F5}', Style::new().bold()),
];

/// Ends a color.
const END: char = '\u{F8FF}';

/// The colors, by their use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Green,
    Yellow,
    Red,
    Blue,
    Dim,
    Bold,
}

/// Text under construction, line by line.
///
/// Control characters are escaped, so that keys, values, and errors of servers cannot control the terminal.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn new() -> Self {
        Page::default()
    }

    /// Returns the text, with the colors as escape sequences. The stream removes them where they do not belong.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Returns `text` in a color.
    pub(crate) fn paint(&self, color: Color, text: &str) -> String {
        let (mark, _) = MARKS[color as usize];
        format!("{mark}{text}{END}")
    }

    /// Adds `text`, which may have several lines.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        for line in text.as_ref().trim_end().split('\n') {
            rendered(&mut self.0, line);
            self.0.push('\n');
        }
    }

    /// Adds `text` after `first`, broken between words. The lines after the first begin with `rest`.
    pub(crate) fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            if !is_empty && columns(&line) + 1 + columns(word) > WIDTH {
                self.line(&line);
                line = rest.to_owned();
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(line);
    }

    /// Adds rows whose cells are aligned, with two spaces between them.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max();
        let widths: Vec<usize> = (0..count).map(|column| width_of(column).unwrap_or(0)).collect();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
            self.line(cells.collect::<Vec<_>>().join("  "));
        }
    }
}

/// Appends `line` to `text`, with escape sequences for the colors only.
fn rendered(text: &mut String, line: &str) {
    let mut painted = Style::new();
    for character in line.chars() {
        // Writing to a string cannot fail.
        let _ = match MARKS.iter().find(|(mark, _)| *mark == character) {
            Some((_, style)) => {
                painted = *style;
                write!(text, "{}", style.render())
            }
            None if character == END => {
                write!(text, "{}", std::mem::take(&mut painted).render_reset())
            }
            None if is_unsafe(character) => write!(text, "{}", character.escape_default()),
            None => text.write_char(character),
        };
    }
    let _ = write!(text, "{}", painted.render_reset());
}

/// Returns whether a terminal may act on `character`: a control character, or one that changes the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns JSON that no terminal acts on. Unsafe characters can only be in its strings.
pub(crate) fn safe_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        // Writing to a string cannot fail.
        let _ = match character {
            '\n' => safe.write_char(character),
            _ if is_unsafe(character) => write!(safe, "\\u{:04x}", character as u32),
            _ => safe.write_char(character),
        };
    }
    safe
}

/// Returns `text`, filled up with spaces to `width` columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Returns `text` without its middle, if it has more than `width` columns.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(3);
    let head = beginning(text.chars(), kept.div_ceil(2));
    let tail: String = beginning(text.chars().rev(), kept / 2).chars().rev().collect();
    format!("{head}...{tail}")
}

/// Returns the first `characters` that fit into `width` columns.
fn beginning(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    let fits = |character: &char| {
        let fitting = left.checked_sub(columns_of(*character));
        left = fitting.unwrap_or(0);
        fitting.is_some()
    };
    characters.take_while(fits).collect()
}

/// Returns how many columns `text` takes on a terminal, without its colors.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    match character {
        _ if character == END || MARKS.iter().any(|(mark, _)| *mark == character) => 0,
        _ if is_unsafe(character) => character.escape_default().count(),
        _ => character.width().unwrap_or(0),
    }
}

/// Returns the beginning of a line of a page that fits into `width` columns. Colors end where they would.
pub(crate) fn cut(line: &str, width: usize) -> String {
    let (mut text, mut left, mut is_color) = (String::new(), Some(width), false);
    for character in line.chars() {
        is_color |= character == '\u{1b}';
        if !is_color {
            left = left.and_then(|left| left.checked_sub(columns_of(character)));
        }
        if is_color || left.is_some() {
            text.push(character);
        }
        is_color &= character != 'm';
    }
    text
}

/// Returns the text of a page that `write` writes, without its colors.
#[cfg(test)]
pub(crate) fn plain(write: impl FnOnce(&mut Page)) -> String {
    let mut page = Page::new();
    write(&mut page);
    anstream::adapter::strip_str(&page.into_text()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_at_eighty_columns_and_long_ones_kept_whole() {
        let text =
            plain(|page| page.wrapped("- ", "  ", &format!("{} {}", "word ".repeat(30), "p".repeat(100))));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[..2].iter().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(lines[2], format!("  {}", "p".repeat(100)));
    }

    #[test]
    fn colors_take_no_column() {
        let mut page = Page::new();
        let painted = page.paint(Color::Red, "ab");
        assert_eq!(columns(&painted), 2);
        page.line(painted);
        assert_eq!(page.into_text(), "\u{1b}[31mab\u{1b}[0m\n");
    }

    #[test]
    fn line_is_cut_without_its_colors() {
        let mut page = Page::new();
        let painted = page.paint(Color::Red, "茶cd");
        page.line(format!("a{painted}e"));
        let text = page.into_text();
        let line = text.trim_end();
        assert_eq!(cut(line, 80), line);
        assert_eq!(cut(line, 4), "a\u{1b}[31m茶c\u{1b}[0m");
        assert_eq!(cut(line, 2), "a\u{1b}[31m\u{1b}[0m");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((columns("茶e\u{301}"), padded("茶", 3)), (3, "茶 ".to_owned()));
        assert_eq!(shortened("茶茶茶茶", 7), "茶...茶");
    }

    #[test]
    fn control_characters_are_escaped() {
        let attack = "\u{1b}[2Jx\u{7}\r\u{9b}31m\u{202e}\u{7f}";
        let text = plain(|page| page.line(attack));
        assert_eq!(text, "\\u{1b}[2Jx\\u{7}\\r\\u{9b}31m\\u{202e}\\u{7f}\n");
        assert_eq!(columns(attack), text.len() - 1);
        let json = serde_json::json!({ "value": attack }).to_string();
        let safe = safe_json(&json);
        assert!(!safe.chars().any(is_unsafe), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap()["value"], attack);
    }

    #[test]
    fn color_of_a_value_ends_with_its_line() {
        let mut page = Page::new();
        page.line("\u{F8F2}red");
        assert_eq!(page.into_text(), "\u{1b}[31mred\u{1b}[0m\n");
    }

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(shortened("abcdefghij", 7), "ab...ij");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
