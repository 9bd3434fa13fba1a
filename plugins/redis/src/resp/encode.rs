//! Writes commands, which are arrays of strings in RESP2 and RESP3 alike.

/// Appends the head of a command with `count` arguments, its name included. [`bulk`] and [`number`] write these.
pub(crate) fn command(count: usize, out: &mut Vec<u8>) {
    head(b'*', count as u64, out);
}

/// Appends an argument.
pub(crate) fn bulk(argument: &[u8], out: &mut Vec<u8>) {
    head(b'$', argument.len() as u64, out);
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
}

/// Appends an argument that is a number.
pub(crate) fn number(argument: u64, out: &mut Vec<u8>) {
    let mut digits = [0; DIGITS];
    bulk(decimal(argument, &mut digits), out);
}

fn head(kind: u8, count: u64, out: &mut Vec<u8>) {
    let mut digits = [0; DIGITS];
    out.push(kind);
    out.extend_from_slice(decimal(count, &mut digits));
    out.extend_from_slice(b"\r\n");
}

/// The number of digits of the largest number.
const DIGITS: usize = 20;

/// Writes `number` to the end of `digits`. A batch of a hundred keys has two hundred numbers, for which the formatting
/// of the standard library takes several microseconds.
fn decimal(mut number: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut begin = DIGITS;
    loop {
        begin -= 1;
        digits[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[begin..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_an_array_of_strings() {
        let mut out = Vec::new();
        command(3, &mut out);
        bulk(b"SET", &mut out);
        bulk(b"", &mut out);
        number(0, &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\n0\r\n");
    }

    #[test]
    fn number_has_its_decimal_digits() {
        for value in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let mut digits = [0; DIGITS];
            assert_eq!(decimal(value, &mut digits), value.to_string().as_bytes());
        }
    }
}
