//! [`Wakeups`]: the waiters of an opened gate, which wake each other as a tree.
//!
//! Waking a parked thread takes some microseconds. If the leader woke 64 threads one by one, it would be busy for
//! almost a millisecond. It wakes two instead, and each of them wakes two more. Tasks are different: waking one is
//! cheap, and a task that is woken may not be polled for a long time. The leader wakes all tasks itself.

use std::task::Waker;

/// The parked threads that waited at a gate, by the number of each waiter.
#[derive(Debug, Default)]
pub(super) struct Wakeups(Vec<(u64, Waker)>);

impl Wakeups {
    /// Takes the waiting threads, ordered by number.
    pub(super) fn new(threads: Vec<(u64, Waker)>) -> Self {
        Wakeups(threads)
    }

    /// Wakes the first threads of the tree.
    pub(super) fn begin(&self) {
        self.wake(0);
        self.wake(1);
    }

    /// Wakes the threads that the waiter `number` has to wake. A number that is not in the tree wakes none.
    pub(super) fn go_on(&self, number: u64) {
        if let Ok(place) = self.0.binary_search_by_key(&number, |(number, _)| *number) {
            self.wake(2 * place + 2);
            self.wake(2 * place + 3);
        }
    }

    fn wake(&self, place: usize) {
        if let Some((_, waker)) = self.0.get(place) {
            waker.wake_by_ref();
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn tree_of_any_size_wakes_each_thread_once() {
        for size in 0..70 {
            let counts: Vec<Arc<Counting>> = (0..size).map(|_| Arc::default()).collect();
            let threads = counts.iter().zip(0..).map(|(count, number)| (3 * number, count.clone().into()));
            let tree = Wakeups::new(threads.collect());
            tree.begin();
            (0..size as u64).for_each(|number| tree.go_on(3 * number));
            tree.go_on(1);
            assert!(counts.iter().all(|count| count.0.load(SeqCst) == 1), "{size} threads");
        }
    }
}
