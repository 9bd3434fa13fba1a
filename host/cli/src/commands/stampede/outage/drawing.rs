//! Draws a simulation as timelines.

use std::time::Duration;

use super::plan::{COLUMNS, Plan, milliseconds};
use super::tally::{Column, Tally};
use crate::page::{Color, Page};

/// The number of columns for the names of the lines.
const NAMES: usize = 12;

/// Draws the time axis and the outages.
pub(super) fn begin(page: &mut Page, plan: &Plan) {
    let [scale, ticks] = axis(plan);
    page.line(format!("{:NAMES$}{scale}", "seconds"));
    page.line(format!("{:NAMES$}{ticks} total", ""));
    for (name, window) in [("cache", &plan.cache_is_down), ("source", &plan.source_fails)] {
        let state = (0..COLUMNS).map(|column| plan.is_in(window, column));
        line(
            page,
            name,
            "",
            &state
                .map(|is_down| if is_down { (Some(Color::Red), 'X') } else { (None, '-') })
                .collect::<Vec<_>>(),
        );
    }
}

/// Draws the results of a region's users.
pub(super) fn region(page: &mut Page, name: &str, settings: &str, tally: &Tally) {
    page.line("");
    let name = page.paint(Color::Bold, name);
    page.wrapped("", "  ", &if settings.is_empty() { name } else { format!("{name}: {settings}") });
    let totals = [tally.fresh, tally.stale, tally.errors];
    let names = [("  fresh", Color::Green), ("  stale", Color::Yellow), ("  errors", Color::Red)];
    for (sort, ((name, color), total)) in names.into_iter().zip(totals).enumerate() {
        let share = |column: &Column| {
            let served = [column.fresh, column.stale, column.errors];
            (Some(color), mark(served[sort], served.iter().sum()))
        };
        let marks: Vec<_> = tally.columns.iter().map(share).collect();
        line(page, name, &total.to_string(), &marks);
    }
    let creations = |column: &Column| (Some(Color::Blue), digit(column.creations));
    line(
        page,
        "  creations",
        &tally.creations.to_string(),
        &tally.columns.iter().map(creations).collect::<Vec<_>>(),
    );
}

/// Explains the marks, and draws the totals side by side.
pub(super) fn end<'t>(page: &mut Page, plan: &Plan, tallies: impl Iterator<Item = (&'t str, &'t Tally)>) {
    page.line("");
    let part = milliseconds(plan.length() / COLUMNS as u32);
    page.wrapped(
        "",
        "",
        &format!(
            "Requests of each {part:.0} ms: # most, + some, . a few. Creations: their number, * more than 9. \
             X: the cache is down, or the source fails."
        ),
    );
    page.wrapped(
        "",
        "",
        &format!(
            "{} workers, {} keys, seed {}. Values expire after {}; a creation takes {}.",
            plan.workers,
            plan.keys,
            plan.seed,
            time(plan.expiration_time()),
            time(plan.creation_time()),
        ),
    );
    page.line("");
    let header = ["", "requests", "fresh", "stale", "errors", "creations", "per key and s", "slowest"];
    let row = |(name, tally): (&str, &Tally)| {
        let counts = [tally.requests, tally.fresh, tally.stale, tally.errors, tally.creations];
        let mut cells = vec![name.to_owned()];
        cells.extend(counts.iter().map(u64::to_string));
        cells.push(format!("at most {}", tally.most_creations_per_key_and_second));
        cells.push(format!("{:.0} ms", tally.slowest_ms));
        cells
    };
    let rows: Vec<_> = std::iter::once(header.map(str::to_owned).to_vec()).chain(tallies.map(row)).collect();
    page.table(&rows);
}

/// Draws one line: its name, a mark for each part of the time, and a total.
fn line(page: &mut Page, name: &str, total: &str, marks: &[(Option<Color>, char)]) {
    let paint = |(color, mark): &(Option<Color>, char)| match color {
        Some(color) if *mark != ' ' => page.paint(*color, &mark.to_string()),
        _ => mark.to_string(),
    };
    let drawn: String = marks.iter().map(paint).collect();
    page.line(format!("{name:NAMES$}{drawn}  {total}"));
}

