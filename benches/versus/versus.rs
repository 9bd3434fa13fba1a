//! Other caches, each used as its documentation shows.

mod bare_condvar;
#[cfg(feature = "rivals")]
mod bare_files;
#[cfg(feature = "rivals")]
mod bare_map;
#[cfg(feature = "rivals")]
pub mod functions;
mod moka;
mod moka_future;
#[cfg(feature = "rivals")]
mod quick_cache;
mod std_map;

pub use self::bare_condvar::BARE_CONDVAR;
#[cfg(feature = "rivals")]
pub use self::bare_files::{BareLmdb, BareSqlite};
#[cfg(feature = "rivals")]
pub use self::bare_map::BARE_MAP;
pub use self::moka::{MOKA, MOKA_BOUNDED};
pub use self::moka_future::MOKA_FUTURE;
#[cfg(feature = "rivals")]
pub use self::quick_cache::QUICK_CACHE;
pub use self::std_map::STD_MAP;

use crate::async_subject::AsyncSubject;
use crate::subject::Subject;

/// Returns all rivals whose hits are measured.
#[cfg(feature = "rivals")]
pub fn rivals() -> Vec<Subject> {
    vec![
        Subject::new(MOKA, moka::unbounded()),
        Subject::new(MOKA_BOUNDED, moka::bounded()),
        Subject::new(QUICK_CACHE, quick_cache::bounded()),
        Subject::new(BARE_MAP, bare_map::BareMap::default()),
    ]
}

/// Returns the standard library's map.
pub fn std_map() -> Subject {
    Subject::new(STD_MAP, std_map::StdMap::default())
}

/// Returns a bare condition variable.
pub fn bare_condvar() -> Subject {
    Subject::new(BARE_CONDVAR, bare_condvar::BareCondvar::default())
}

/// Returns moka without limits.
pub fn moka() -> Subject {
    Subject::new(MOKA, moka::unbounded())
}

/// Returns the rivals whose hits tasks request.
pub fn async_rivals() -> Vec<Subject> {
    vec![Subject::of_tasks(MOKA_FUTURE, moka_future::unbounded())]
}

/// Returns moka without limits, for tasks.
pub fn moka_future() -> AsyncSubject {
    AsyncSubject::new(MOKA_FUTURE, moka_future::unbounded())
}
