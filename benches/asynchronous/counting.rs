//! [`Counting`]: an allocator that counts what a thread keeps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Blocks of this size and more count as futures: no call keeps so much of anything else.
const FUTURE: usize = 512;

/// What a thread has allocated and not freed, in bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kept {
    pub(crate) futures: i64,
    pub(crate) others: i64,
}

thread_local! {
    static KEPT: Cell<Kept> = const { Cell::new(Kept { futures: 0, others: 0 }) };
}

/// The system's allocator, which counts for each thread.
pub(crate) struct Counting;

fn count(size: usize, sign: i64) {
    // A thread that ends may allocate after its thread-local values are gone.
    let _ = KEPT.try_with(|kept| {
        let Kept { mut futures, mut others } = kept.get();
        let count = if size >= FUTURE { &mut futures } else { &mut others };
        *count += sign * size as i64;
        kept.set(Kept { futures, others });
    });
}

// SAFETY: all calls are those of the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Does `work`, and returns what this thread has kept of it.
pub(crate) fn kept_by(work: impl FnOnce()) -> Kept {
    let before = KEPT.get();
    work();
    let after = KEPT.get();
    Kept { futures: after.futures - before.futures, others: after.others - before.others }
}
