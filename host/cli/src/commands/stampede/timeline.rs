//! The time line of a stampede, for a terminal and as a drawing.

use serde::Serialize;

use crate::page::{Colour, Page, padded};
use crate::svg::Svg;

/// How many columns the time takes.
const COLUMNS: u64 = 54;
/// How many threads are shown in a terminal; a drawing shows them all.
const ROWS: usize = 64;

/// What became of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It created the value.
    Created,
    /// It waited for the value that another made.
    Waited,
    /// It was served the value that was there before.
    GotOldValue,
    /// The new value was there already when it asked.
    Hit,
    /// It was answered an error.
    Failed,
}

/// What one thread did; times are microseconds since the first one asked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) process: u64,
    pub(super) thread: u64,
    pub(super) role: Role,
    pub(super) asked_us: u64,
    pub(super) answered_us: u64,
    pub(super) created_us: Option<(u64, u64)>,
    pub(super) error: Option<String>,
}

impl Role {
    fn text(self) -> &'static str {
        match self {
            Role::Created => "created",
            Role::Waited => "waited",
            Role::GotOldValue => "old value",
            Role::Hit => "hit",
            Role::Failed => "failed",
        }
    }

    fn look(self) -> (Colour, &'static str) {
        match self {
            Role::Created => (Colour::Green, "seagreen"),
            Role::Waited => (Colour::Yellow, "goldenrod"),
            Role::GotOldValue | Role::Hit => (Colour::Blue, "steelblue"),
            Role::Failed => (Colour::Red, "firebrick"),
        }
    }
}

/// One line for each thread, below a scale of `length` microseconds.
pub(super) fn show(page: &mut Page, rows: &[Row], length: u64) {
    let end = format!("{:.1} ms", length as f64 / 1e3);
    page.line(format!("process.thread 0{end:>width$}", width = COLUMNS as usize - 2));
    for row in rows.iter().take(ROWS) {
        let (colour, _) = row.role.look();
        let role = page.paint(colour, row.role.text());
        let name = format!("{:>7}.{:<5}", row.process, row.thread);
        let drawn = page.paint(colour, &drawn(row, length));
        page.line(format!("{name} {} {role}", padded(&drawn, COLUMNS as usize)));
    }
    if rows.len() > ROWS {
        page.line(format!("       and {} more; --svg draws them all", rows.len() - ROWS));
    }
    page.line(format!("{}. waits   # creates   | is answered", " ".repeat(14)));
}

/// The thread's line: blank before it asks and after it was answered.
fn drawn(row: &Row, length: u64) -> String {
    let column = |us: u64| (us * (COLUMNS - 1)).checked_div(length).unwrap_or(0).min(COLUMNS - 1);
    let answered = column(row.answered_us);
    let creates = row.created_us.map(|(from, to)| column(from)..=column(to));
    let at = |number: u64| match number {
        _ if number == answered => '|',
        _ if number < column(row.asked_us) || number > answered => ' ',
        _ if creates.as_ref().is_some_and(|creates| creates.contains(&number)) => '#',
        _ => '.',
    };
    (0..COLUMNS).map(at).collect()
}

/// The same as a drawing.
pub(super) fn drawing(title: &str, rows: &[Row], length: u64) -> String {
    let (left, wide, high) = (90.0, 560.0, 14.0);
    let mut svg = Svg::new(780.0, 60.0 + high * rows.len() as f64);
    svg.text((20.0, 24.0), title);
    let x = |us: u64| left + wide * us as f64 / length.max(1) as f64;
    for (number, row) in rows.iter().enumerate() {
        let y = 40.0 + high * number as f64;
        let (_, colour) = row.role.look();
        let told = format!("asked at {} us, answered at {} us", row.asked_us, row.answered_us);
        svg.text((20.0, y + 10.0), &format!("{}.{}", row.process, row.thread));
        let mut bar = |from: u64, to: u64, colour: &str, high: f64| {
            svg.rectangle(
                (x(from), y + (10.0 - high) / 2.0),
                ((x(to) - x(from)).max(2.0), high),
                colour,
                &told,
            );
        };
        bar(row.asked_us, row.answered_us, colour, 4.0);
        if let Some((from, to)) = row.created_us {
            bar(from, to, colour, 10.0);
        }
        svg.text((left + wide + 12.0, y + 10.0), row.role.text());
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_when_a_thread_waited_created_and_was_answered() {
        let row = |created_us| Row {
            process: 0,
            thread: 0,
            role: Role::Created,
            asked_us: 10,
            answered_us: 40,
            created_us,
            error: None,
        };
        assert_eq!(drawn(&row(None), 53).trim_end(), format!("{}{}|", " ".repeat(10), ".".repeat(30)));
        let created = drawn(&row(Some((20, 39))), 53);
        assert_eq!(created.trim_end(), format!("{}{}{}|", " ".repeat(10), ".".repeat(10), "#".repeat(20)));
        assert_eq!(drawn(&row(None), 0).trim_end(), "|", "a stampede of no length is drawn all the same");
    }
}
