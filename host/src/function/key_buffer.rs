//! [`KeyBuffer`]: a key whose memory is reused, so that most calls allocate nothing.

use std::cell::Cell;
use std::ops::Deref;

/// The capacity, in bytes, above which memory is not kept for the next key.
const KEPT: usize = 1024;

thread_local! {
    /// The memory of the last key that this thread dropped.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// A key whose memory is kept for the thread's next key when it is dropped.
#[derive(Debug)]
pub struct KeyBuffer(String);

impl KeyBuffer {
    /// Creates the key that `write` writes.
    #[inline]
    pub fn written(write: impl FnOnce(&mut String)) -> Self {
        // The variable is gone if the thread is ending.
        let mut key = SPARE.try_with(Cell::take).unwrap_or_default();
        key.clear();
        write(&mut key);
        KeyBuffer(key)
    }
}

impl Deref for KeyBuffer {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for KeyBuffer {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            let spare = std::mem::take(&mut self.0);
            // The variable is gone if the thread is ending.
            let _ = SPARE.try_with(|kept| kept.set(spare));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_use_at_once_have_separate_buffers() {
        let outer = KeyBuffer::written(|key| key.push_str("outer"));
        {
            let inner = KeyBuffer::written(|key| key.push_str("inner"));
            assert_eq!((&*outer, &*inner), ("outer", "inner"));
        }
        assert_eq!(&*KeyBuffer::written(|key| key.push('x')), "x");
        assert_eq!(&*outer, "outer");
    }

    #[test]
    fn long_key_when_dropped_keeps_no_memory() {
        drop(KeyBuffer::written(|key| key.push_str(&"x".repeat(KEPT + 1))));
        assert!(SPARE.take().capacity() <= KEPT);
    }
}
