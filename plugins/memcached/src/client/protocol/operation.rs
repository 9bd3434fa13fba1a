//! [`Operation`] and [`Reply`]: the requests to a server, and its replies.

/// One request to a server. Its key must have been [checked](crate::client::check_key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Reads the item of `key` with its cas value.
    Get {
        /// The key.
        key: &'a str,
    },
    /// Stores `value`.
    Store {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a [u8],
        /// A number that the server stores with the value.
        flags: u32,
        /// Lifetime in seconds, up to 30 days. A larger number is a time since the Unix epoch. 0 means forever.
        expiry: u32,
        /// The condition for storing it.
        when: When,
    },
    /// Deletes the item of `key`. With a cas value, deletes only an item that has it.
    Delete {
        /// The key.
        key: &'a str,
        /// The cas value.
        cas: Option<u64>,
    },
}

/// The condition for storing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Store it in any case.
    Always,
    /// Store it if the key is missing.
    Absent,
    /// Store it if the present item has this cas value.
    Unchanged(u64),
}

/// The reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The item.
    Value {
        /// The value.
        data: Vec<u8>,
        /// The number that was stored with the value.
        flags: u32,
        /// A number that changes whenever the item changes.
        cas: u64,
    },
    /// The key is missing.
    Miss,
    /// The item was stored or deleted.
    Done,
    /// The item was not stored or deleted, because its condition did not hold.
    NotDone,
}

impl<'a> Operation<'a> {
    /// Returns the key.
    pub fn key(&self) -> &'a str {
        match self {
            Operation::Get { key } | Operation::Store { key, .. } | Operation::Delete { key, .. } => key,
        }
    }

    /// Returns whether repeating the operation is harmless. After a repeated add, its caller looks at the stored value.
    pub(crate) fn is_harmless(&self) -> bool {
        match self {
            Operation::Get { .. } | Operation::Delete { cas: None, .. } => true,
            Operation::Store { when, .. } => !matches!(when, When::Unchanged(_)),
            Operation::Delete { .. } => false,
        }
    }
}

impl Reply {
    /// Returns the number of bytes of the value, if there is one.
    pub(crate) fn length(&self) -> usize {
        match self {
            Reply::Value { data, .. } => data.len(),
            _ => 0,
        }
    }
}
