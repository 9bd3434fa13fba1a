//! [`Pool`]: a bounded number of connections to one server.
//!
//! A connection is lent for one exchange at a time. It is closed unless the exchange ended well, because its next bytes
//! may otherwise belong to the reply to an earlier request.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limits of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most connections in use at a time, at least 1.
    pub size: usize,
    /// Most unused connections kept.
    pub max_idle: usize,
    /// Time after which an unused connection is closed, at the next loan.
    pub idle_timeout: Duration,
}

/// A bounded pool of connections to one server.
pub struct Pool<C> {
    limits: PoolLimits,
    connections: Mutex<Connections<C>>,
    returned: Condvar,
}

struct Connections<C> {
    /// The unused connections, each with the time of its last loan. The one returned last is lent first.
    idle: Vec<(C, Instant)>,
    lent: usize,
    /// The number of callers that wait for a connection.
    waiting: usize,
}

/// No connection became free before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {size} connections were in use for {waited:?}")]
pub struct Busy {
    /// The number of connections in use.
    pub size: usize,
    /// The time waited.
    pub waited: Duration,
}

/// The right to use one connection of a pool. It counts toward the pool's limit until it is dropped.
///
/// A loan may begin without a connection. The borrower then [opens](Self::open) one. Dropping a loan closes its
/// connection; [`keep`](Self::keep) gives it back to the pool.
pub struct Loan<'p, C> {
    pool: &'p Pool<C>,
    since: Instant,
    waited: Duration,
    connection: Option<C>,
    is_reused: bool,
    is_kept: bool,
}

impl<C> Pool<C> {
    /// Creates a pool without connections.
    pub fn new(limits: PoolLimits) -> Self {
        let connections = Mutex::new(Connections { idle: Vec::new(), lent: 0, waiting: 0 });
        Pool { limits, connections, returned: Condvar::new() }
    }

