//! [`Bytes`]: shared bytes that cross the FFI boundary without a copy.

use std::fmt;
use std::ops::{Deref, RangeFrom};

use crate::object::Object;

/// Immutable, shared bytes. Cloning and slicing do not copy them.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
#[derive(Clone)]
pub struct Bytes {
    owner: Object,
    start: *const u8,
    len: usize,
}

// SAFETY: `start` points into a `Vec` that `owner` keeps alive and that is never changed.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// Returns the bytes from `range.start` on, without a copy.
    ///
    /// # Panics
    /// Panics if `range.start` lies beyond the end.
    #[must_use]
    pub fn slice(&self, range: RangeFrom<usize>) -> Self {
        let rest = &self[range];
        Bytes { owner: self.owner.clone(), start: rest.as_ptr(), len: rest.len() }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let (start, len) = (bytes.as_ptr(), bytes.len());
        // Moving the `Vec` leaves its heap block where it is.
        Bytes { owner: Object::new(bytes), start, len }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` and `len` were taken from the `Vec` that `owner` holds, which is never changed.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_outlives_the_whole() {
        let all = Bytes::from(b"head|payload".to_vec());
        let cut = all.slice(5..);
        drop(all);
        assert_eq!(&*cut, b"payload");
        assert_eq!(&*cut.clone().slice(7..), b"");
    }

    #[test]
    fn empty_bytes_are_empty() {
        assert_eq!(&*Bytes::from(Vec::new()), b"");
    }
}
