//! Replies of memcached in its binary protocol.

use super::layout::Layout;

const HEADER: usize = 24;

/// The code of the status "out of memory".
const OUT_OF_MEMORY: [u8; 2] = [0, 0x82];

/// Returns the layout of the first reply. Its payload is the value.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout> {
    let header = bytes.get(..HEADER)?;
    let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let value = HEADER + usize::from(header[4]) + usize::from(u16::from_be_bytes([header[2], header[3]]));
    let length = HEADER + body;
    Some(Layout { length, payload: (value < length).then_some(value..length).into_iter().collect() })
}

/// Returns the reply to a request with another code.
pub(super) fn other_type(reply: &[u8]) -> Vec<u8> {
    let mut reply = reply.to_vec();
    reply[1] ^= 1;
    reply
}

pub(super) fn error(reply: &[u8]) -> Vec<u8> {
    let text = b"Out of memory";
    let mut header = reply[..HEADER].to_vec();
    header[2..6].fill(0);
    header[6..8].copy_from_slice(&OUT_OF_MEMORY);
    header[8..12].copy_from_slice(&(text.len() as u32).to_be_bytes());
    [&header[..], text].concat()
}

/// Returns the reply to a read that no client sent: its number is not that of a recent request.
pub(super) fn unrequested() -> Vec<u8> {
    let mut header = [0; HEADER];
    (header[0], header[4], header[11]) = (0x81, 4, 4 + 5);
    header[12..16].fill(0xee);
    [&header[..], &[0; 4], b"wrong"].concat()
}

/// Returns `reply` with another length of its body.
pub(super) fn with_length(reply: &[u8], change: impl Fn(u32) -> u32) -> Vec<u8> {
    let mut reply = reply.to_vec();
    if let Some(length) = reply.get_mut(8..12) {
        let body = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        length.copy_from_slice(&change(body).to_be_bytes());
    }
    reply
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn value_follows_the_extras() {
        let reply = unrequested();
        let layout = layout(&[&reply[..], &[0x81]].concat()).unwrap();
        assert_eq!(layout.length, reply.len());
        assert_eq!(&reply[layout.payload[0].clone()], b"wrong");
    }

    #[test]
    fn error_keeps_code_and_number_of_its_request() {
        let reply = error(&unrequested());
        assert_eq!(
            (&reply[..2], &reply[6..8], &reply[12..16]),
            (&[0x81, 0][..], &[0, 0x82][..], &[0xee; 4][..])
        );
        assert_eq!(layout(&reply).unwrap().length, reply.len());
    }
}
