//! Replies of memcached in text: to meta commands, and to classic ones.

use super::layout::{Layout, line_end, number};

/// Returns the layout of the first reply. The reply to a classic read reaches to its line `END`.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout> {
    let mut layout = Layout::default();
    loop {
        let (begin, end) = (layout.length, line_end(bytes, layout.length)?);
        let line = &bytes[begin..end - 2];
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let length = match words[..] {
            [b"VA", length, ..] | [b"VALUE", _, _, length, ..] => number::<usize>(length)?,
            _ => return Some(Layout { length: end, ..layout }),
        };
        layout.payload.push(end..end + length);
        layout.length = end + length + 2;
        if words[0] == b"VA" {
            return Some(layout);
        }
    }
}

/// Returns a success for a read, and `value` for anything else.
pub(super) fn other_type(reply: &[u8], value: &[u8]) -> Vec<u8> {
    let is_of_a_read = [&b"VA"[..], b"EN"].iter().any(|word| reply.starts_with(word));
    if is_of_a_read { b"STORED\r\n".to_vec() } else { value.to_vec() }
}

/// Returns `reply` with another length, which is the word number `word` of its first line. A line without a length loses
/// its end.
pub(super) fn with_length(reply: &[u8], word: usize, change: impl Fn(u64) -> u64) -> Vec<u8> {
    let end = line_end(reply, 0).unwrap_or(reply.len());
    let line = String::from_utf8_lossy(&reply[..end - 2]).into_owned();
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    match words.get(word).and_then(|length| length.parse().ok()) {
        Some(length @ 1..) if line.starts_with("VA") => {
            words[word] = change(length).to_string();
            [words.join(" ").as_bytes(), b"\r\n", &reply[end..]].concat()
        }
        _ => reply[..end - 2].to_vec(),
    }
}

/// Returns the items of a classic reply without the line that ends them, or another item if there is none.
pub(super) fn without_end(reply: &[u8]) -> Vec<u8> {
    match reply.strip_suffix(b"END\r\n") {
        Some(items) if !items.is_empty() => items.to_vec(),
        _ => b"VALUE other 0 1 1\r\na\r\n".to_vec(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn reply_ends_where_its_value_ends() {
        let replies: [(&[u8], usize); 6] = [
            (b"HD\r\n", 0),
            (b"EN\r\n", 0),
            (b"VA 3 f0 c1 kkey\r\na\r\n\r\n", 1),
            (b"VALUE key 0 3 1\r\nabc\r\nEND\r\n", 1),
            (b"VALUE a 0 1 1\r\na\r\nVALUE b 0 0 1\r\n\r\nEND\r\n", 2),
            (b"SERVER_ERROR out of memory\r\n", 0),
        ];
        for (reply, values) in replies {
            let layout = layout(&[reply, b"HD\r\n"].concat()).unwrap();
            let shown = reply.escape_ascii();
            assert_eq!((layout.length, layout.payload.len()), (reply.len(), values), "{shown}");
        }
    }

    #[test]
    fn length_is_changed_in_its_line() {
        let less = |length| length - 1;
        assert_eq!(with_length(b"VA 3 f0\r\nabc\r\n", 1, less), b"VA 2 f0\r\nabc\r\n");
        assert_eq!(with_length(b"VALUE k 0 3 1\r\nabc\r\n", 3, less), b"VALUE k 0 2 1\r\nabc\r\n");
        assert_eq!(with_length(b"HD\r\n", 1, less), b"HD");
    }
}
