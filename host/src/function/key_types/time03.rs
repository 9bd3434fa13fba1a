//! Dates and times of the crate `time`.

use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};

use super::calendar::{shape_of_word, write_date, write_offset, write_quoted, write_time};
use super::texts::shape_of_string;
use crate::function::cache_key::{CacheKey, KeyForm, shape};

fn write_date_of(key: &mut String, date: Date) {
    write_date(key, date.year(), u32::from(u8::from(date.month())), u32::from(date.day()));
}

fn write_time_of(key: &mut String, time: Time) {
    let (hour, minute, second, nanos) = time.as_hms_nano();
    write_time(key, (u32::from(hour), u32::from(minute), u32::from(second)), nanos);
}

fn write_both(key: &mut String, date: Date, time: Time) {
    write_date_of(key, date);
    key.push(' ');
    write_time_of(key, time);
}

/// Written like Python's `2026-01-02`.
impl CacheKey for Date {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_date_of(key, *self));
    }

    shape!(form => shape_of_word(form));
}

/// Written like Python's `12:30:05`, with decimals if it has any.
impl CacheKey for Time {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_time_of(key, *self));
    }

    shape!(form => shape_of_word(form));
}

/// Written like Python's `2026-01-02 12:30:05`, with decimals if it has any.
impl CacheKey for PrimitiveDateTime {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| write_both(key, self.date(), self.time()));
    }

    shape!(form => shape_of_string(form));
}

/// Written like Python's `2026-01-02 12:30:05+01:00`.
impl CacheKey for OffsetDateTime {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_quoted(key, form, |key| {
            write_both(key, self.date(), self.time());
            write_offset(key, self.offset().whole_seconds());
        });
    }

    shape!(form => shape_of_string(form));
}

#[cfg(test)]
mod tests {
    use time::{Month, UtcOffset};

    use super::*;

    fn text(value: &dyn CacheKey) -> String {
        let mut key = String::new();
        value.write(&mut key, KeyForm { nested: false, exact: true });
        key
    }

    fn date(year: i32) -> Date {
        Date::from_calendar_date(year, Month::January, 2).unwrap_or(Date::MIN)
    }

    fn at(nanos: u32) -> Time {
        Time::from_hms_nano(12, 30, 5, nanos).unwrap_or(Time::MIDNIGHT)
    }

    #[test]
    fn dates_and_times_are_written_like_pythons() {
        assert_eq!([text(&date(2026)), text(&date(-1))], ["2026-01-02", "-0001-01-02"]);
        assert_eq!(text(&vec![date(2026)]), "['2026-01-02']");
        assert_eq!(text(&at(0)), "12:30:05");
        assert_eq!([text(&at(1_000)), text(&at(1))], ["12:30:05.000001", "12:30:05.000000001"]);
    }

    #[test]
    fn dates_with_times_are_written_like_pythons() {
        let both = PrimitiveDateTime::new(date(2026), at(0));
        assert_eq!(text(&both), "2026-01-02 12:30:05");
        assert_eq!(text(&(both,)), "('2026-01-02 12:30:05',)");
        assert_eq!(text(&both.assume_utc()), "2026-01-02 12:30:05+00:00");
        let of = |hours, minutes| {
            UtcOffset::from_hms(hours, minutes, 0).map(|offset| text(&both.assume_offset(offset)))
        };
        assert_eq!(of(1, 0).ok().as_deref(), Some("2026-01-02 12:30:05+01:00"));
        assert_eq!(of(-3, -30).ok().as_deref(), Some("2026-01-02 12:30:05-03:30"));
    }
}
