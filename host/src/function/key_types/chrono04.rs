//! Dates and times of the crate `chrono`.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike};

use super::calendar::{shape_of_word, write_date, write_offset, write_quoted, write_time};
use super::texts::shape_of_string;
use crate::function::cache_key::{CacheKey, KeyForm, shape};

fn write_date_of(key: &mut String, date: &impl Datelike) {
    write_date(key, date.year(), date.month(), date.day());
}

/// Writes the time. A leap second is the 60th second of its minute.
fn write_time_of(key: &mut String, time: &impl Timelike) {
    let (leap, nanos) = (time.nanosecond() / 1_000_000_000, time.nanosecond() % 1_000_000_000);
    write_time(key, (time.hour(), time.minute(), time.second() + leap), nanos);
}

fn write_both(key: &mut String, both: &(impl Datelike + Timelike)) {
    write_date_of(key, both);
    key.push(' ');
    write_time_of(key, both);
}

/// Written like Python's `2026-01-02`.
impl CacheKey for NaiveDate {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_date_of(key, self));
    }

    shape!(form => shape_of_word(form));
}

/// Written like Python's `12:30:05`, with decimals if it has any.
impl CacheKey for NaiveTime {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_time_of(key, self));
    }

    shape!(form => shape_of_word(form));
}

/// Written like Python's `2026-01-02 12:30:05`, with decimals if it has any.
impl CacheKey for NaiveDateTime {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_both(key, self));
    }

    shape!(form => shape_of_string(form));
}

/// Written like Python's `2026-01-02 12:30:05+01:00`. The name of the time zone is not part of the text.
impl<Z: TimeZone> CacheKey for DateTime<Z> {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| {
            let offset = self.offset().fix();
            // Not `naive_local`, which panics near the ends of the range.
            match self.naive_utc().checked_add_offset(offset) {
                Some(local) => {
                    write_both(key, &local);
                    write_offset(key, offset.local_minus_utc());
                }
                None => {
                    write_both(key, &self.naive_utc());
                    key.push('Z');
                    write_offset(key, offset.local_minus_utc());
                }
            }
        });
    }

    shape!(form => shape_of_string(form));
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, Utc};

    use super::*;

    fn text(value: &dyn CacheKey) -> String {
        let mut key = String::new();
        value.write(&mut key, KeyForm { nested: false, exact: true });
        key
    }

    fn date(year: i32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, 1, 2).unwrap_or_default()
    }

    fn at(second: u32, nanos: u32) -> NaiveTime {
        NaiveTime::from_hms_nano_opt(12, 30, second, nanos).unwrap_or_default()
    }

    #[test]
    fn dates_are_written_like_pythons() {
        assert_eq!(text(&date(2026)), "2026-01-02");
        assert_eq!(text(&date(1)), "0001-01-02");
        assert_eq!([text(&date(-1)), text(&date(12345))], ["-0001-01-02", "12345-01-02"]);
        assert_eq!(text(&[date(2026)]), "['2026-01-02']");
    }

    #[test]
    fn times_are_written_like_pythons() {
        assert_eq!(text(&at(5, 0)), "12:30:05");
        assert_eq!(text(&at(5, 1_000)), "12:30:05.000001");
        assert_eq!(text(&at(5, 1)), "12:30:05.000000001");
        assert_eq!(text(&at(59, 1_500_000_000)), "12:30:60.500000");
    }

    #[test]
    fn dates_with_times_are_written_like_pythons() {
        let both = date(2026).and_time(at(5, 0));
        assert_eq!(text(&both), "2026-01-02 12:30:05");
        assert_eq!(text(&(both, 1)), "('2026-01-02 12:30:05', 1)");
        assert_eq!(text(&both.and_utc()), "2026-01-02 12:30:05+00:00");
        let of = |seconds| FixedOffset::east_opt(seconds).map(|zone| text(&zone.from_utc_datetime(&both)));
        assert_eq!(of(3600).as_deref(), Some("2026-01-02 13:30:05+01:00"));
        assert_eq!(of(-12_630).as_deref(), Some("2026-01-02 08:59:35-03:30:30"));
    }

    #[test]
    fn ends_of_the_range_have_texts_in_every_zone() {
        for (end, seconds) in [(DateTime::<Utc>::MAX_UTC, 3600), (DateTime::<Utc>::MIN_UTC, -3600)] {
            let zoned = FixedOffset::east_opt(seconds).map(|zone| end.with_timezone(&zone));
            assert!(text(&zoned).contains('-'));
        }
    }
}
