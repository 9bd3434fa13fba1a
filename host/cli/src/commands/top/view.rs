//! Writes a [`Reading`]: as a page of 80 columns, or as a line of JSON.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::rates::{Rates, by_region, total};
use super::reading::{ProcessRates, Reading};
use super::server::ServerRates;
use crate::page::{Color, Page, WIDTH, columns, padded, shortened};
use crate::times;

/// The columns of the name of a region, a process, or a server.
const NAME: usize = 19;

/// From which age on a creation that others wait for is mentioned, in seconds.
const LONG: f64 = 2.0;

/// Returns the reading as a line for programs.
pub(super) fn json(reading: &Reading) -> Value {
    let processes = reading.processes.iter().map(|process| {
        let socket = process.socket.to_string_lossy();
        match &process.outcome {
            Err(error) => json!({ "socket": socket, "error": error }),
            Ok(found) => json!({
                "socket": socket,
                "pid": found.pid,
                "program": found.program,
                "uptime_seconds": found.uptime,
                "interval_seconds": found.seconds,
                "regions": found.regions.iter().map(Rates::json).collect::<Vec<_>>(),
            }),
        }
    });
    let servers = reading.servers.iter().map(|(address, outcome)| match outcome {
        Err(error) => json!({ "server": address, "error": error }),
        Ok(rates) => {
            let mut server = rates.json();
            server["server"] = json!(address);
            server
        }
    });
    let regions = by_region(regions(reading));
    json!({
        "time": reading.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "processes": processes.collect::<Vec<_>>(),
        "regions": regions.iter().map(Rates::json).collect::<Vec<_>>(),
        "total": total(&regions).json(),
        "servers": servers.collect::<Vec<_>>(),
        "problems": reading.problems,
    })
}

/// Writes the reading for people.
pub(super) fn show(page: &mut Page, reading: &Reading) {
    heading(page, reading);
    let regions = by_region(regions(reading));
    if !regions.is_empty() {
        header(page, "region", "breaker");
        regions.iter().for_each(|region| row(page, &region.region, region, &breaker(page, region)));
        if regions.len() > 1 {
            let total = total(&regions);
            row(page, "total", &total, "");
        }
        regions.iter().for_each(|region| troubles(page, region));
    }
    processes(page, reading);
    servers(page, reading);
    for problem in &reading.problems {
        let text = page.paint(Color::Yellow, &shortened(problem, WIDTH));
        page.line(text);
    }
}

fn regions(reading: &Reading) -> impl Iterator<Item = &Rates> {
    reading
        .processes
        .iter()
        .filter_map(|process| process.outcome.as_ref().ok())
        .flat_map(|found| &found.regions)
}

fn heading(page: &mut Page, reading: &Reading) {
    let found: Vec<&ProcessRates> =
        reading.processes.iter().filter_map(|process| process.outcome.as_ref().ok()).collect();
    let mut what = match &found[..] {
        [] => "no process".to_owned(),
        [one] => {
            let name = shortened(&one_line(&format!("{} {}", one.pid, one.program)), 24);
            format!("process {name}")
        }
        many => format!("{} processes", many.len()),
    };
    match reading.servers.len() {
        0 => {}
        1 => what.push_str(", 1 server"),
        many => what.push_str(&format!(", {many} servers")),
    }
    let longest = found.iter().map(|process| process.seconds).fold(0.0, f64::max);
    let span = match &found[..] {
        [] => String::new(),
        found if found.iter().all(|process| process.is_since_start) => {
            format!("   since the start, {} ago", times::rough(longest))
        }
        _ => format!("   in {}", times::rough(longest)),
    };
    let what = page.paint(Color::Bold, &what);
    // The date is of no use in a live view.
    let time = times::utc(reading.at);
    let hour = time.split_once(' ').map_or(&*time, |(_, hour)| hour);
    page.line(format!("{hour}   {what}{span}"));
}

fn header(page: &mut Page, name: &str, last: &str) {
    let text =
        cells(name, ["calls/s", "hits", "creates/s", "saved/s", "p50", "p99"].map(str::to_owned), last);
    let text = page.paint(Color::Dim, &text);
    page.line("");
    page.line(text);
}

fn row(page: &mut Page, name: &str, rates: &Rates, last: &str) {
    let quantile = |quantile| rates.creation_quantile(quantile).map_or("-".to_owned(), duration);
    let cells = cells(
        name,
        [
            number(rates.requests()),
            share(rates.hit_ratio()),
            number(rates.creations),
            number(rates.saved()),
            quantile(0.5),
            quantile(0.99),
        ],
        last,
    );
    page.line(cells);
}

fn cells(name: &str, [calls, hits, creates, saved, p50, p99]: [String; 6], last: &str) -> String {
    let name = padded(&shortened(&one_line(name), NAME - 1), NAME);
    format!("{name}{calls:>8}{hits:>7}{creates:>10}{saved:>9}{p50:>8}{p99:>8}  {last}")
}

fn breaker(page: &Page, rates: &Rates) -> String {
    let (state, color) = match rates.breaker() {
        "open" => ("open", Color::Red),
        "half_open" => ("half-open", Color::Yellow),
        closed => return closed.to_owned(),
    };
    let count = if rates.processes > 1 {
        format!("{state} {}", rates.open + rates.half_open)
    } else {
        state.to_owned()
    };
    page.paint(color, &shortened(&count, 9))
}

