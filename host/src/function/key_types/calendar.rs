//! The texts of dates and times, for the crates that have such types.
//!
//! They are written like Python's `str`, in brackets between single quotes. Python has years from 1 to 9999 and
//! microseconds. Other years have a sign or more digits, and nanoseconds have nine decimals.

use std::fmt::Write;

use super::texts::shape_of_string;
use crate::function::cache_key::{KeyForm, KeyShape};

/// Writes what `write` writes, in brackets between single quotes, which it does not contain.
pub(super) fn write_quoted(key: &mut String, form: KeyForm, write: impl FnOnce(&mut String)) {
    if form.nested {
        key.push('\'');
    }
    write(key);
    if form.nested {
        key.push('\'');
    }
}

/// Returns the shape of a date or time without a space.
#[inline]
pub(super) fn shape_of_word(form: KeyForm) -> KeyShape {
    if form.nested { shape_of_string(form) } else { KeyShape::Word }
}

/// Writes a date, such as `2026-01-02`.
pub(super) fn write_date(key: &mut String, year: i32, month: u32, day: u32) {
    let sign = if year < 0 { "-" } else { "" };
    // Writing to a `String` cannot fail.
    let _ = write!(key, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs());
}

/// Writes a time, such as `12:30:05`, with decimals if it has any.
pub(super) fn write_time(key: &mut String, (hour, minute, second): (u32, u32, u32), nanos: u32) {
    // Writing to a `String` cannot fail.
    let _ = write!(key, "{hour:02}:{minute:02}:{second:02}");
    let _ = match (nanos, nanos % 1000) {
        (0, _) => Ok(()),
        (_, 0) => write!(key, ".{:06}", nanos / 1000),
        _ => write!(key, ".{nanos:09}"),
    };
}

/// Writes an offset from UTC in seconds, such as `+01:00`, with seconds if it has any.
pub(super) fn write_offset(key: &mut String, offset: i32) {
    let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    // Writing to a `String` cannot fail.
    let _ = write!(key, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 > 0 {
        let _ = write!(key, ":{:02}", seconds % 60);
    }
}
