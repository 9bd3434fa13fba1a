//! Replies of Redis.

use super::layout::{Layout, line_end, number};

/// Returns the layout of the first reply. Its payload is the bytes of its strings.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout> {
    let (mut layout, mut missing) = (Layout::default(), 1_usize);
    while missing > 0 {
        let (begin, end) = (layout.length, line_end(bytes, layout.length)?);
        let count: Option<usize> = number(&bytes[begin + 1..end - 2]);
        (layout.length, missing) = (end, missing - 1);
        match (bytes[begin], count) {
            (b'$' | b'=' | b'!', Some(count)) => {
                layout.payload.push(end..end + count);
                layout.length += count + 2;
            }
            (b'*' | b'~' | b'>', Some(count)) => missing += count,
            (b'%', Some(count)) => missing += 2 * count,
            (b'|', Some(count)) => missing += 2 * count + 1,
            _ => {}
        }
    }
    Some(layout)
}

pub(super) fn other_type(reply: &[u8]) -> Vec<u8> {
    let other: &[u8] = match reply.first() {
        Some(b'$') => b":5\r\n",
        Some(b'*' | b'~' | b'>') => b"%1\r\n+a\r\n+b\r\n",
        Some(b'+') => b"$5\r\nwrong\r\n",
        _ => b"+OK\r\n",
    };
    other.to_vec()
}

/// Returns `reply` with its first length reduced by one. A reply without a length becomes a string with a wrong one.
pub(super) fn wrong_length(reply: &[u8]) -> Vec<u8> {
    let end = line_end(reply, 0).unwrap_or(reply.len());
    match (reply.first(), number::<u64>(&reply[1..end - 2])) {
        (Some(kind @ (b'$' | b'*' | b'%' | b'~' | b'>')), Some(length @ 1..)) => {
            [format!("{}{}\r\n", char::from(*kind), length - 1).as_bytes(), &reply[end..]].concat()
        }
        _ => b"$2\r\nabc\r\n".to_vec(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn reply_ends_where_its_last_part_ends() {
        let replies: [(&[u8], usize); 9] = [
            (b"+OK\r\n", 0),
            (b":1\r\n", 0),
            (b"$-1\r\n", 0),
            (b"$3\r\na\r\n\r\n", 1),
            (b"*2\r\n$1\r\na\r\n$-1\r\n", 1),
            (b"%1\r\n$1\r\nk\r\n*1\r\n:1\r\n", 1),
            (b"|1\r\n+a\r\n+b\r\n:1\r\n", 0),
            (b"*-1\r\n", 0),
            (b">2\r\n+message\r\n$1\r\nx\r\n", 1),
        ];
        for (reply, strings) in replies {
            let shown = reply.escape_ascii();
            let layout = layout(&[reply, b"+next\r\n"].concat()).unwrap();
            assert_eq!((layout.length, layout.payload.len()), (reply.len(), strings), "{shown}");
        }
    }

    #[test]
    fn wrong_length_is_one_too_small() {
        assert_eq!(wrong_length(b"$3\r\nabc\r\n"), b"$2\r\nabc\r\n");
        assert_eq!(wrong_length(b"*10\r\n"), b"*9\r\n");
        assert_eq!(wrong_length(b"+OK\r\n"), b"$2\r\nabc\r\n");
    }
}
