//! [`Pool`]: the connections of a backend, bounded in number and age.
//!
//! A connection belongs to the process that opened it. After a fork, the child closes the inherited connections of all
//! pools before it opens its own: SQLite would take their locks for locks of the child.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use dogpile_sdk::{BackendError, ErrorKind, process_id};
use rusqlite::Connection;

use crate::config::DbmConfig;
use crate::connection::{Access, Opened, State};
use crate::deadline::{Deadline, coarse_now};
use crate::error::unusable;
use crate::lock_factory::LockFactory;

/// The most connections that are open at a time. Each has about three descriptors.
pub(crate) const MOST: usize = 32;

/// The time in milliseconds after which an unused connection is closed.
const LONGEST_IDLE: u64 = 60_000;

/// The connections to one file.
pub(crate) struct Pool {
    config: DbmConfig,
    factory: LockFactory,
    state: Mutex<Connections>,
    freed: Condvar,
}

struct Connections {
    /// The process that opened them.
    process: u32,
    /// The unused connections, the longest unused one first.
    idle: VecDeque<Idle>,
    /// The number of connections in use.
    used: usize,
}

struct Idle {
    opened: Opened,
    since: u64,
}

/// The pools of this process, so that a forked child can close the connections of all of them.
static POOLS: Mutex<Pools> = Mutex::new(Pools { pools: Vec::new(), prune_at: 8 });

struct Pools {
    pools: Vec<Weak<Pool>>,
    prune_at: usize,
}

/// Locks `mutex`. No holder panics, so poison carries no meaning.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// Opens the file with a first connection, and prepares it with `first`.
    pub(crate) fn open(
        config: DbmConfig,
        factory: LockFactory,
        first: impl FnOnce(&mut Opened),
    ) -> Result<Arc<Self>, BackendError> {
        let state = Connections { process: process_id(), idle: VecDeque::new(), used: 0 };
        let pool = Pool { config, factory, state: Mutex::new(state), freed: Condvar::new() };
        let pool = Arc::new(pool);
        register(&pool);
        let mut opened = Opened::new(&pool.config, &pool.factory, pool.deadline())?;
        first(&mut opened);
        locked(&pool.state).idle.push_back(Idle { opened, since: coarse_now() });
        Ok(pool)
    }

    pub(crate) fn config(&self) -> &DbmConfig {
        &self.config
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.config.busy_timeout)
    }

    /// Runs `call` on a connection that no other thread uses.
    pub(crate) fn run<T>(
        &self,
        access: Access,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let deadline = self.deadline();
        let (place, idle) = self.take(deadline)?;
        let mut opened = self.connection(idle, access, deadline)?;
        let done = opened.run(access, deadline, call);
        place.give_back(opened);
        done
    }

    /// Closes the unused connections.
    pub(crate) fn close_unused(&self) {
        let idle = mem::take(&mut locked(&self.state).idle);
        // Close them without the lock, because closing takes a while.
        drop(idle);
    }

    /// Waits for a place among the connections, and returns it with an unused connection if there is one.
    fn take(&self, deadline: Deadline) -> Result<(Place<'_>, Option<Opened>), BackendError> {
        let process = process_id();
        let mut state = locked(&self.state);
        if state.process != process {
            drop(state);
            leave_parent(process);
            state = locked(&self.state);
        }
        while state.used >= MOST {
            let left = deadline.left();
            if left.is_zero() {
                return Err(self.crowded());
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.used += 1;
        Ok((Place(self), state.idle.pop_back().map(|idle| idle.opened)))
    }

    fn crowded(&self) -> BackendError {
        let why =
            format!("all {MOST} connections to it were in use for the whole \"busy_timeout\"; retry later");
        unusable(&self.config.filename, ErrorKind::Timeout, &why)
    }

    /// Returns `idle` if the file is the same as ever, or else a new connection.
    fn connection(
        &self,
        idle: Option<Opened>,
        access: Access,
        deadline: Deadline,
    ) -> Result<Opened, BackendError> {
        if let Some(opened) = idle {
            match opened.state(access) {
                State::Current => return Ok(opened),
                State::Altered => drop(opened),
                State::Replaced => {
                    log::warn!("cache file {:?} was deleted or replaced; reopening it", self.config.filename);
                    self.close_unused();
                    opened.abandon(deadline)?;
                }
            }
        }
        Opened::new(&self.config, &self.factory, deadline)
    }

    /// Closes the connections that the parent of this process opened.
    fn close_inherited(&self, process: u32) {
        if locked(&self.state).process != process {
            self.close_unused();
        }
    }

    fn belong_to(&self, process: u32) {
        let mut state = locked(&self.state);
        if state.process != process {
            (state.process, state.used) = (process, 0);
        }
    }

    #[cfg(test)]
    pub(crate) fn unused(&self) -> usize {
        locked(&self.state).idle.len()
    }
}

/// Adds `pool` to the pools of this process.
fn register(pool: &Arc<Pool>) {
    let process = process_id();
    let mut all = locked(&POOLS);
    if all.pools.len() >= all.prune_at {
        all.pools.retain(|pool| pool.strong_count() > 0);
        all.prune_at = 2 * all.pools.len().max(4);
    }
    all.leave_parent(process);
    all.pools.push(Arc::downgrade(pool));
}

fn leave_parent(process: u32) {
    locked(&POOLS).leave_parent(process);
}

impl Pools {
    /// Closes all connections of the parent. Only then may a pool open its own.
    fn leave_parent(&self, process: u32) {
        let pools: Vec<_> = self.pools.iter().filter_map(Weak::upgrade).collect();
        pools.iter().for_each(|pool| pool.close_inherited(process));
        pools.iter().for_each(|pool| pool.belong_to(process));
    }
}

/// A place among the connections in use. Dropping it frees the place.
struct Place<'a>(&'a Pool);

