//! [`Owned`]: an operation that outlives its caller.

use std::sync::Arc;

use crate::client::{Operation, When};

/// An operation that outlives its caller.
#[derive(Debug)]
pub(super) struct Owned {
    key: Box<str>,
    value: Box<[u8]>,
    what: What,
}

#[derive(Debug)]
enum What {
    Get,
    Store { flags: u32, expiry: u32, when: When },
    Delete { cas: Option<u64> },
}

/// The bytes of a request beside its key and value, and what is kept of it in memory.
const OVERHEAD: usize = 64;

impl Owned {
    pub(super) fn new(operation: &Operation<'_>) -> Arc<Self> {
        let (value, what) = match *operation {
            Operation::Get { .. } => (&[][..], What::Get),
            Operation::Store { value, flags, expiry, when, .. } => {
                (value, What::Store { flags, expiry, when })
            }
            Operation::Delete { cas, .. } => (&[][..], What::Delete { cas }),
        };
        Arc::new(Owned { key: operation.key().into(), value: value.into(), what })
    }

    pub(super) fn operation(&self) -> Operation<'_> {
        let (key, value) = (&*self.key, &*self.value);
        match self.what {
            What::Get => Operation::Get { key },
            What::Store { flags, expiry, when } => Operation::Store { key, value, flags, expiry, when },
            What::Delete { cas } => Operation::Delete { key, cas },
        }
    }

    /// Returns about how many bytes the request has.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.value.len() + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_operation_is_the_same_operation() {
        let store = |when| Operation::Store { key: "key", value: b"value", flags: 8, expiry: 60, when };
        for operation in [
            Operation::Get { key: "key" },
            store(When::Always),
            store(When::Absent),
            store(When::Unchanged(7)),
            Operation::Delete { key: "key", cas: None },
            Operation::Delete { key: "key", cas: Some(7) },
        ] {
            let owned = Owned::new(&operation);
            assert_eq!(owned.operation(), operation);
            assert!(owned.size() >= OVERHEAD + 3);
        }
    }
}
