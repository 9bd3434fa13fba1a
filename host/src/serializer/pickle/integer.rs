//! Writes integers of up to 128 bits.

use super::opcode as op;

/// Writes `value` with as few bytes as Python does.
pub(super) fn signed(out: &mut Vec<u8>, value: i128) {
    if let Ok(small) = u8::try_from(value) {
        out.extend([op::BININT1, small]);
    } else if let Ok(small) = u16::try_from(value) {
        out.push(op::BININT2);
        out.extend(small.to_le_bytes());
    } else if let Ok(small) = i32::try_from(value) {
        out.push(op::BININT);
        out.extend(small.to_le_bytes());
    } else {
        long(out, value.to_le_bytes(), if value < 0 { 0xff } else { 0 });
    }
}

/// Writes `value` with as few bytes as Python does.
pub(super) fn unsigned(out: &mut Vec<u8>, value: u128) {
    match i128::try_from(value) {
        Ok(value) => signed(out, value),
        Err(_) => long(out, value.to_le_bytes(), 0),
    }
}

/// Writes `bytes` in two's complement, without the `sign` that goes on after them if the last byte shows it.
fn long(out: &mut Vec<u8>, bytes: [u8; 16], sign: u8) {
    let length = bytes.iter().rposition(|byte| *byte != sign).map_or(0, |last| last + 1);
    let bytes = &bytes[..length];
    let shows_sign = bytes.last().is_some_and(|last| (*last ^ sign) < 0x80);
    out.extend([op::LONG1, length as u8 + u8::from(!shows_sign)]);
    out.extend(bytes);
    out.extend((!shows_sign).then_some(sign));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3.11 writes these integers so.
    #[test]
    fn integers_are_written_as_python_writes_them() {
        let written: [(i128, &[u8]); 9] = [
            (0, b"K\x00"),
            (255, b"K\xff"),
            (65_535, b"M\xff\xff"),
            (65_536, b"J\x00\x00\x01\x00"),
            (-1, b"J\xff\xff\xff\xff"),
            (1 << 31, b"\x8a\x05\x00\x00\x00\x80\x00"),
            (-(1 << 31) - 1, b"\x8a\x05\xff\xff\xff\x7f\xff"),
            (-(1 << 63), b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80"),
            (-(1 << 32), b"\x8a\x05\x00\x00\x00\x00\xff"),
        ];
        for (value, bytes) in written {
            let mut out = Vec::new();
            signed(&mut out, value);
            assert_eq!(out, bytes, "{value}: {}", out.escape_ascii());
        }
        let mut out = Vec::new();
        unsigned(&mut out, u128::MAX);
        assert_eq!(out, [&b"\x8a\x11"[..], &[0xff; 16], &[0]].concat());
    }
}
