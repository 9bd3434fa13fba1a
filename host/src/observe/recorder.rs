//! [`Recorder`]: the statistics of a region while they are being counted.
//!
//! Each thread counts in a block of its own, which it finds by the recorder's slot. So a hit costs a thread some
//! instructions, and no other thread waits for a cache line. The blocks of threads that ended are added up.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::counter::{Block, COUNTERS, Counter};
use super::histogram::{Durations, Histogram};

thread_local! {
    /// The blocks of this thread, by the slots of their recorders.
    static BLOCKS: RefCell<Vec<Option<Own>>> = const { RefCell::new(Vec::new()) };
}

/// The block of this thread for a recorder.
struct Own {
    /// The number of the recorder. Its slot may have had another one before.
    recorder: u64,
    block: Arc<Block>,
}

/// The slots that no recorder has, and the number of all slots. Slots are used again, so that their number is the largest
/// number of recorders at a time.
static SLOTS: Mutex<Slots> = Mutex::new(Slots { free: Vec::new(), all: 0 });

struct Slots {
    free: Vec<usize>,
    all: usize,
}

/// The statistics of a region while they are being counted.
#[derive(Debug)]
pub(crate) struct Recorder {
    slot: usize,
    number: u64,
    blocks: Mutex<Blocks>,
    /// Counts of threads that are ending, and have no block any more.
    shared: Block,
    creations: Durations,
    waits: Durations,
    /// By name. A region may get another backend.
    backends: Mutex<Vec<Arc<BackendRecorder>>>,
}

#[derive(Debug, Default)]
struct Blocks {
    /// The blocks of threads that may still count.
    live: Vec<Arc<Block>>,
    /// The sum of all others.
    ended: [u64; COUNTERS],
    /// How many live blocks there were after the last look for threads that ended.
    kept: usize,
}

/// The statistics of a backend of a region.
#[derive(Debug)]
pub(super) struct BackendRecorder {
    name: String,
    pub(super) calls: Durations,
    pub(super) errors: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let slot = {
            let mut slots = SLOTS.lock();
            let all = slots.all;
            slots.free.pop().unwrap_or_else(|| {
                slots.all += 1;
                all
            })
        };
        Recorder {
            slot,
            number: NEXT.fetch_add(1, Relaxed),
            blocks: Mutex::default(),
            shared: Block::default(),
            creations: Durations::default(),
            waits: Durations::default(),
            backends: Mutex::default(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        SLOTS.lock().free.push(self.slot);
    }
}

impl Recorder {
    /// Adds `count` to a counter.
    #[inline]
    pub(super) fn add(&self, counter: Counter, count: u64) {
        let is_counted = BLOCKS.try_with(|blocks| {
            let Ok(blocks) = blocks.try_borrow() else { return false };
            match blocks.get(self.slot) {
                Some(Some(own)) if own.recorder == self.number => {
                    own.block.add(counter, count);
                    true
                }
                _ => false,
            }
        });
        if is_counted != Ok(true) {
            self.add_first(counter, count);
        }
    }

    /// Adds the first count of this thread.
    #[cold]
    fn add_first(&self, counter: Counter, count: u64) {
        let is_counted = BLOCKS.try_with(|blocks| {
            let Ok(mut blocks) = blocks.try_borrow_mut() else { return false };
            if blocks.len() <= self.slot {
                blocks.resize_with(self.slot + 1, || None);
            }
            let block = self.blocks.lock().begin();
            block.add(counter, count);
            blocks[self.slot] = Some(Own { recorder: self.number, block });
            true
        });
        // This thread is ending, and its blocks are gone.
        if is_counted != Ok(true) {
            self.shared.add_shared(counter, count);
        }
    }

    pub(super) fn add_creation(&self, took: Duration) {
        self.creations.add(took);
    }

    pub(super) fn add_wait(&self, took: Duration) {
        self.waits.add(took);
    }

    /// Returns all counts.
    pub(super) fn counts(&self) -> [u64; COUNTERS] {
        let mut counts = self.blocks.lock().counts();
        self.shared.add_to(&mut counts);
        counts
    }

