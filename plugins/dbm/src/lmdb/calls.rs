//! The calls of an LMDB file: those of its backend, and those of tasks.

use std::borrow::Cow;

use dogpile_sdk::BackendError;
use heed::RwTxn;

use super::environment::{Environment, Table};
use crate::deadline::Deadline;

/// The length of the longest key that is stored unchanged, in bytes.
pub(super) const LONGEST_KEY: usize = 511;

/// How many keys a task looks up itself. More of them keep its thread for too long.
const INSTANT_KEYS: usize = 64;

/// How many bytes of values a task copies itself, which takes some tens of microseconds.
const INSTANT_BYTES: usize = 256 << 10;

/// Returns the stored form of `key`. A long key becomes 0xFF, which no UTF-8 text contains, and a hash.
fn stored(key: &str) -> Cow<'_, [u8]> {
    if (1..=LONGEST_KEY).contains(&key.len()) {
        return Cow::Borrowed(key.as_bytes());
    }
    let mut name = vec![0xff];
    name.extend_from_slice(&hmac_sha256::Hash::hash(key.as_bytes()));
    Cow::Owned(name)
}

/// Copies a value that was found, unless it has more bytes than are `left`.
fn copied(found: Option<&[u8]>, left: &mut usize) -> Option<Option<Vec<u8>>> {
    *left = left.checked_sub(found.map_or(0, <[u8]>::len))?;
    Some(found.map(<[u8]>::to_vec))
}

impl Environment {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let found = self.read(|env, table| {
            let transaction = env.read_txn()?;
            Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec))
        });
        found.map_err(|error| error.during("get").for_key(key))
    }

    pub(super) fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let found = self.read(|env, table| {
            let transaction = env.read_txn()?;
            let read = |key: &&str| Ok(table.get(&transaction, &stored(key))?.map(<[u8]>::to_vec));
            keys.iter().map(read).collect()
        });
        found.map_err(|error| error.during("get_multi"))
    }

    /// Reads `key` without waiting. Returns `None` if that is not possible, or if it would keep the thread for long.
    pub(super) fn get_now(&self, key: &str) -> Option<Option<Vec<u8>>> {
        let mut left = INSTANT_BYTES;
        self.read_now(|env, table| {
            let transaction = env.read_txn()?;
            Ok(copied(table.get(&transaction, &stored(key))?, &mut left))
        })
    }

    /// Reads `keys` without waiting. See [`get_now`](Self::get_now).
    pub(super) fn get_multi_now(&self, keys: &[&str]) -> Option<Vec<Option<Vec<u8>>>> {
        if keys.len() > INSTANT_KEYS {
            return None;
        }
        let mut left = INSTANT_BYTES;
        self.read_now(|env, table| {
            let transaction = env.read_txn()?;
            let mut all = Vec::with_capacity(keys.len());
            for key in keys {
                let Some(found) = copied(table.get(&transaction, &stored(key))?, &mut left) else {
                    return Ok(None);
                };
                all.push(found);
            }
            Ok(Some(all))
        })
    }

    pub(super) fn set(&self, key: &str, value: &[u8], deadline: Deadline) -> Result<(), BackendError> {
        self.change(deadline, |transaction, table| table.put(transaction, &stored(key), value))
            .map_err(|error| error.during("set").for_key(key))
    }

    pub(super) fn set_multi<'e>(
        &self,
        entries: &(impl Iterator<Item = (&'e str, &'e [u8])> + Clone),
        deadline: Deadline,
    ) -> Result<(), BackendError> {
        let set = |transaction: &mut RwTxn<'_>, table: &Table| {
            entries.clone().try_for_each(|(key, value)| table.put(transaction, &stored(key), value))
        };
        self.change(deadline, set).map_err(|error| error.during("set_multi"))
    }

    pub(super) fn delete(&self, key: &str, deadline: Deadline) -> Result<(), BackendError> {
        self.change(deadline, |transaction, table| table.delete(transaction, &stored(key)).map(drop))
            .map_err(|error| error.during("delete").for_key(key))
    }

    pub(super) fn delete_multi(&self, keys: &[&str], deadline: Deadline) -> Result<(), BackendError> {
        let delete = |transaction: &mut RwTxn<'_>, table: &Table| {
            keys.iter().try_for_each(|key| table.delete(transaction, &stored(key)).map(drop))
        };
        self.change(deadline, delete).map_err(|error| error.during("delete_multi"))
    }

    /// Makes changes in one transaction.
    fn change(
        &self,
        deadline: Deadline,
        mut call: impl FnMut(&mut RwTxn<'_>, &Table) -> heed::Result<()>,
    ) -> Result<(), BackendError> {
        self.write(deadline, |env, table| {
            let mut transaction = env.write_txn()?;
            call(&mut transaction, table)?;
            transaction.commit()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored form is part of the file's format.
    #[test]
    fn stored_form_of_keys_is_pinned() {
        assert_eq!(&*stored("key"), b"key");
        assert_eq!(&*stored(&"k".repeat(511)), "k".repeat(511).as_bytes());
        let hashed = |key: &str| stored(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let empty = "ffe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hashed(""), empty);
        let long = "ff789a49fcfe20dccddb0f9266345989ae51c3333847df3bc45400d1b04033a565";
        assert_eq!(hashed(&"k".repeat(512)), long);
    }

    #[test]
    fn no_key_has_the_stored_form_of_another() {
        for key in ["", &"k".repeat(512)] {
            assert!(std::str::from_utf8(&stored(key)).is_err());
        }
    }

    #[test]
    fn values_are_copied_until_no_bytes_are_left() {
        let mut left = 5;
        assert_eq!(copied(Some(b"abc"), &mut left), Some(Some(b"abc".to_vec())));
        assert_eq!(copied(None, &mut left), Some(None));
        assert_eq!(copied(Some(b"abc"), &mut left), None);
        assert_eq!(copied(Some(b"de"), &mut left), Some(Some(b"de".to_vec())));
    }
}
