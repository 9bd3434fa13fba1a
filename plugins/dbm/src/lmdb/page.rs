//! [`Page`]: the layout of a page of LMDB, read with bounds. The system has 64 bits and stores the low byte first.

// Source: LMDB `mdb.c`, `MDB_page` and `MDB_node`.

pub(super) const META: u16 = 8;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const LARGE: u16 = 4;

/// The flags that state the kind of a page. The others have no meaning in a file.
const KIND: u16 = 0x6f;

/// The length of a number in a list of free pages, and of the keys of such lists.
pub(super) const FREE: usize = 8;

const LONGEST_KEY: usize = 511;
const NODE_HEAD: usize = 8;
const ON_PAGES_OF_ITS_OWN: u16 = 1;

/// A page of a tree.
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    is_leaf: bool,
    count: usize,
    upper: usize,
}

/// What a page has under one key.
pub(super) enum Item<'a> {
    /// A page below this one.
    Below(u64),
    Value(&'a [u8]),
    /// A value of `length` bytes on pages of its own.
    Large {
        page: u64,
        length: usize,
    },
    /// Something that a table of keys and values does not have.
    Foreign,
}

/// Returns the number at `at`, or 0 beyond the end.
pub(super) fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|found| found.try_into().ok()).map_or(0, u16::from_le_bytes)
}

/// Returns the number at `at`, or 0 beyond the end.
pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|found| found.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn even(length: usize) -> usize {
    length.next_multiple_of(2)
}

impl<'a> Page<'a> {
    pub(super) const HEAD: usize = 16;

    /// Returns `bytes` as page `number`, or `None` if they are not a leaf, or not a branch, of this number.
    pub(super) fn new(bytes: &'a [u8], number: u64, is_leaf: bool) -> Option<Self> {
        let kind = if is_leaf { LEAF } else { BRANCH };
        let (lower, upper) = (usize::from(short(bytes, 12)), usize::from(short(bytes, 14)));
        let valid = long(bytes, 0) == number
            && short(bytes, 10) & KIND == kind
            && (Self::HEAD + 2..=upper).contains(&lower)
            && lower.is_multiple_of(2)
            && upper <= bytes.len();
        valid.then(|| Page { bytes, is_leaf, count: (lower - Self::HEAD) / 2, upper })
    }

    /// Returns the number of pages of a value that starts on page `number` with `head`, or `None` if it does not.
    pub(super) fn large(head: &[u8], number: u64) -> Option<u64> {
        let pages = u64::from(short(head, 12)) | u64::from(short(head, 14)) << 16;
        (long(head, 0) == number && short(head, 10) & KIND == LARGE).then_some(pages)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns everything on the page, or `None` if something is outside of it or overlaps.
    pub(super) fn items(&self, free: bool) -> Option<Vec<Item<'a>>> {
        let mut taken = Vec::with_capacity(self.count);
        let mut items = Vec::with_capacity(self.count);
        for index in 0..self.count {
            let at = usize::from(short(self.bytes, Self::HEAD + 2 * index));
            let (item, length) = self.item(at, index, free)?;
            taken.push((at, at + even(length)));
            items.push(item);
        }
        taken.sort_unstable();
        let apart = taken.windows(2).all(|two| two[0].1 <= two[1].0);
        let within = taken.last().is_some_and(|last| last.1 <= self.bytes.len());
        (apart && within).then_some(items)
    }

    /// Returns the item at `at` and its length, or `None` if it does not fit.
    fn item(&self, at: usize, index: usize, free: bool) -> Option<(Item<'a>, usize)> {
        let node = self
            .bytes
            .get(at..)
            .filter(|node| at >= self.upper && at.is_multiple_of(2) && node.len() >= NODE_HEAD)?;
        let key = usize::from(short(node, 6));
        if !self.is_key(key, index, free) {
            return None;
        }
        let (low, flags) = (u64::from(short(node, 0)) | u64::from(short(node, 2)) << 16, short(node, 4));
        let rest = node.get(NODE_HEAD + key..)?;
        let (item, length) = match self.is_leaf {
            true => value(flags, usize::try_from(low).ok()?, rest)?,
            false => (Item::Below(low | u64::from(flags) << 32), 0),
        };
        Some((item, NODE_HEAD + key + length))
    }

    /// Returns whether a key may have this length.
    fn is_key(&self, length: usize, index: usize, free: bool) -> bool {
        // The first key of a branch is not used.
        let unused = !self.is_leaf && index == 0 && length <= LONGEST_KEY;
        unused || if free { length == FREE } else { (1..=LONGEST_KEY).contains(&length) }
    }
}

/// Returns the value of `length` bytes at the start of `rest`, and how many of those bytes it takes.
fn value(flags: u16, length: usize, rest: &[u8]) -> Option<(Item<'_>, usize)> {
    match flags {
        0 => Some((Item::Value(rest.get(..length)?), length)),
        ON_PAGES_OF_ITS_OWN => rest.get(..8).map(|page| (Item::Large { page: long(page, 0), length }, 8)),
        _ => Some((Item::Foreign, 0)),
    }
}