/// Writes what is wrong in a region.
fn troubles(page: &mut Page, rates: &Rates) {
    let failures = [
        (rates.errors(), "errors/s"),
        (rates.failed_creations, "failed creations/s"),
        (rates.backend_errors, "backend errors/s"),
    ];
    let failures = failures.into_iter().filter(|(rate, _)| *rate > 0.0);
    let failures: Vec<String> = failures.map(|(rate, what)| format!("{} {what}", number(rate))).collect();
    let name = shortened(&one_line(&rates.region), NAME - 1);
    trouble(page, Color::Yellow, &name, &failures.join(", "));
    if let Some(oldest) = rates.oldest.filter(|oldest| *oldest >= LONG) {
        let (creations, waiters) = (rates.in_progress, rates.waiters);
        let text =
            format!("{creations} creating, the oldest for {}; {waiters} waiting", times::rough(oldest));
        trouble(page, Color::Yellow, &name, &text);
    }
    trouble(page, Color::Red, &name, rates.last_error.as_deref().unwrap_or_default());
}

/// Writes what is wrong in the region `name`, if `text` is not empty.
fn trouble(page: &mut Page, color: Color, name: &str, text: &str) {
    if !text.is_empty() {
        let text = shortened(&one_line(text), WIDTH - columns(name) - 4);
        let text = page.paint(color, &text);
        page.line(format!("  {name}: {text}"));
    }
}

fn processes(page: &mut Page, reading: &Reading) {
    let found = || reading.processes.iter().filter_map(|process| process.outcome.as_ref().ok());
    if found().count() > 1 {
        header(page, "process", "up");
        for process in found() {
            let name = format!("{} {}", process.pid, process.program);
            row(page, &name, &total(&process.regions), &rough(process.uptime));
        }
    }
    for process in &reading.processes {
        if let Err(error) = &process.outcome {
            failure(page, &process.socket.to_string_lossy(), error);
        }
    }
}

fn servers(page: &mut Page, reading: &Reading) {
    if reading.servers.iter().any(|(_, outcome)| outcome.is_ok()) {
        let head = ["ops/s", "hits", "memory", "clients", "evicted/s"].map(str::to_owned);
        let head = page.paint(Color::Dim, &server_cells("server", head, "version"));
        page.line("");
        page.line(head);
    }
    for (address, outcome) in &reading.servers {
        match outcome {
            Err(error) => server_failure(page, address, error),
            Ok(rates) => page.line(server_row(address, rates)),
        }
    }
}

fn server_row(address: &str, rates: &ServerRates) -> String {
    let cells = [
        number(rates.operations),
        share(rates.hit_ratio),
        size(rates.memory),
        number(rates.connections as f64),
        number(rates.evictions),
    ];
    server_cells(address, cells, &shortened(&rates.version, 16))
}

fn server_cells(
    name: &str,
    [operations, hits, memory, clients, evicted]: [String; 5],
    version: &str,
) -> String {
    let name = padded(&shortened(name, NAME), NAME + 1);
    format!("{name}{operations:>8}{hits:>7}{memory:>9}{clients:>8}{evicted:>10}  {version}")
}

/// Writes why a server was not read. The reason may take several lines, because it states what to do.
fn server_failure(page: &mut Page, address: &str, error: &str) {
    let address = shortened(&one_line(address), WIDTH / 2);
    let address = page.paint(Color::Red, &address);
    page.wrapped(&format!("{address}: "), "    ", error);
}

fn failure(page: &mut Page, name: &str, error: &str) {
    let name = shortened(&one_line(name), WIDTH / 2);
    let error = page.paint(Color::Red, &shortened(&one_line(error), WIDTH - columns(&name) - 2));
    page.line(format!("{name}: {error}"));
}

/// Returns `text` as one line: what others send may contain more.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a rate in at most 7 columns.
fn number(rate: f64) -> String {
    match rate {
        rate if rate < 99_950.0 && rate.fract() == 0.0 => format!("{rate:.0}"),
        ..0.05 => "<0.1".to_owned(),
        ..99.95 => format!("{rate:.1}"),
        ..99_950.0 => format!("{rate:.0}"),
        ..99_950_000.0 => format!("{:.0}k", rate / 1e3),
        ..99.95e9 => format!("{:.0}M", rate / 1e6),
        _ => format!("{rate:.0e}"),
    }
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{:.1}%", 100.0 * ratio))
}

fn duration(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or("-".to_owned(), times::short)
}

/// Returns an uptime in at most 9 columns.
fn rough(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        ..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole / 60),
        3600..86_400 => format!("{} h", whole / 3600),
        _ => format!("{} d", whole / 86_400),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let rates = [0.0, 0.01, 0.5, 12.0, 99.94, 99.96, 12_345.6, 1_234_567.0, 2.5e8, 1e19];
        assert_eq!(
            rates.map(number),
            ["0", "<0.1", "0.5", "12", "99.9", "100", "12346", "1235k", "250M", "1e19"]
        );
        assert_eq!([0, 1023, 1 << 20, u64::MAX].map(size), ["0 B", "1023 B", "1.0 MiB", "16777216 TiB"]);
        assert_eq!([0.4, 61.0, 7_300.0, 1e6].map(rough), ["0 s", "1 min", "2 h", "11 d"]);
        assert_eq!((share(Some(0.8754)), duration(f64::NAN)), ("87.5%".to_owned(), "-".to_owned()));
    }
}
