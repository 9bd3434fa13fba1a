//! [`Resolver`]: looks up the addresses of a host on a thread of its own.
//!
//! The operating system's resolver cannot be interrupted. A caller therefore waits for the thread until its deadline,
//! and later callers wait for the same thread, so that a hanging resolver costs one thread per host.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::failure::Failure;

type Addresses = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Looks up the addresses of a host and a port. It may block for long.
type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Looks up the addresses of one host.
pub(super) struct Resolver {
    lookup: Lookup,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    is_running: bool,
    /// The number of lookups that have ended.
    ended: u64,
    last: Option<Addresses>,
}

impl Default for Resolver {
    fn default() -> Self {
        Resolver {
            lookup: |host, port| (host, port).to_socket_addrs().map(Iterator::collect),
            shared: Arc::default(),
        }
    }
}

impl Resolver {
    /// Returns the addresses of `host`, which must be the same in all calls.
    ///
    /// # Errors
    /// If the host is unknown, or the deadline passes.
    pub(super) fn resolve(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(address) = address(host, port) {
            return Ok(vec![address]);
        }
        let mut state = self.shared.lock();
        if !state.is_running {
            self.start(host, port).map_err(Failure::Broken)?;
            state.is_running = true;
        }
        let before = state.ended;
        while state.ended == before {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::TimedOut);
            }
            state = self.shared.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.last.clone().unwrap_or_else(|| Ok(Vec::new())).map_err(Failure::Broken)
    }

    fn start(&self, host: &str, port: u16) -> Result<(), Arc<io::Error>> {
        let (shared, host, lookup) = (Arc::clone(&self.shared), host.to_owned(), self.lookup);
        let work = move || {
            let found = lookup(&host, port).map_err(Arc::new);
            let mut state = shared.lock();
            state.is_running = false;
            state.ended += 1;
            state.last = Some(found);
            shared.ended.notify_all();
        };
        thread::Builder::new().name("dogpile-resolver".into()).spawn(work).map(drop).map_err(Arc::new)
    }
}

/// Returns the address that `host` is, or `None` if it is a name, which must be looked up.
pub(super) fn address(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Ignore poison: no code panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn address_needs_no_lookup() {
        let never = Resolver { lookup: |_, _| Err(io::ErrorKind::NotFound.into()), ..Resolver::default() };
        let resolve = |host: &str| never.resolve(host, 7, soon());
        assert_eq!(resolve("127.0.0.1").unwrap(), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(resolve("::1").unwrap(), ["[::1]:7".parse().unwrap()]);
        assert!(resolve("name").is_err());
    }

    #[test]
    fn hanging_lookup_times_out_and_runs_once() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let hang = |_: &str, _| {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        };
        let resolver = Resolver { lookup: hang, ..Resolver::default() };
        for _ in 0..3 {
            let error = resolver.resolve("name", 7, soon()).unwrap_err();
            assert!(matches!(error, Failure::TimedOut), "{error:?}");
        }
        assert!(LOOKUPS.load(Ordering::SeqCst) <= 1);
    }

    #[test]
    fn failed_lookup_is_repeated_by_the_next_caller() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let fail_once = |_: &str, port| match LOOKUPS.fetch_add(1, Ordering::SeqCst) {
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(vec![SocketAddr::new([127, 0, 0, 1].into(), port)]),
        };
        let resolver = Resolver { lookup: fail_once, ..Resolver::default() };
        let far = Instant::now() + Duration::from_secs(60);
        assert!(resolver.resolve("name", 7, far).is_err());
        assert_eq!(resolver.resolve("name", 7, far).unwrap().len(), 1);
    }
}
