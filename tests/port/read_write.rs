//! `ReadWriteMutex`: many readers or one writer. As in Python, a waiting writer goes before readers that arrive later.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::{self, yield_now};

use dogpile::lock::ReadWriteMutex;
use dogpile_tests::threads::{bounded, together};

#[test]
fn readers_share_and_a_writer_excludes_all() {
    let mutex = ReadWriteMutex::new();
    let readers = (mutex.read(), mutex.try_read().unwrap());
    assert!(mutex.try_write().is_none());
    drop(readers.0);
    // In Python, one release too many lets a writer in beside the other reader. Here, each guard is released once.
    assert!(mutex.try_write().is_none());
    drop(readers.1);
    let writer = mutex.write();
    assert!(mutex.try_read().is_none() && mutex.try_write().is_none());
    drop(writer);
    assert!(mutex.try_read().is_some());
}

#[test]
fn concurrent_readers_never_see_half_a_write() {
    let (mutex, pair) = (ReadWriteMutex::new(), [const { AtomicUsize::new(0) }; 2]);
    together(8, |thread| {
        for _ in 0..200 {
            if thread % 4 == 0 {
                let _alone = mutex.write();
                pair[0].fetch_add(1, SeqCst);
                yield_now();
                pair[1].fetch_add(1, SeqCst);
            } else {
                let _shared = mutex.read();
                assert_eq!(pair[0].load(SeqCst), pair[1].load(SeqCst));
            }
        }
    });
    assert_eq!(pair[1].load(SeqCst), 400);
}

/// Returns once a writer waits for `mutex`, which a reader holds. From then on, a new reader is refused.
fn until_a_writer_waits(mutex: &ReadWriteMutex) {
    while mutex.try_read().is_some() {
        yield_now();
    }
}

#[test]
fn waiting_writer_refuses_a_later_try_read() {
    bounded(|| {
        let mutex = ReadWriteMutex::new();
        let reader = mutex.read();
        thread::scope(|scope| {
            let writer = scope.spawn(|| drop(mutex.write()));
            until_a_writer_waits(&mutex);
            assert!(mutex.try_write().is_none() && !writer.is_finished());
            drop(reader);
        });
        assert!(mutex.try_read().is_some());
    });
}

/// The reader arrives while the writer waits, so it enters after the writer, however the threads are scheduled.
#[test]
fn waiting_writer_goes_before_a_later_reader() {
    bounded(|| {
        let (mutex, (enter, entered)) = (ReadWriteMutex::new(), mpsc::channel());
        let first = mutex.read();
        thread::scope(|scope| {
            let (mutex, write) = (&mutex, enter.clone());
            scope.spawn(move || {
                let _alone = mutex.write();
                write.send("writer").unwrap();
            });
            until_a_writer_waits(mutex);
            scope.spawn(move || {
                let _shared = mutex.read();
                enter.send("reader").unwrap();
            });
            drop(first);
        });
        assert_eq!(entered.iter().collect::<Vec<_>>(), ["writer", "reader"]);
    });
}

/// Each reader enters before the previous one leaves, so that the mutex is never free of readers. Without priority for
/// the writer, this test would not end.
#[test]
fn overlapping_readers_do_not_starve_a_writer() {
    bounded(|| {
        let (mutex, (enter, entered)) = (ReadWriteMutex::new(), mpsc::channel());
        let mut held = mutex.read();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _alone = mutex.write();
                enter.send(()).unwrap();
            });
            while let Some(next) = mutex.try_read() {
                held = next;
                yield_now();
            }
            drop(held);
            entered.recv().unwrap();
        });
    });
}

/// A failed attempt does not count as a waiting writer.
#[test]
fn failed_try_write_does_not_hold_up_readers() {
    let mutex = ReadWriteMutex::new();
    let reader = mutex.read();
    assert!(mutex.try_write().is_none());
    assert!(mutex.try_read().is_some());
    drop(reader);
}
