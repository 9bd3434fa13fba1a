//! [`Sizes`]: the most bytes of values.

use dogpile_sdk::BackendError;
use dogpile_sdk::bounds::number;

/// The space that an item needs on a server beside its value: the key and a header.
const ITEM_HEADER: usize = 1024;

/// The most bytes of values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of an item, with its key and header.
    pub(crate) item: usize,
    /// Of a value as it is stored.
    pub(crate) value: usize,
    /// Of a value that is compressed.
    pub(crate) decompressed: usize,
}

impl Sizes {
    /// Returns the most bytes of a stored value that a server accepts.
    pub(crate) fn largest(&self) -> usize {
        self.item.saturating_sub(ITEM_HEADER).min(self.value)
    }

    /// Returns the most bytes of all decompressed values of a call.
    pub(crate) fn total(&self) -> usize {
        self.decompressed.max(1 << 30)
    }

    /// Returns the sizes of the arguments `item_size_max`, `max_value_bytes`, and `max_decompressed_bytes`.
    pub(super) fn new(
        item: Option<usize>,
        value: Option<usize>,
        decompressed: Option<usize>,
    ) -> Result<Self, BackendError> {
        // The most that a server can be configured to accept is 1 GiB.
        let item = number("item_size_max", item.unwrap_or(1 << 20), ITEM_HEADER + 1, 1 << 30)?;
        let at_least_one = |argument, given| number(argument, given, 1, usize::MAX);
        Ok(Sizes {
            item,
            value: at_least_one("max_value_bytes", value.unwrap_or(512 << 20))?,
            decompressed: at_least_one("max_decompressed_bytes", decompressed.unwrap_or(item * 8))?,
        })
    }
}
