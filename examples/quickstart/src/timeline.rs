//! Two pictures next to each other: what each thread did, and when.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::crowd::Row;

/// How many columns the time takes in each picture.
const COLUMNS: usize = 24;
/// How many columns a picture takes, with the number of the thread and what it did.
const WIDTH: usize = 37;
const GAP: &str = "   ";

/// The marks of a picture.
#[derive(Clone, Copy)]
pub(crate) struct Marks {
    queries: char,
    fails: char,
    waits: char,
    old: char,
}

impl Marks {
    /// The marks for a terminal, or for plain text.
    pub(crate) fn new(terminal: bool) -> Self {
        match terminal {
            true => Marks { queries: '━', fails: '╳', waits: '┄', old: '◆' },
            false => Marks { queries: '#', fails: 'x', waits: '.', old: 'o' },
        }
    }

    /// Returns a run of one mark in its color.
    fn painted(self, run: &[char]) -> String {
        let style = match run.first() {
            Some(mark) if *mark == self.queries => GREEN,
            Some(mark) if *mark == self.waits => YELLOW,
            Some(mark) if *mark == self.old => BLUE,
            Some(mark) if *mark == self.fails => RED,
            _ => Style::new(),
        };
        format!("{style}{}{style:#}", run.iter().collect::<String>())
    }

    /// Explains the marks in one line.
    pub(crate) fn legend(self) -> String {
        let Marks { queries, fails, waits, old } = self;
        format!(
            "{GREEN}{queries}{GREEN:#} queries   {YELLOW}{waits}{YELLOW:#} waits   \
             {BLUE}{old}{BLUE:#} returns the old value at once   {RED}{fails}{RED:#} fails"
        )
    }
}

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const BLUE: Style = AnsiColor::Cyan.on_default();
const RED: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();

/// The picture of one crowd.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
    /// The price that was cached before, if it was.
    pub(crate) old: Option<u32>,
}

/// A line with escape sequences, and how many columns it takes.
struct Line {
    text: String,
    columns: usize,
}

/// Returns the lines of two pictures next to each other, with one scale of time.
pub(crate) fn side_by_side(left: &Panel, right: &Panel, marks: Marks) -> Vec<String> {
    let scale = scale(left.rows.iter().chain(&right.rows));
    let mut lines = vec![format!("   {BOLD}{:<WIDTH$}{GAP}{}{BOLD:#}", left.title, right.title)];
    for (number, (one, other)) in left.rows.iter().zip(&right.rows).enumerate() {
        let number = number + 1;
        let (one, other) = (left.line(one, scale, marks), right.line(other, scale, marks));
        let padding = " ".repeat(WIDTH - one.columns);
        lines.push(format!("{number:>2} {}{padding}{GAP}{}", one.text, other.text));
    }
    let axis = format!("0{:>width$} ms", scale.as_millis(), width = COLUMNS - 4);
    lines.push(format!("   {axis:<WIDTH$}{GAP}{axis}"));
    lines.push(format!("   {:<WIDTH$}{GAP}{}", left.summary(), right.summary()));
    lines
}

/// The time that the pictures show: until the last thread returned, in steps of 50 ms.
fn scale<'a>(rows: impl Iterator<Item = &'a Row>) -> Duration {
    let last = rows.map(|row| row.returned).max().unwrap_or_default();
    Duration::from_millis(last.as_millis().div_ceil(50).max(1) as u64 * 50)
}

impl Panel {
    /// What a thread did, as a bar and in words.
    fn line(&self, row: &Row, scale: Duration, marks: Marks) -> Line {
        let bar: Vec<char> = (0..COLUMNS).map(|column| self.mark(row, column, scale, marks)).collect();
        let bar: String = bar.chunk_by(|one, next| one == next).map(|run| marks.painted(run)).collect();
        let name = self.outcome(row);
        let style = match name {
            "created" => GREEN,
            "old value" => BLUE,
            "waited" => YELLOW,
            _ => RED,
        };
        Line { text: format!("{bar}  {style}{name}{style:#}"), columns: COLUMNS + 2 + name.len() }
    }

    fn outcome(&self, row: &Row) -> &'static str {
        match (row.price, row.query) {
            (None, _) => "panicked",
            (price, _) if price == self.old => "old value",
            (_, Some(_)) => "created",
            (_, None) => "waited",
        }
    }

    fn mark(&self, row: &Row, column: usize, scale: Duration, marks: Marks) -> char {
        let at = |time: Duration| {
            let column = time.as_secs_f64() / scale.as_secs_f64() * COLUMNS as f64;
            (column as usize).min(COLUMNS - 1)
        };
        let served_old = row.price.is_some() && row.price == self.old;
        match row.query {
            _ if served_old && column == at(row.returned) => marks.old,
            _ if column < at(row.asked) || column > at(row.returned) => ' ',
            Some(query) if query.failed && column + usize::from(served_old) == at(query.to) => marks.fails,
            Some(query) if (at(query.from)..=at(query.to)).contains(&column) => marks.queries,
            _ => marks.waits,
        }
    }

    /// How many queries there were, and the longest time that a thread took.
    fn summary(&self) -> String {
        let queries = self.rows.iter().filter(|row| row.query.is_some()).count();
        let plural = if queries == 1 { "query" } else { "queries" };
        let longest = self.rows.iter().map(|row| row.returned - row.asked).max().unwrap_or_default();
        format!("{queries} {plural}, longest request {} ms", longest.as_millis())
    }
}
