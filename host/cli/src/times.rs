//! Times and durations in a form for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns `time` in the form `2026-11-25 13:14:15 UTC`.
pub(crate) fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
}

/// Returns the date `days` after 1970-01-01. Years begin in March here, so that the leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let since = days + 719_468; // from 0000-03-01
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Returns `seconds` in a suitable unit: `1.5 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`.
pub(crate) fn rough(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}

/// Returns `time` with three significant digits: `850 ns`, `12.3 µs`, `4.56 ms`, `1.23 s`.
pub(crate) fn short(time: Duration) -> String {
    let nanoseconds = time.as_secs_f64() * 1e9;
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => return format!("{n:.0} ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// `time` without digits that say nothing: `50 ms`, `1.5 s`.
pub(crate) fn round(time: Duration) -> String {
    let text = short(time);
    let Some((number, unit)) = text.split_once(' ') else { return text };
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_date_and_hour() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59 UTC");
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        assert_eq!(
            [3.25, 200.0, 7500.0, 349_200.0].map(rough),
            ["3.2 s", "3 min 20 s", "2 h 5 min", "4 d 1 h"]
        );
        let milliseconds = [50, 1_500, 2_000].map(Duration::from_millis);
        assert_eq!(milliseconds.map(round), ["50 ms", "1.5 s", "2 s"]);
        let nanoseconds = [850, 12_340, 4_560_000, 1_230_000_000].map(Duration::from_nanos);
        assert_eq!(nanoseconds.map(short), ["850 ns", "12.3 µs", "4.56 ms", "1.23 s"]);
    }
}
