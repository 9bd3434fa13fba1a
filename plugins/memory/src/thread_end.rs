//! Whether the calling thread is ending, so that the map cannot keep anything for it.
//!
//! A destructor of a thread-local value may use the cache. papaya's state of the thread may be gone by then, and
//! using it would end the process. Another thread then makes the call.

use std::cell::Cell;
use std::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    Ending,
}

thread_local! {
    /// Has no destructor, so that it can be read as long as the thread runs.
    static STAGE: Cell<Stage> = const { Cell::new(Stage::New) };
    static MARK: Mark = const { Mark };
}

/// Notices that the values of its thread are being destroyed.
struct Mark;

impl Drop for Mark {
    fn drop(&mut self) {
        STAGE.set(Stage::Ending);
    }
}

/// Returns whether the values of the calling thread are being destroyed. `prepare` makes those of papaya; it is called
/// once for each thread.
#[inline]
pub(crate) fn is_ending(prepare: impl FnOnce()) -> bool {
    match STAGE.get() {
        Stage::Running => false,
        Stage::Ending => true,
        Stage::New => begin(prepare),
    }
}

/// The values of a thread are destroyed in the reverse order of their creation. The mark is created last and
/// destroyed first.
#[cold]
fn begin(prepare: impl FnOnce()) -> bool {
    prepare();
    let is_marked = MARK.try_with(|_| ()).is_ok();
    STAGE.set(if is_marked { Stage::Running } else { Stage::Ending });
    !is_marked
}

/// Does `work` on another thread, and waits for it. Returns `None` if no thread can be started.
#[cold]
pub(crate) fn elsewhere<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    thread::scope(|scope| {
        let started = thread::Builder::new().name("dogpile-memory".to_owned()).spawn_scoped(scope, work);
        match started {
            Ok(thread) => thread.join().ok(),
            Err(error) => {
                log::warn!("a call of the cache in memory was not made while its thread ended: {error}");
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::thread;

    use dogpile_sdk::{CachedValue, CreationTime, Metadata, Payload};

    use crate::unbounded::Unbounded;

    /// Uses a map when its thread ends.
    struct User(Arc<Unbounded>);

    thread_local! {
        static USER: RefCell<Option<User>> = const { RefCell::new(None) };
    }

    fn value(number: u64) -> CachedValue {
        let metadata = Metadata::new(CreationTime::from_seconds(1.0));
        CachedValue { payload: Payload::Bytes(number.to_le_bytes().to_vec().into()), metadata }
    }

    impl Drop for User {
        fn drop(&mut self) {
            let map = &self.0;
            map.insert("late", value(1));
            assert!(map.get("late").is_some() && map.get_with("late", &mut |_| ()));
            map.insert("removed", value(2));
            map.remove(&["removed"]);
            assert_eq!(map.get_multi(&["late", "removed"]).iter().filter(|found| found.is_some()).count(), 1);
        }
    }

    #[test]
    fn map_is_used_while_a_thread_ends() {
        // The value of the thread is made before papaya's, after it, and without it.
        for uses in [[false, true], [true, false], [false, false]] {
            let map = Arc::new(Unbounded::new());
            let used = Arc::clone(&map);
            let ended = thread::spawn(move || {
                for (place, uses_map) in uses.into_iter().enumerate() {
                    if uses_map {
                        used.insert("early", value(0));
                    }
                    if place == 0 {
                        USER.set(Some(User(Arc::clone(&used))));
                    }
                }
            });
            ended.join().expect("the thread ends as usual");
            assert!(map.get("late").is_some());
        }
    }
}
