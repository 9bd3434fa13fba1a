//! Numbers and texts as Python writes them.

use std::fmt::Write;

/// Writes a number given in Rust's scientific form, `1.5e-7`, as Python's `repr` does: in fixed notation from
/// 0.0001 up to 10 to the 16th, with `.0` if it is whole; in scientific notation elsewhere, with at least two
/// digits and a sign in the exponent.
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
            // Writing to a `String` does not fail.
            let _ = write!(key, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        }
        Err(_) => key.push_str(scientific),
    }
}

/// Writes the number whose first digit of `digits` stands for 10 to the `exponent`.
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

/// Writes `text` as Python's `repr` does: in single quotes, or in double ones where it has a single one and no
/// double one.
pub(super) fn write_text_repr(key: &mut String, text: &str) {
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

fn write_escape(key: &mut String, code: u32) {
    // Writing to a `String` does not fail.
    let _ = match code {
        ..0x100 => write!(key, "\\x{code:02x}"),
        0x100..0x1_0000 => write!(key, "\\u{code:04x}"),
        _ => write!(key, "\\U{code:08x}"),
    };
}

/// Whether Python and Rust, which go by the same categories of Unicode, print the character as it is.
fn is_printable(character: char) -> bool {
    // After a letter, so that an accent that combines with it is not escaped for lack of one.
    let text = String::from_iter(['a', character]);
    text.escape_debug().nth(1) == Some(character)
}
