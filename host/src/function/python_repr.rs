//! Python's `repr` of numbers, strings, and bytes.

use std::fmt::Write;

/// Writes Python's `repr` of a number that is given in Rust's scientific notation, such as `1.5e-7`.
///
/// Python uses fixed notation from 0.0001 up to 10 to the 16th, with `.0` if the number is whole. Elsewhere it uses
/// scientific notation, with a sign and at least two digits in the exponent.
pub(super) fn write_float(key: &mut String, scientific: &str) {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return key.push_str(&scientific.to_ascii_lowercase());
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    key.push_str(sign);
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..16) => write_fixed(key, &mantissa.replace('.', ""), exponent),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            // Writing to a `String` cannot fail.
            let _ = write!(key, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        }
        Err(_) => key.push_str(scientific),
    }
}

/// Writes `digits` in fixed notation. The place value of the first digit is 10 to the `exponent`.
fn write_fixed(key: &mut String, digits: &str, exponent: i32) {
    let Ok(whole) = usize::try_from(exponent) else {
        key.push_str("0.");
        (1..-exponent).for_each(|_| key.push('0'));
        return key.push_str(digits);
    };
    let point = digits.len().min(whole + 1);
    key.push_str(&digits[..point]);
    (point..=whole).for_each(|_| key.push('0'));
    key.push('.');
    key.push_str(if point < digits.len() { &digits[point..] } else { "0" });
}

/// Writes Python's `repr` of a string.
///
/// Python uses single quotes, or double quotes if the string contains single quotes and no double quotes.
pub(super) fn write_str_repr(key: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    key.push(quote);
    for character in text.chars() {
        match character {
            '\\' => key.push_str("\\\\"),
            '\n' => key.push_str("\\n"),
            '\r' => key.push_str("\\r"),
            '\t' => key.push_str("\\t"),
            _ if character == quote => key.extend(['\\', quote]),
            ' '..='~' => key.push(character),
            _ if is_printable(character) => key.push(character),
            _ => write_escape(key, u32::from(character)),
        }
    }
    key.push(quote);
}

/// Writes Python's `repr` of bytes, such as `b'abc'`. It chooses quotes like that of a string.
pub(super) fn write_bytes_repr(key: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    key.extend(['b', quote]);
    for byte in bytes {
        match char::from(*byte) {
            '\\' => key.push_str("\\\\"),
            '\n' => key.push_str("\\n"),
            '\r' => key.push_str("\\r"),
            '\t' => key.push_str("\\t"),
            character if character == quote => key.extend(['\\', quote]),
            character @ ' '..='~' => key.push(character),
            _ => write_escape(key, u32::from(*byte)),
        }
    }
    key.push(quote);
}

fn write_escape(key: &mut String, code: u32) {
    // Writing to a `String` cannot fail.
    let _ = match code {
        ..0x100 => write!(key, "\\x{code:02x}"),
        0x100..0x1_0000 => write!(key, "\\u{code:04x}"),
        _ => write!(key, "\\U{code:08x}"),
    };
}

/// Returns whether `repr` leaves `character` as it is. Python and Rust use the same Unicode categories.
fn is_printable(character: char) -> bool {
    // Put a letter first, because Rust escapes a combining accent at the start of a string.
    let text = String::from_iter(['a', character]);
    text.escape_debug().nth(1) == Some(character)
}
