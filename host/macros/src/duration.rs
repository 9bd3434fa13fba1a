//! Durations such as `"5m"`, in the form of `dogpile_sdk::seconds`. A macro crate should not depend on that.

use std::time::Duration;

/// The names of the units, and their lengths in seconds, as in `dogpile_sdk::seconds`.
const UNITS: [(&[&str], f64); 10] = [
    (&["ns", "nsec", "nanos"], 1e-9),
    (&["us", "µs", "usec"], 1e-6),
    (&["ms", "msec", "millis"], 1e-3),
    (&["s", "sec", "secs", "second", "seconds"], 1.0),
    (&["m", "min", "mins", "minute", "minutes"], 60.0),
    (&["h", "hr", "hrs", "hour", "hours"], 3600.0),
    (&["d", "day", "days"], 86_400.0),
    (&["w", "wk", "wks", "week", "weeks"], 604_800.0),
    (&["M", "month", "months"], 2_630_016.0),
    (&["y", "yr", "yrs", "year", "years"], 31_557_600.0),
];

/// Returns the sum of numbers with units, such as `1h30m` or `1day 8h`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (None, text);
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, char::is_alphabetic);
        let (_, length) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * length).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = after;
    }
    total
}

/// Splits `text` after the characters that `is_in` accepts, and removes whitespace after both parts.
fn split(text: &str, is_in: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !is_in(c)).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}
