//! The time line of a stampede, for a terminal and as a drawing.

use serde::Serialize;

use crate::axis::Axis;
use crate::page::{Color, Page, padded};
use crate::svg::Svg;

/// The number of columns for the time.
const COLUMNS: u64 = 54;
/// The number of columns for the names of threads.
const NAMES: usize = 14;
/// The most marks of the axis, besides that of zero.
const MARKS: u64 = 5;
/// The width of the thinnest bar of a drawing, so that it can be seen.
const THINNEST: f64 = 6.0;
/// The width of a character of a drawing.
const CHARACTER: f64 = 7.25;
/// The maximum number of threads in a terminal. A drawing shows all of them.
const ROWS: usize = 64;

/// How the call of a thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It created the value.
    Created,
    /// It waited for the value that another thread created.
    Waited,
    /// It got the old value.
    GotOldValue,
    /// It found the new value.
    Hit,
    /// It got an error.
    Failed,
}

/// The call of one thread. Times are in microseconds since the first call began.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) process: u64,
    pub(super) thread: u64,
    pub(super) role: Role,
    pub(super) asked_us: u64,
    pub(super) returned_us: u64,
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

    fn look(self) -> (Color, &'static str) {
        match self {
            Role::Created => (Color::Green, "seagreen"),
            Role::Waited => (Color::Yellow, "goldenrod"),
            Role::GotOldValue => (Color::Blue, "steelblue"),
            Role::Hit => (Color::Dim, "slategray"),
            Role::Failed => (Color::Red, "firebrick"),
        }
    }
}

/// The roles, in the order of the legend.
const ROLES: [Role; 5] = [Role::Created, Role::Waited, Role::GotOldValue, Role::Hit, Role::Failed];

/// One line for each thread, below an axis of `length` microseconds.
pub(super) fn show(page: &mut Page, rows: &[Row], length: u64) {
    let axis = Axis::new(length, MARKS);
    for (name, line) in ["time", "process.thread"].into_iter().zip(axis.lines(COLUMNS)) {
        page.line(format!("{} {line}", padded(name, NAMES)));
    }
    for row in rows.iter().take(ROWS) {
        let (color, _) = row.role.look();
        let role = page.paint(color, row.role.text());
        let name = format!("{:>7}.{}", row.process, row.thread);
        let drawn = page.paint(color, &drawn(row, &axis));
        page.line(format!("{} {} {role}", padded(&name, NAMES), padded(&drawn, COLUMNS as usize)));
    }
    if rows.len() > ROWS {
        page.line(format!("{} and {} more; --svg draws them all", " ".repeat(NAMES), rows.len() - ROWS));
    }
    page.line(format!("{} . waits   # creates   | gets its value", " ".repeat(NAMES)));
}

/// Returns the line of a thread, with spaces before its call and after its end.
fn drawn(row: &Row, axis: &Axis) -> String {
    let column = |us: u64| axis.part(us, COLUMNS);
    let returned = column(row.returned_us);
    let creates = row.created_us.map(|(from, to)| column(from)..=column(to));
    let at = |number: usize| match number {
        _ if number == returned => '|',
        _ if number < column(row.asked_us) || number > returned => ' ',
        _ if creates.as_ref().is_some_and(|creates| creates.contains(&number)) => '#',
        _ => '.',
    };
    (0..COLUMNS as usize).map(at).collect()
}

/// The same as a drawing, which is understood without other text.
pub(super) fn drawing(region: &str, summary: &str, rows: &[Row], length: u64) -> String {
    let (left, wide, high, top) = (130.0, 540.0, 14.0, 104.0);
    let bottom = top + high * rows.len() as f64;
    let mut svg = Svg::new(800.0, bottom + 34.0);
    svg.title((20.0, 24.0), &format!("Stampede on one key of region {region:?}"));
    svg.text((20.0, 42.0), summary);
    legend(&mut svg, rows, (20.0, 66.0));
    let axis = Axis::new(length, MARKS);
    let x = |us: u64| left + wide * axis.share(us);
    svg.text_before((left - 10.0, top - 10.0), "process.thread");
    for (time, text) in axis.marks() {
        svg.vertical(x(time), top - 4.0, bottom + 4.0);
        svg.text_around((x(time), top - 10.0), &text);
        svg.text_around((x(time), bottom + 20.0), &text);
    }
    for (number, row) in rows.iter().enumerate() {
        let y = top + high * number as f64;
        let (_, color) = row.role.look();
        let told = format!(
            "{}: called at {} µs, got its value at {} µs",
            row.role.text(),
            row.asked_us,
            row.returned_us
        );
        svg.text_before((left - 10.0, y + 10.0), &format!("{}.{}", row.process, row.thread));
        let mut bar = |from: u64, to: u64, high: f64| {
            let width = (x(to) - x(from)).max(THINNEST);
            svg.rectangle((x(from), y + (10.0 - high) / 2.0), (width, high), color, &told);
        };
        // A short mark is high, so that it is seen.
        let is_short = x(row.returned_us) - x(row.asked_us) < THINNEST;
        bar(row.asked_us, row.returned_us, if is_short { 10.0 } else { 5.0 });
        if let Some((from, to)) = row.created_us {
            bar(from, to, 10.0);
        }
        svg.text((left + wide + 20.0, y + 10.0), row.role.text());
    }
    svg.finish()
}

/// Draws what the colors mean, and how many threads have each of them.
fn legend(svg: &mut Svg, rows: &[Row], at: (f64, f64)) {
    let (mut x, y) = at;
    for role in ROLES {
        let count = rows.iter().filter(|row| row.role == role).count();
        if count > 0 {
            svg.rectangle((x, y - 9.0), (12.0, 10.0), role.look().1, role.text());
            let text = format!("{} ({count})", role.text());
            svg.text((x + 18.0, y), &text);
            x += 38.0 + CHARACTER * text.len() as f64;
        }
    }
    svg.text((x, y), "thick: the creator runs");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_shows_when_a_thread_waited_created_and_returned() {
        let row = |created_us| Row {
            process: 0,
            thread: 0,
            role: Role::Created,
            asked_us: 10,
            returned_us: 40,
            created_us,
            error: None,
        };
        let drawn = |row: &Row, length| drawn(row, &Axis::new(length, MARKS));
        assert_eq!(drawn(&row(None), 53).trim_end(), format!("{}{}|", " ".repeat(10), ".".repeat(30)));
        let created = drawn(&row(Some((20, 39))), 53);
        assert_eq!(created.trim_end(), format!("{}{}{}|", " ".repeat(10), ".".repeat(10), "#".repeat(20)));
        assert_eq!(drawn(&row(None), 0).trim_end().len(), 54, "a stampede without a length is drawn too");
    }

    #[test]
    fn legend_of_all_roles_fits_the_drawing() {
        let of = |role| Row {
            process: 0,
            thread: 0,
            role,
            asked_us: 0,
            returned_us: 1,
            created_us: None,
            error: None,
        };
        let rows: Vec<Row> = ROLES.into_iter().flat_map(|role| vec![of(role); 12]).collect();
        let drawn = drawing("a", "", &rows, 1);
        let (before, _) = drawn.split_once(">thick: the creator runs<").unwrap();
        let (_, x) = before.rsplit_once("<text x=\"").unwrap();
        let x: f64 = x.split('"').next().unwrap().parse().unwrap();
        assert!(x + CHARACTER * "thick: the creator runs".len() as f64 <= 800.0, "it begins at {x}");
    }
}
