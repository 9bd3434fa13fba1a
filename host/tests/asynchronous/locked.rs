//! Tasks that check whether a key is locked.

use super::backends::{Backend, KINDS, Kind};
use super::polling::Task;

#[test]
fn key_is_locked_while_it_is_created() {
    for kind in KINDS {
        let region = Backend::new(kind).region();
        let locked = || smol::block_on(region.key_is_locked_async("a")).unwrap();
        assert!(!locked(), "{kind:?}");
        let mut leader =
            Task::new(async { region.get_or_create_async("a", std::future::pending::<u32>).await });
        while region.creations().unwrap().is_empty() {
            assert!(leader.poll().is_none());
            std::thread::yield_now();
        }
        assert!(locked(), "{kind:?}");
        drop(leader);
        assert!(!locked(), "{kind:?}");
    }
}

#[test]
fn key_is_locked_by_the_mutex_of_another_process() {
    for kind in KINDS {
        let backend = Backend::new(kind).with_mutex();
        let region = backend.region();
        backend.store.lock_elsewhere();
        assert!(smol::block_on(region.key_is_locked_async("a")).unwrap(), "{kind:?}");
        backend.store.unlock();
        assert!(!smol::block_on(region.key_is_locked_async("a")).unwrap(), "{kind:?}");
    }
}

#[test]
fn mutex_is_checked_on_another_thread() {
    let backend = Backend::new(Kind::Blocking).with_mutex();
    let region = backend.region();
    let mut asked = Task::new(async { region.key_is_locked_async("a").await });
    backend.store.while_locked(|| assert!(asked.poll().is_none(), "the task does not wait for the store"));
    assert!(!asked.finish().unwrap());
}