    /// Lends a connection. Blocks until `deadline` while all are in use.
    ///
    /// # Errors
    /// If all are still in use at the deadline.
    pub fn lend(&self, deadline: Instant) -> Result<Loan<'_, C>, Busy> {
        let (begun, mut since) = (Instant::now(), None);
        let mut connections = self.connections();
        if connections.lent >= self.limits.size {
            connections = self.wait(connections, deadline);
            since = Some(Instant::now());
            if connections.lent >= self.limits.size {
                return Err(Busy { size: self.limits.size, waited: begun.elapsed() });
            }
        }
        connections.lent += 1;
        let since = since.unwrap_or(begun);
        let kept = connections.idle.pop();
        let fresh =
            kept.filter(|(_, last)| since.saturating_duration_since(*last) < self.limits.idle_timeout);
        // The other idle connections were returned even earlier. Close them all, after unlocking.
        let old = if fresh.is_none() { std::mem::take(&mut connections.idle) } else { Vec::new() };
        drop(connections);
        drop(old);
        let (connection, waited) = (fresh.map(|(connection, _)| connection), since - begun);
        let is_reused = connection.is_some();
        Ok(Loan { pool: self, since, waited, connection, is_reused, is_kept: false })
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        let idle = std::mem::take(&mut self.connections().idle);
        drop(idle);
    }

    /// Closes the idle connections of the parent process, without waiting. If a lock of the parent is in the way,
    /// they stay open.
    ///
    /// This is what a forked child does with the pool of its parent. See [`PerProcess`](dogpile_sdk::PerProcess).
    pub fn abandon(&self) {
        if let Ok(mut connections) = self.connections.try_lock() {
            connections.idle.clear();
        }
    }

    /// Waits until a connection is free, or until `deadline`.
    fn wait<'c>(
        &self,
        mut connections: MutexGuard<'c, Connections<C>>,
        deadline: Instant,
    ) -> MutexGuard<'c, Connections<C>> {
        connections.waiting += 1;
        while connections.lent >= self.limits.size {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.returned.wait_timeout(connections, left);
            connections = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        connections.waiting -= 1;
        connections
    }

    /// Ends a loan, and keeps the connection if there is one.
    fn take_back(&self, connection: Option<(C, Instant)>) {
        let mut connections = self.connections();
        connections.lent -= 1;
        let has_room = connections.idle.len() < self.limits.max_idle;
        let (kept, surplus) = if has_room { (connection, None) } else { (None, connection) };
        connections.idle.extend(kept);
        let is_awaited = connections.waiting > 0;
        drop(connections);
        drop(surplus);
        if is_awaited {
            self.returned.notify_one();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections<C>> {
        // Ignore poison: no code panics while it holds this lock.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Loan<'_, C> {
    /// Returns the connection, if there is one.
    pub fn connection(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    /// Returns the connection, or the one that `open` opens.
    ///
    /// # Errors
    /// If `open` fails.
    pub fn open<E>(&mut self, open: impl FnOnce() -> Result<C, E>) -> Result<&mut C, E> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(open()?)),
        }
    }

    /// Closes the connection, if there is one.
    pub fn close(&mut self) {
        self.connection = None;
        self.is_reused = false;
    }

    /// Returns whether the connection comes from an earlier exchange. The server may have closed it since.
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Returns the time for which the caller waited until a connection was free.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Gives the connection back to the pool. Call this only if every reply has been received.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl<C> Drop for Loan<'_, C> {
    fn drop(&mut self) {
        // Close an unfinished connection first, so that there are never more than the limit.
        let kept = self.connection.take().filter(|_| self.is_kept);
        self.pool.take_back(kept.map(|connection| (connection, self.since)));
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("size", &self.limits.size).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Loan<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("is_reused", &self.is_reused).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::convert::Infallible;
    use std::thread;

    use super::*;

    fn pool(size: usize) -> Pool<u32> {
        Pool::new(PoolLimits { size, max_idle: 1, idle_timeout: Duration::from_secs(60) })
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Returns a loan with connection `number`, unless it has one.
    fn lend(pool: &Pool<u32>, number: u32) -> Loan<'_, u32> {
        let mut loan = pool.lend(in_a_minute()).unwrap();
        loan.open(|| Ok::<_, Infallible>(number)).unwrap();
        loan
    }

    #[test]
    fn kept_connection_is_lent_again_and_dropped_one_is_not() {
        let pool = pool(2);
        lend(&pool, 1).keep();
        let mut again = lend(&pool, 2);
        assert!(again.is_reused());
        assert_eq!(again.connection().copied(), Some(1));
        drop(again);
        let mut new = lend(&pool, 3);
        assert!(!new.is_reused());
        assert_eq!(new.connection().copied(), Some(3));
        new.keep();
        pool.close_idle();
        assert!(!lend(&pool, 4).is_reused());
    }

    #[test]
    fn surplus_idle_connection_is_closed() {
        let pool = pool(2);
        let (one, two) = (lend(&pool, 1), lend(&pool, 2));
        one.keep();
        two.keep();
        assert_eq!(pool.connections().idle.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn old_idle_connections_are_closed() {
        let limits = PoolLimits { size: 2, max_idle: 2, idle_timeout: Duration::ZERO };
        let pool = Pool::new(limits);
        lend(&pool, 1).keep();
        assert!(!lend(&pool, 2).is_reused());
        assert!(pool.connections().idle.is_empty());
    }

    #[test]
    fn waiter_gets_the_returned_connection_or_gives_up() {
        let pool = pool(1);
        let only = lend(&pool, 1);
        let busy = pool.lend(Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(busy.size, 1);
        assert!(busy.waited >= Duration::from_millis(20), "{busy}");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lend(&pool, 2).connection().copied());
            while pool.connections().waiting == 0 {
                thread::yield_now();
            }
            only.keep();
            assert_eq!(waiting.join().unwrap(), Some(1));
        });
    }

    #[test]
    fn abandoning_waits_for_no_lock() {
        let pool = pool(1);
        lend(&pool, 1).keep();
        let locked = pool.connections();
        pool.abandon();
        drop(locked);
        assert!(lend(&pool, 2).is_reused());
        lend(&pool, 3).keep();
        pool.abandon();
        assert!(!lend(&pool, 4).is_reused());
    }
}