    pub(super) fn creations(&self) -> Histogram {
        self.creations.histogram()
    }

    pub(super) fn waits(&self) -> Histogram {
        self.waits.histogram()
    }

    /// Returns the statistics of the backend `name`.
    pub(super) fn backend(&self, name: &str) -> Arc<BackendRecorder> {
        let mut backends = self.backends.lock();
        if let Some(found) = backends.iter().find(|backend| backend.name == name) {
            return Arc::clone(found);
        }
        let (calls, errors) = (Durations::default(), AtomicU64::new(0));
        let created = Arc::new(BackendRecorder { name: name.to_owned(), calls, errors });
        backends.push(Arc::clone(&created));
        created
    }
}

impl Blocks {
    /// Returns a block for another thread.
    fn begin(&mut self) -> Arc<Block> {
        // Looking each time would take quadratic time in the number of threads.
        if self.live.len() >= 2 * self.kept.max(8) {
            self.end();
        }
        let block = Arc::new(Block::default());
        self.live.push(Arc::clone(&block));
        block
    }

    /// Adds up the blocks of threads that ended.
    fn end(&mut self) {
        let ended = &mut self.ended;
        self.live.retain(|block| {
            let is_live = Arc::strong_count(block) > 1;
            if !is_live {
                // What its thread wrote last is seen here, because the thread has dropped its reference.
                std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
                block.add_to(ended);
            }
            is_live
        });
        self.kept = self.live.len();
    }

    fn counts(&mut self) -> [u64; COUNTERS] {
        self.end();
        let mut counts = self.ended;
        self.live.iter().for_each(|block| block.add_to(&mut counts));
        counts
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::thread;

    use super::*;

    fn hits(recorder: &Recorder) -> u64 {
        recorder.counts()[Counter::FreshHits as usize]
    }

    #[test]
    fn threads_are_counted_while_they_run_and_after_they_ended() {
        let recorder = Arc::new(Recorder::default());
        for round in 1..=5 {
            thread::scope(|scope| {
                let count = || (0..100).for_each(|_| recorder.add(Counter::FreshHits, 1));
                let threads: Vec<_> = (0..20).map(|_| scope.spawn(count)).collect();
                // The end of the scope does not wait until the threads have dropped their thread-local values.
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            assert_eq!(hits(&recorder), round * 2_000);
        }
        recorder.add(Counter::FreshHits, 7);
        assert_eq!(hits(&recorder), 10_007);
        assert_eq!(recorder.blocks.lock().live.len(), 1, "those of threads that ended are added up");
    }

    #[test]
    fn blocks_of_ended_threads_do_not_pile_up() {
        let recorder = Recorder::default();
        thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| recorder.add(Counter::Created, 1)).join().unwrap();
            }
        });
        assert!(recorder.blocks.lock().live.len() <= 17, "{}", recorder.blocks.lock().live.len());
        assert_eq!(recorder.counts()[Counter::Created as usize], 200);
    }

    #[test]
    fn slot_of_a_dropped_recorder_begins_with_zero() {
        for _ in 0..10 {
            let recorder = Recorder::default();
            recorder.add(Counter::FreshHits, 3);
            assert_eq!(hits(&recorder), 3);
        }
    }

    #[test]
    fn thread_that_is_ending_is_counted() {
        struct Last(Arc<Recorder>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.add(Counter::FreshHits, 1);
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        }
        let recorder = Arc::new(Recorder::default());
        let counted = Arc::clone(&recorder);
        let counting = thread::spawn(move || {
            // Registered first, so that it is dropped after or before the blocks, depending on the platform.
            LAST.with(|last| *last.borrow_mut() = Some(Last(Arc::clone(&counted))));
            counted.add(Counter::FreshHits, 1);
        });
        counting.join().unwrap();
        assert_eq!(hits(&recorder), 2);
    }

    #[test]
    fn backend_keeps_its_statistics_under_its_name() {
        let recorder = Recorder::default();
        recorder.backend("a").errors.fetch_add(1, Relaxed);
        assert_eq!(recorder.backend("a").errors.load(Relaxed), 1);
        assert_eq!(recorder.backend("b").errors.load(Relaxed), 0);
    }
}