/// Returns the numbers of the axis, and the ticks below them.
fn axis(plan: &Plan) -> [String; 2] {
    // At most ten numbers, so that they do not touch.
    let step = plan.seconds.div_ceil(10);
    let (mut numbers, mut ticks) = (vec![' '; COLUMNS + 3], vec![' '; COLUMNS + 1]);
    for second in (0..=plan.seconds).step_by(step as usize) {
        let at = COLUMNS * second as usize / plan.seconds as usize;
        ticks[at] = '|';
        second.to_string().chars().enumerate().for_each(|(offset, digit)| numbers[at + offset] = digit);
    }
    [numbers, ticks].map(|line| line.into_iter().collect::<String>())
}

/// Returns the mark of a share of requests.
fn mark(count: u64, all: u64) -> char {
    match (10 * count).checked_div(all).unwrap_or(0) {
        0 if count == 0 => ' ',
        0 => '.',
        1..5 => '+',
        _ => '#',
    }
}

fn digit(count: u64) -> char {
    match count {
        0 => ' ',
        1..10 => char::from_digit(count as u32, 10).unwrap_or('*'),
        _ => '*',
    }
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Served;
    use super::*;
    use crate::arguments::Simulation;

    fn plan(seconds: u64) -> Plan {
        Plan::of(&Simulation { seconds, workers: 2, keys: 3, seed: 7 })
    }

    #[test]
    fn marks_show_the_share_of_requests() {
        let marks = [(0, 0), (0, 5), (1, 100), (1, 10), (49, 100), (50, 100), (7, 7)];
        assert_eq!(marks.map(|(count, all)| mark(count, all)), [' ', ' ', '.', '+', '+', '#', '#']);
        assert_eq!([0, 1, 9, 10].map(digit), [' ', '1', '9', '*']);
    }

    #[test]
    fn axis_numbers_the_seconds() {
        let [numbers, ticks] = axis(&plan(5));
        assert_eq!(numbers.trim_end(), "0         1         2         3         4         5");
        assert_eq!(ticks, "|         |         |         |         |         |");
        let [numbers, _] = axis(&plan(60));
        assert_eq!(numbers.trim_end(), "0    6    12   18   24   30   36   42   48   54   60");
    }

    #[test]
    fn simulation_is_drawn_below_an_axis() {
        let plan = plan(5);
        let mut tally = Tally::new();
        let at = Duration::from_millis;
        tally.count(&plan, at(0), at(1), Served::Fresh);
        tally.count(&plan, at(1_250), at(2), Served::Error("down".to_owned()));
        tally.count(&plan, at(3_050), at(3), Served::Stale);
        tally.count(&plan, at(3_060), at(3), Served::Fresh);
        tally.count_creations(&plan, &[(0, at(0)), (1, at(10))]);
        let text = crate::page::plain(|page| {
            begin(page, &plan);
            region(page, "default", "", &tally);
            end(page, &plan, [("default", &tally)].into_iter());
        });
        let blank = |count| " ".repeat(count);
        let expected = [
            "seconds     0         1         2         3         4         5".to_owned(),
            "            |         |         |         |         |         | total".to_owned(),
            format!("cache       {}{}{}", "-".repeat(10), "X".repeat(10), "-".repeat(30)),
            format!("source      {}{}{}", "-".repeat(30), "X".repeat(10), "-".repeat(10)),
            String::new(),
            "default".to_owned(),
            format!("  fresh     #{}#{}  2", blank(29), blank(19)),
            format!("  stale     {}#{}  1", blank(30), blank(19)),
            format!("  errors    {}#{}  1", blank(12), blank(37)),
            format!("  creations 2{}  2", blank(49)),
            String::new(),
            "Requests of each 100 ms: # most, + some, . a few. Creations: their number, *".to_owned(),
            "more than 9. X: the cache is down, or the source fails.".to_owned(),
            "2 workers, 3 keys, seed 7. Values expire after 500 ms; a creation takes 50 ms.".to_owned(),
            String::new(),
            "         requests  fresh  stale  errors  creations  per key and s  slowest".to_owned(),
            "default  4         2      1      1       2          at most 1      3 ms".to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
