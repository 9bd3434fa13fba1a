//! Checks that a MessagePack value is complete before it is read.
//!
//! A list states its length before its items. Readers reserve room for that many, so that a few bytes that state huge
//! lengths could reserve much memory. In a complete value, all lengths together are at most the number of its bytes.

/// The greatest number of containers in each other. Deeper values could exhaust the stack.
pub(super) const MAX_DEPTH: usize = 128;

/// Checks that `bytes` are exactly one value, which is nested at most [`MAX_DEPTH`] deep.
///
/// # Errors
/// Returns what is wrong, and where.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut scan = Scan { bytes, at: 0 };
    let found = scan.value_and_items();
    let end = bytes.len();
    match found {
        Ok(()) if scan.at == end => Ok(()),
        Ok(()) => Err(format!("cannot read the MessagePack value: {} bytes follow it", end - scan.at)),
        Err(why) => Err(format!("cannot read the MessagePack value at byte {}: {why}", scan.at.min(end))),
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// Where the next value begins. It is within the bytes, or at their end.
    at: usize,
}

impl Scan<'_> {
    /// Passes a value. If it is a list or map, passes all values in it.
    fn value_and_items(&mut self) -> Result<(), &'static str> {
        // How many values are left to pass in each open container.
        let mut open = [0_usize; MAX_DEPTH];
        let mut depth = 0;
        loop {
            let items = self.value()?;
            if items > 0 {
                let slot = open.get_mut(depth).ok_or("more than 128 containers are nested")?;
                *slot = items;
                depth += 1;
                continue;
            }
            while depth > 0 && open[depth - 1] == 1 {
                depth -= 1;
            }
            match depth.checked_sub(1) {
                Some(top) => open[top] -= 1,
                None => return Ok(()),
            }
        }
    }

    /// Passes a value without the values in it. Returns their number.
    fn value(&mut self) -> Result<usize, &'static str> {
        let marker = *self.bytes.get(self.at).ok_or("the value is truncated")?;
        let (length, items) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
            0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
            0x90..=0x9f => (0, usize::from(marker & 0x0f)),
            0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 | 0xd4 => (2, 0),
            0xd5 => (3, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xd6 => (5, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd7 => (9, 0),
            0xd8 => (17, 0),
            _ => self.stated(marker)?,
        };
        self.pass(length, items)
    }

    /// Returns the length of a value that states it, and the number of the values in it.
    fn stated(&self, marker: u8) -> Result<(usize, usize), &'static str> {
        Ok(match marker {
            0xc4 | 0xd9 => (1 + self.number(1)?, 0),
            0xc5 | 0xda => (2 + self.number(2)?, 0),
            0xc6 | 0xdb => (4 + self.number(4)?, 0),
            0xc7 => (2 + self.number(1)?, 0),
            0xc8 => (3 + self.number(2)?, 0),
            0xc9 => (5 + self.number(4)?, 0),
            0xdc => (2, self.number(2)?),
            0xdd => (4, self.number(4)?),
            0xde => (2, 2 * self.number(2)?),
            0xdf => (4, 2 * self.number(4)?),
            _ => return Err("the marker 0xc1 is reserved"),
        })
    }

    /// Returns the number of `width` bytes after the marker.
    fn number(&self, width: usize) -> Result<usize, &'static str> {
        let bytes = self.bytes[self.at + 1..].get(..width).ok_or("the value is truncated")?;
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        // Twice the number must fit as well. No list has that many items.
        usize::try_from(number)
            .ok()
            .filter(|number| *number <= self.bytes.len())
            .ok_or("the value is truncated")
    }

    /// Passes the marker and `length` bytes, after which `items` values of at least one byte each must follow.
    fn pass(&mut self, length: usize, items: usize) -> Result<usize, &'static str> {
        let left = (self.bytes.len() - self.at - 1).checked_sub(length).filter(|left| *left >= items);
        self.at = self.bytes.len() - left.ok_or("the value is truncated")?;
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        check(bytes).unwrap_err().replace("cannot read the MessagePack value", "")
    }

    #[test]
    fn complete_values_of_every_kind_pass() {
        let empty: [&[u8]; 8] = [b"\x05", b"\xff", b"\xc0", b"\xc2", b"\x80", b"\x90", b"\xa0", b"\xc4\0"];
        let sized: [(u8, usize); 16] = [
            (0xcc, 1),
            (0xcd, 2),
            (0xce, 4),
            (0xcf, 8),
            (0xd0, 1),
            (0xd1, 2),
            (0xd2, 4),
            (0xd3, 8),
            (0xca, 4),
            (0xcb, 8),
            (0xd4, 2),
            (0xd5, 3),
            (0xd6, 5),
            (0xd7, 9),
            (0xd8, 17),
            (0xa3, 3),
        ];
        let sized = sized.map(|(marker, length)| [vec![marker], vec![0; length]].concat());
        let stated: [&[u8]; 13] = [
            b"\xc4\x01a",
            b"\xc5\0\x01a",
            b"\xc6\0\0\0\x01a",
            b"\xd9\x01a",
            b"\xda\0\x01a",
            b"\xdb\0\0\0\x01a",
            b"\xc7\x01\x05a",
            b"\xc8\0\x01\x05a",
            b"\xc9\0\0\0\x01\x05a",
            b"\xdc\0\x02\x01\x90",
            b"\xdd\0\0\0\x01\xc0",
            b"\xde\0\x01\x01\x81\x02\x03",
            b"\xdf\0\0\0\x01\x01\x92\x02\x03",
        ];
        for bytes in empty.into_iter().chain(sized.iter().map(|bytes| &**bytes)).chain(stated) {
            assert_eq!(check(bytes), Ok(()), "{}", bytes.escape_ascii());
            for length in 0..bytes.len() {
                let error = problem(&bytes[..length]);
                assert!(error.ends_with("the value is truncated"), "{}: {error}", bytes.escape_ascii());
            }
            assert_eq!(problem(&[bytes, b"\xc0"].concat()), ": 1 bytes follow it");
        }
    }

    #[test]
    fn stated_lengths_beyond_the_bytes_are_refused() {
        let nested = [[0xdd, 0, 0, 0, 100]; 100].concat();
        assert_eq!(problem(&nested), " at byte 400: the value is truncated");
        for bytes in
            [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\x80\0\0\0", b"\xc6\xff\xff\xff\xff", b"\x93\x01\x02"]
        {
            assert!(problem(bytes).ends_with("the value is truncated"), "{}", bytes.escape_ascii());
        }
        assert_eq!(problem(b"\x92\x01\xc1"), " at byte 2: the marker 0xc1 is reserved");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x91, 0xc0]].concat();
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(problem(&nested(MAX_DEPTH + 1)), " at byte 129: more than 128 containers are nested");
    }
}
