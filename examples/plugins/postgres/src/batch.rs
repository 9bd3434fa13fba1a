//! How the entries of `set_multi` are divided into statements.

use std::collections::BTreeMap;

use dogpile_sdk::OwnedBytesEntry;

/// The most bytes that the keys and values of one statement have, unless a single value is larger. The server accepts a
/// gigabyte.
const MOST_BYTES: usize = 64 << 20;

/// Returns the entries in the order of their keys. Of entries with one key, the last one is left.
///
/// Two statements that store some of the same rows thus lock them in one order. Otherwise, each could wait for the other.
pub(crate) fn sorted(entries: Vec<OwnedBytesEntry>) -> Vec<OwnedBytesEntry> {
    let by_key: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    by_key.into_values().collect()
}

/// Returns the parts of `entries` that are stored by one statement each.
pub(crate) fn batches(mut entries: &[OwnedBytesEntry]) -> impl Iterator<Item = &[OwnedBytesEntry]> {
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = |entry: &&OwnedBytesEntry| {
            size += entry.key.len() + entry.value.len();
            size <= MOST_BYTES
        };
        let count = entries.iter().take_while(fits).count().max(1);
        let (batch, rest) = entries.split_at_checked(count)?;
        entries = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::StoreOptions;

    use super::*;

    fn entry(key: &str, size: usize) -> OwnedBytesEntry {
        OwnedBytesEntry::new(key, vec![b'x'; size], StoreOptions::new())
    }

    #[test]
    fn entries_are_sorted_and_the_last_of_a_key_is_left() {
        let left = sorted(vec![entry("b", 1), entry("a", 2), entry("b", 3)]);
        let left: Vec<_> = left.iter().map(|entry| (&*entry.key, entry.value.len())).collect();
        assert_eq!(left, [("a", 2), ("b", 3)]);
    }

    #[test]
    fn batches_are_limited_by_their_size() {
        let sizes = |entries: &[OwnedBytesEntry]| batches(entries).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[entry("a", 1), entry("b", 1)]), [2]);
        let half = MOST_BYTES / 2;
        assert_eq!(sizes(&[entry("a", half), entry("b", half), entry("c", MOST_BYTES)]), [1, 1, 1]);
        assert_eq!(sizes(&[entry("", half), entry("", half), entry("", 1)]), [2, 1]);
    }
}
