//! [`Layout`]: where the parts of a reply are.

use std::ops::Range;

/// The length of a reply, and where its values are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) length: usize,
    /// The parts that are not part of the protocol.
    pub(crate) payload: Vec<Range<usize>>,
}

impl Layout {
    /// Returns the positions of the bytes that are part of the protocol.
    pub(crate) fn head(&self) -> Vec<usize> {
        (0..self.length).filter(|at| !self.payload.iter().any(|part| part.contains(at))).collect()
    }
}

/// Returns the position after the first line end in `bytes` from `at` on.
pub(super) fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let line = bytes.get(at..)?;
    line.windows(2).position(|pair| pair == b"\r\n").map(|end| at + end + 2)
}

/// Parses decimal digits.
pub(super) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