impl Place<'_> {
    /// Keeps a connection for later calls, unless it is broken, and closes those that were unused for long.
    fn give_back(self, opened: Opened) {
        if opened.is_broken() {
            return;
        }
        let since = coarse_now();
        let mut state = locked(&self.0.state);
        let expired = state.idle.partition_point(|idle| since.saturating_sub(idle.since) > LONGEST_IDLE);
        let expired: Vec<_> = state.idle.drain(..expired).collect();
        state.idle.push_back(Idle { opened, since });
        drop(state);
        drop(expired);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        state.used = state.used.saturating_sub(1);
        drop(state);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    fn pool(folder: &tempfile::TempDir, change: impl FnOnce(&mut DbmConfig)) -> Arc<Pool> {
        let mut config = DbmConfig::new(folder.path().join("cache.db"));
        change(&mut config);
        Pool::open(config, LockFactory::file(), |_| ()).unwrap()
    }

    /// Runs `meanwhile` while all connections are in use.
    fn with_all_in_use(pool: &Pool, meanwhile: impl FnOnce()) {
        let (all, done) = (Barrier::new(MOST + 1), Barrier::new(MOST + 1));
        std::thread::scope(|scope| {
            for _ in 0..MOST {
                scope.spawn(|| {
                    let call = |_: &mut Connection| {
                        all.wait();
                        done.wait();
                        Ok(())
                    };
                    pool.run(Access::Read, call).unwrap();
                });
            }
            all.wait();
            meanwhile();
            done.wait();
        });
    }

    #[test]
    fn call_beyond_the_bound_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, |config| config.busy_timeout = Duration::from_millis(500));
        with_all_in_use(&pool, || {
            let error = pool.run(Access::Read, |_| Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("all 32 connections to it were in use"), "{error}");
        });
        pool.run(Access::Read, |_| Ok(())).unwrap();
        assert_eq!(pool.unused(), MOST);
    }

    #[test]
    fn waiting_call_gets_the_next_free_connection() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, |_| ());
        std::thread::scope(|scope| {
            with_all_in_use(&pool, || {
                scope.spawn(|| pool.run(Access::Read, |_| Ok(())).unwrap());
            });
        });
        assert_eq!(pool.unused(), MOST);
    }

    #[test]
    fn endless_call_is_interrupted_and_its_connection_kept() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, |config| config.busy_timeout = Duration::ZERO);
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let call = |sqlite: &mut Connection| sqlite.query_row(endless, [], |row| row.get::<_, i64>(0));
        let error = pool.run(Access::Write, call).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("the call took longer than its \"busy_timeout\""), "{error}");
        assert_eq!(pool.unused(), 1);
        pool.run(Access::Write, |_| Ok(())).unwrap();
    }

    #[test]
    fn connection_unused_for_long_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder, |_| ());
        with_all_in_use(&pool, || ());
        assert_eq!(pool.unused(), MOST);
        for idle in &mut locked(&pool.state).idle {
            idle.since = idle.since.saturating_sub(LONGEST_IDLE + 1);
        }
        pool.run(Access::Read, |_| Ok(())).unwrap();
        assert_eq!(pool.unused(), 1);
    }
}
