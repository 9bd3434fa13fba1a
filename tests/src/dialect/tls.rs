//! Records of TLS.

use super::layout::Layout;

const HEADER: usize = 5;

/// A fatal alert in plain text.
pub(super) const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// A record that clients of TLS 1.3 skip, but not without end.
pub(super) const CHANGE_CIPHER_SPEC: &[u8] = &[20, 3, 3, 0, 1, 1];

/// Returns the layout of the first record. Its payload is everything but the header.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout> {
    let header = bytes.get(..HEADER)?;
    let length = HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
    Some(Layout { length, payload: std::iter::once(HEADER..length).collect() })
}

/// Returns `record` with another length.
pub(super) fn with_length(record: &[u8], change: impl Fn(u16) -> u16) -> Vec<u8> {
    let mut record = record.to_vec();
    let length = change(u16::from_be_bytes([record[3], record[4]]));
    record[3..HEADER].copy_from_slice(&length.to_be_bytes());
    record
}
