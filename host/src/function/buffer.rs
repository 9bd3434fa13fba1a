//! [`KeyBuffer`]: where keys are written, without an allocation for each.

use std::cell::Cell;
use std::ops::Deref;

/// What is kept for the next key takes no more bytes.
const KEPT: usize = 1024;

thread_local! {
    /// The buffer of the last key that this thread is done with.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// A key. When it is dropped, its memory is kept for the thread's next one.
#[derive(Debug)]
pub struct KeyBuffer(String);

impl KeyBuffer {
    /// The key that `write` writes.
    #[inline]
    pub fn written(write: impl FnOnce(&mut String)) -> Self {
        // A thread that is ending has none.
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
            // A thread that is ending keeps nothing.
            let _ = SPARE.try_with(|kept| kept.set(spare));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_live_at_the_same_time_do_not_disturb_each_other() {
        let outer = KeyBuffer::written(|key| key.push_str("outer"));
        {
            let inner = KeyBuffer::written(|key| key.push_str("inner"));
            assert_eq!((&*outer, &*inner), ("outer", "inner"));
        }
        assert_eq!(&*KeyBuffer::written(|key| key.push('x')), "x");
        assert_eq!(&*outer, "outer");
    }

    #[test]
    fn the_memory_of_a_long_key_is_not_kept() {
        drop(KeyBuffer::written(|key| key.push_str(&"x".repeat(KEPT + 1))));
        assert!(SPARE.take().capacity() <= KEPT);
    }
}
