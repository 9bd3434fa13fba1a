//! Values that pickles of protocols 0 and 1 store as text.

use super::arena::Wide;

/// The length of the longest decimal integer that fits 128 bits, with its sign.
const MAX_DECIMAL: usize = 40;

/// The length of the longest number that is read. Python writes floats with at most 24 characters.
const MAX_FLOAT: usize = 64;

/// Returns the integer of decimal `digits`, unless it needs more than 128 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<Wide> {
    // Check the length first: parsing a long number takes quadratic time.
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() <= MAX_DECIMAL)?;
    digits.parse().map(Wide::Signed).or_else(|_| digits.parse().map(Wide::Unsigned)).ok()
}

/// Returns the integer of little-endian `bytes` in two's complement, unless it needs more than 128 bits.
pub(super) fn binary(bytes: &[u8]) -> Option<Wide> {
    if bytes.len() == 17 && bytes[16] == 0 {
        return bytes.first_chunk().map(|bytes| Wide::Unsigned(u128::from_le_bytes(*bytes)));
    }
    let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    let mut extended = [sign; 16];
    extended.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Wide::Signed(i128::from_le_bytes(extended)))
}

pub(super) fn float(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_FLOAT)?.parse().ok()
}

/// Returns the text of Python's encoding `raw-unicode-escape`: Latin-1, in which `\u` and `\U` stand for code points.
pub(super) fn raw_unicode_escape(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        text.push(char::from(*byte));
        if *byte == b'\\' {
            rest = after_backslash(&mut text, after)?;
        }
    }
    Some(text)
}

/// Reads what follows a backslash, which is the last character of `text`. Returns the bytes after it.
fn after_backslash<'a>(text: &mut String, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let width = match bytes.first() {
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(other) => {
            // The second of two backslashes starts no escape.
            text.push(char::from(*other));
            return Some(&bytes[1..]);
        }
        None => return Some(bytes),
    };
    text.pop();
    text.push(char::from_u32(digits(bytes.get(1..=width)?, 16)?)?);
    Some(&bytes[1 + width..])
}

/// Returns the number of at most eight `digits`, which are not signed.
fn digits(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(radix));
    digits.into_iter().try_fold(0_u32, |number, digit| number.checked_mul(radix)?.checked_add(digit?))
}

/// Returns the text of a quoted string of Python 2, unless it is not UTF-8.
pub(super) fn quoted(line: &[u8]) -> Option<String> {
    let (quote, inner) = line.split_first()?;
    let (last, inner) = inner.split_last()?;
    if quote != last || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => rest = escaped(&mut bytes, after)?,
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Adds the byte that the escape after a backslash stands for. Returns the bytes after it.
fn escaped<'a>(bytes: &mut Vec<u8>, escape: &'a [u8]) -> Option<&'a [u8]> {
    let (code, rest) = escape.split_first()?;
    if *code == b'x' {
        bytes.push(u8::try_from(digits(rest.get(..2)?, 16)?).ok()?);
        return Some(&rest[2..]);
    }
    // Python 2 writes these; all other characters are hexadecimal.
    bytes.push(match code {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'\\' | b'\'' | b'"' => *code,
        _ => return None,
    });
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_up_to_128_bits_are_read() {
        let numbers = ["0", "-1", "127", "-128", "9223372036854775808", "-9223372036854775809"];
        for text in numbers.into_iter().chain([&*i128::MAX.to_string(), &*i128::MIN.to_string()]) {
            let number: i128 = text.parse().unwrap();
            assert_eq!(decimal(text.as_bytes()), Some(Wide::Signed(number)), "{text}");
            for length in 1..=16 {
                let bytes = &number.to_le_bytes()[..length];
                let fits = number << (128 - 8 * length) >> (128 - 8 * length) == number;
                assert!(!fits || binary(bytes) == Some(Wide::Signed(number)), "{text} in {length} bytes");
            }
        }
        assert_eq!(decimal(u128::MAX.to_string().as_bytes()), Some(Wide::Unsigned(u128::MAX)));
        assert_eq!(
            binary(&[&[0xff; 16][..], &[0]].concat()),
            Some(Wide::Unsigned(u128::MAX)),
            "the last byte is the sign"
        );
        assert_eq!(binary(b""), Some(Wide::Signed(0)));
    }

    #[test]
    fn integers_of_more_than_128_bits_are_refused() {
        assert_eq!(binary(&[0xff; 17]), None);
        assert_eq!(binary(&[1; 18]), None);
        for text in ["340282366920938463463374607431768211456", "", "1_000", " 1", "0x1", "1L"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decimal(&[b'1'; 1000]), None);
    }

    #[test]
    fn floats_are_read_as_python_writes_them() {
        for (text, number) in [("1.5", 1.5), ("1e+16", 1e16), ("-inf", f64::NEG_INFINITY), ("-0.0", -0.0)] {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Some(f64::to_bits(number)), "{text}");
        }
        assert!(float(b"nan").unwrap().is_nan());
        assert_eq!(float(&[b'1'; 100]), None);
    }

    #[test]
    fn raw_unicode_escapes_are_decoded() {
        let decoded = [
            (&b"a\xe4"[..], "aä"),
            (br"\u20ac\U0001f600!", "€😀!"),
            (br"\u005cu0041", r"\u0041"),
            (br"\\u0041\", r"\\u0041\"),
            (br"\x41", r"\x41"),
        ];
        for (bytes, text) in decoded {
            assert_eq!(raw_unicode_escape(bytes).as_deref(), Some(text), "{}", bytes.escape_ascii());
        }
        for bytes in [&br"\ud83d\ude00"[..], br"\u12", br"\U00110000", br"\u+041"] {
            assert_eq!(raw_unicode_escape(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn quoted_strings_of_python_2_are_decoded() {
        let line = br#"'it\'s \xc3\xa4\n\\'"#;
        assert_eq!(quoted(line).as_deref(), Some("it's ä\n\\"));
        assert_eq!(quoted(br#""it's""#).as_deref(), Some("it's"));
        for line in [&b""[..], b"'", b"'a\"", b"'\\'", b"'\\x4'", b"'\\xff'", b"abc"] {
            assert_eq!(quoted(line), None, "{}", line.escape_ascii());
        }
    }
}
