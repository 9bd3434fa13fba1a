//! The calls of LMDB that tasks make: reads that take no other thread, and all others.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dogpile_dbm::{AbstractFileLock, FileLock, LmdbBackend, LmdbConfig, Synchronous};
use dogpile_sdk::{
    BackendError, Bytes, BytesBackend, CachedValue, Completion, CreationTime, Entry, ErrorKind, Metadata,
    Operations, Payload, Running, StoreOptions,
};

const LIMIT: Duration = Duration::from_secs(30);
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);

fn operations(path: &Path) -> (LmdbBackend, Arc<dyn Operations>) {
    let mut config = LmdbConfig::new(path);
    (config.synchronous, config.busy_timeout) = (Synchronous::Off, BUSY_TIMEOUT);
    let backend = LmdbBackend::new(config).unwrap();
    let operations = backend.operations().unwrap();
    (backend, operations)
}

fn value(bytes: Vec<u8>) -> CachedValue {
    CachedValue {
        payload: Payload::Bytes(Bytes::from(bytes)),
        metadata: Metadata::new(CreationTime::from_seconds(1.5)),
    }
}

/// Begins a call, and returns where its outcome arrives, with the thread that completes it.
fn begin<T: Send + 'static>(
    call: impl FnOnce(Completion<T>) -> Running,
) -> Receiver<(Result<T, BackendError>, ThreadId)> {
    let (send, outcome) = channel();
    let completion = Completion::new(move |outcome| send.send((outcome, thread::current().id())).unwrap());
    let _running = call(completion);
    outcome
}

fn end<T: Send + 'static>(call: impl FnOnce(Completion<T>) -> Running) -> (T, ThreadId) {
    let (outcome, thread) = begin(call).recv_timeout(LIMIT).unwrap();
    (outcome.unwrap(), thread)
}

fn set(operations: &dyn Operations, key: &str, bytes: Vec<u8>) {
    end(|completion| operations.begin_set(key, value(bytes), &StoreOptions::new(), completion));
}

#[test]
fn reads_end_before_they_return_and_writes_leave_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (_backend, operations) = operations(&folder.path().join("cache"));
    let this = thread::current().id();

    let entry = |key: &str| Entry::new(key, value(key.into()));
    let entries = vec![entry("a"), entry("b"), entry(&"k".repeat(512))];
    let ((), writer) = end(|completion| operations.begin_set_multi(entries, completion));
    assert_ne!(writer, this);

    let read = begin(|completion| operations.begin_get("a", completion)).try_recv().unwrap();
    assert_eq!((read.0.unwrap(), read.1), (Some(value(b"a".to_vec())), this));
    let keys = ["b", "none", &"k".repeat(512)];
    let read = begin(|completion| operations.begin_get_multi(&keys, completion)).try_recv().unwrap();
    let found = [Some(value(b"b".to_vec())), None, Some(value("k".repeat(512).into()))];
    assert_eq!((read.0.unwrap(), read.1), (found.to_vec(), this));

    let ((), writer) = end(|completion| operations.begin_delete("a", completion));
    assert_ne!(writer, this);
    end(|completion| operations.begin_delete_multi(&["b", "none"], completion));
    let (found, _) = end(|completion| operations.begin_get_multi(&["a", "b"], completion));
    assert_eq!(found, [None, None]);
}

#[test]
fn long_reads_leave_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (_backend, operations) = operations(&folder.path().join("cache"));
    let this = thread::current().id();
    set(&*operations, "short", vec![1; 100_000]);
    set(&*operations, "long", vec![2; 300_000]);

    let (short, reader) = end(|completion| operations.begin_get("short", completion));
    assert_eq!((short, reader), (Some(value(vec![1; 100_000])), this));
    let (long, reader) = end(|completion| operations.begin_get("long", completion));
    assert_eq!(long, Some(value(vec![2; 300_000])));
    assert_ne!(reader, this, "a long value");

    // Each of them is short, but not all of them together.
    let (all, reader) = end(|completion| operations.begin_get_multi(&["short"; 3], completion));
    assert_eq!(all.iter().flatten().count(), 3);
    assert_ne!(reader, this, "long values together");
    let keys: Vec<String> = (0..65).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (none, reader) = end(|completion| operations.begin_get_multi(&keys, completion));
    assert_eq!(none, vec![None; 65]);
    assert_ne!(reader, this, "many keys");
}

#[test]
fn waiting_writes_time_out_together_and_keep_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let (_backend, operations) = operations(&path);
    set(&*operations, "a", b"1".to_vec());
    let other = FileLock::open(folder.path().join("cache.rw.lock")).unwrap();
    assert!(other.acquire_write_lock(LIMIT).unwrap());

    let began = Instant::now();
    let writes: Vec<_> = (0..50)
        .map(|_| {
            let options = StoreOptions::new();
            begin(|completion| operations.begin_set("a", value(b"2".to_vec()), &options, completion))
        })
        .collect();
    let (read, reader) = end(|completion| operations.begin_get("a", completion));
    assert_eq!((read, reader), (Some(value(b"1".to_vec())), thread::current().id()));
    for write in writes {
        let error = write.recv_timeout(LIMIT).unwrap().0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    // One after another, they would take 10 seconds.
    assert!(began.elapsed() < 20 * BUSY_TIMEOUT, "{:?}", began.elapsed());
    other.release_write_lock().unwrap();
    set(&*operations, "a", b"3".to_vec());
    assert_eq!(end(|completion| operations.begin_get("a", completion)).0, Some(value(b"3".to_vec())));
}

/// The file is reopened, which waits for other writers.
#[test]
fn read_of_a_replaced_file_leaves_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let (_backend, operations) = operations(&path);
    set(&*operations, "a", b"1".to_vec());
    fs::remove_file(&path).unwrap();
    let began = Instant::now();
    loop {
        let (found, reader) = end(|completion| operations.begin_get("a", completion));
        if found.is_none() {
            assert_ne!(reader, thread::current().id());
            break;
        }
        assert!(began.elapsed() < LIMIT, "the file is checked from time to time");
    }
}
