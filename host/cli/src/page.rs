//! [`Page`]: text of at most 80 columns, with colours where a terminal shows them.

use std::io::IsTerminal;

/// How many columns a line has. Only what cannot be broken, such as a path, is longer.
pub(crate) const WIDTH: usize = 80;

/// The colours in use, by what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Green,
    Yellow,
    Red,
    Blue,
    Dim,
    Bold,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Blue => "36",
            Colour::Dim => "2",
            Colour::Bold => "1",
        }
    }
}

/// Text under construction, line by line.
#[derive(Debug)]
pub(crate) struct Page {
    coloured: bool,
    text: String,
}

impl Page {
    pub(crate) fn new(coloured: bool) -> Self {
        Page { coloured, text: String::new() }
    }

    /// Whether colours belong on `stream`: it is a terminal that knows them, and `NO_COLOR` is not set.
    pub(crate) fn colours_on(stream: &impl IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        stream.is_terminal() && !set("NO_COLOR") && !dumb
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// `text` in a colour, if there are any.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{}m{text}\u{1b}[0m", colour.code()) } else { text.to_owned() }
    }

    /// One line, as it is.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref().trim_end());
        self.text.push('\n');
    }

    /// `text` behind `first`, broken between words; the lines after the first begin with `rest`.
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

    /// Rows whose cells stand below each other, two blanks apart.
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

/// `text`, filled up with blanks to `width` columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// `text`, its middle left out if it has more than `width` columns.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= width {
        return text.to_owned();
    }
    let (head, tail) = (width.saturating_sub(3).div_ceil(2), width.saturating_sub(3) / 2);
    let head: String = characters[..head].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}...{tail}")
}

/// How many columns `text` takes, its colours left out.
pub(crate) fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for character in text.chars() {
        match character {
            '\u{1b}' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_at_eighty_columns_and_long_ones_kept_whole() {
        let mut page = Page::new(false);
        page.wrapped("- ", "  ", &format!("{} {}", "word ".repeat(30), "p".repeat(100)));
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[..2].iter().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(lines[2], format!("  {}", "p".repeat(100)));
    }

    #[test]
    fn colours_take_no_column_and_are_left_out_where_there_are_none() {
        assert_eq!(columns(&Page::new(true).paint(Colour::Red, "ab")), 2);
        assert_eq!(Page::new(false).paint(Colour::Red, "ab"), "ab");
    }

    #[test]
    fn the_middle_is_left_out_of_a_long_text() {
        assert_eq!(shortened("abcdefghij", 7), "ab...ij");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
