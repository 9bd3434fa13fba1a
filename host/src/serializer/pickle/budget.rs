//! [`Budget`]: how much may still be read.

use super::error::Error;

/// The greatest number of containers in each other, as in JSON. Deeper values could exhaust the stack.
pub(super) const MAX_DEPTH: u32 = 128;

/// The greatest number of options and newtypes that are open at once. They have no bytes of their own, so that a type
/// may contain itself without end.
const MAX_WRAPPERS: u32 = 512;

/// The cost of reading a value, besides the bytes of its text.
const VALUE_COST: u64 = 16;

/// The further cost of reading a container. A map of one entry takes hundreds of bytes.
const CONTAINER_COST: u64 = 32;

/// What every pickle may cost.
const BASE: u64 = 1 << 20;

/// What each byte of the pickle adds to its budget.
///
/// Without shared objects, a byte costs at most 48: it is an empty list, or less. All of those pickles can be read. The
/// rest is for shared objects: a row that refers to one takes a dozen bytes, and can pay for 30 short texts in it.
const PER_BYTE: u64 = 64;

/// How much may still be read. A pickle of a few bytes can refer to one list in another many times over.
pub(super) struct Budget {
    left: u64,
    depth: u32,
    wrappers: u32,
}

impl Budget {
    /// Creates the budget of a pickle with `length` bytes.
    pub(super) fn new(length: usize) -> Self {
        let left = PER_BYTE.saturating_mul(length as u64).saturating_add(BASE);
        Budget { left, depth: 0, wrappers: 0 }
    }

    /// Pays for `bytes` of text.
    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| refused("its shared objects make it too large".to_owned()))?;
        Ok(())
    }

    /// Enters a container, and pays for all its `items` before room for them is reserved.
    pub(super) fn enter(&mut self, items: u32) -> Result<(), Error> {
        self.spend(CONTAINER_COST + VALUE_COST * u64::from(items))?;
        if self.depth == MAX_DEPTH {
            return Err(refused(format!(
                "more than {MAX_DEPTH} containers are nested, or one contains itself"
            )));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Enters an option or a newtype.
    pub(super) fn wrap(&mut self) -> Result<(), Error> {
        if self.wrappers == MAX_WRAPPERS {
            return Err(refused(format!(
                "its type has more than {MAX_WRAPPERS} options and newtypes in each other"
            )));
        }
        self.wrappers += 1;
        Ok(())
    }

    pub(super) fn unwrap(&mut self) {
        self.wrappers -= 1;
    }
}

fn refused(why: String) -> Error {
    Error::Value(why)
}
