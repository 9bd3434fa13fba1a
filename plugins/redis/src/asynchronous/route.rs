//! [`Route`]: the way of calls to a server over one connection.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Waker};
use std::time::Instant;

use dogpile_net::{Added, Lane};

use super::call::Call;
use super::link::Link;

/// The way of calls to a server over one connection: they wait in its lane, and are sent on its link.
///
/// A task, the [driver](super::driver::Driver), sends what waits and receives replies. A call that finds the connection idle is sent
/// by its caller, which saves waking the driver.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) lane: Lane<Call>,
    /// `None` while there is no connection. Callers only try to lock it.
    open: Mutex<Option<Open>>,
}

/// An open connection, and how callers reach its driver.
pub(super) struct Open {
    pub(super) link: Link,
    /// Wakes the driver. The connection wakes it when bytes arrive.
    pub(super) driver: Waker,
    /// When the driver wakes by itself.
    pub(super) alarm: Instant,
}

impl Route {
    pub(super) fn new(lane: Lane<Call>) -> Self {
        Route { lane, open: Mutex::new(None) }
    }

    /// Sends a call if the connection is idle, and adds it to the lane otherwise. Returns it if too many are waiting.
    pub(super) fn submit(&self, call: Call) -> Result<Added, Box<Call>> {
        let Some(mut open) = self.idle(&call) else { return self.lane.add(call) };
        let driver = open.as_mut().and_then(|open| open.send(call));
        drop(open);
        driver.into_iter().for_each(Waker::wake);
        Ok(Added::Waits)
    }

    /// Locks the connection for a caller, if the call can be sent at once.
    fn idle(&self, call: &Call) -> Option<MutexGuard<'_, Option<Open>>> {
        let mut open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => return None,
        };
        let is_idle = open.as_mut().is_some_and(|open| open.is_idle_for(call));
        // A call that waits comes first.
        (is_idle && self.lane.is_empty()).then_some(open)
    }

    /// Locks the connection for its driver.
    pub(super) fn open(&self) -> MutexGuard<'_, Option<Open>> {
        // Ignore poison: a driver that panics ends the connection.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection and the work of a driver that cannot go on, and drops the calls.
    pub(super) fn abandon(&self) {
        let open = self.open().take();
        drop(open);
        self.lane.abandon();
    }
}

impl Open {
    pub(super) fn new(link: Link) -> Self {
        Open { link, driver: Waker::noop().clone(), alarm: Instant::now() }
    }

    fn is_idle_for(&mut self, call: &Call) -> bool {
        // Before its first turn, the driver cannot be woken.
        !self.driver.will_wake(Waker::noop())
            && self.link.is_idle_for(call, &mut Context::from_waker(&self.driver))
    }

    /// Sends a call. Returns what wakes the driver if it must do more.
    fn send(&mut self, call: Call) -> Option<Waker> {
        let is_early = call.deadline < self.alarm;
        let is_sent = self.link.send_now(call, &mut Context::from_waker(&self.driver));
        (is_early || !is_sent).then(|| self.driver.clone())
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::{BytesBackend, CachedValue, Completion, ErrorKind, Operations};

    use crate::RedisBackend;

    /// It is shorter than the time after which an idle connection is closed.
    const LIMIT: Duration = Duration::from_secs(30);

    /// The timeout of calls.
    const TIMEOUT: Duration = Duration::from_secs(1);

    type Outcome = Result<Option<CachedValue>, ErrorKind>;

    /// A backend, and a server that the test plays.
    fn start() -> (Arc<dyn Operations>, TcpListener) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, timeout) = (listener.local_addr().unwrap().port(), TIMEOUT.as_secs());
        let config = format!(r#"{{"host": "127.0.0.1", "port": {port}, "socket_timeout": {timeout}}}"#);
        let backend = RedisBackend::new(&serde_json::from_str(&config).unwrap()).unwrap();
        (backend.operations().unwrap(), listener)
    }

    /// Begins to read a key. Its completion runs `then` after it has sent the outcome.
    fn begin(
        operations: &Arc<dyn Operations>,
        key: &str,
        then: impl FnOnce() + Send + 'static,
    ) -> Receiver<Outcome> {
        let (send, outcome) = channel();
        let complete = move |found: Result<_, dogpile_sdk::BackendError>| {
            send.send(found.map_err(|error| error.kind())).unwrap();
            then();
        };
        let _running = operations.begin_get(key, Completion::new(complete));
        outcome
    }

    /// Receives requests until one has the key.
    fn receive(stream: &mut TcpStream, key: &str) {
        let (mut received, mut space) = (String::new(), [0; 1024]);
        while !received.contains(&format!("\r\n{key}\r\n")) {
            let count = stream.read(&mut space).unwrap();
            assert!(count > 0, "the connection was closed");
            received.push_str(std::str::from_utf8(&space[..count]).unwrap());
        }
    }

    /// Accepts the connection, and replies to the first request.
    fn serve_first(listener: &TcpListener, outcome: &Receiver<Outcome>) -> TcpStream {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        receive(&mut stream, "first");
        stream.write_all(b"$-1\r\n").unwrap();
        assert_eq!(outcome.recv_timeout(LIMIT).unwrap(), Ok(None));
        stream
    }

    #[test]
    fn caller_sends_on_an_idle_connection_while_the_driver_is_busy() {
        let (operations, listener) = start();
        let (open_gate, gate) = channel::<()>();
        // The only thread of the runtime waits in the completion.
        let first = begin(&operations, "first", move || {
            let _ = gate.recv_timeout(LIMIT);
        });
        let mut stream = serve_first(&listener, &first);
        let second = begin(&operations, "second", || {});
        receive(&mut stream, "second");
        open_gate.send(()).unwrap();
        assert_eq!(second.recv_timeout(LIMIT).unwrap(), Err(ErrorKind::Timeout));
    }

    #[test]
    fn call_on_a_long_idle_connection_ends_in_time() {
        let (operations, listener) = start();
        let first = begin(&operations, "first", || {});
        let _stream = serve_first(&listener, &first);
        // The driver's alarm, which was set for the first call, is then set for the end of the idle connection.
        thread::sleep(TIMEOUT + TIMEOUT / 2);
        let second = begin(&operations, "second", || {});
        assert_eq!(second.recv_timeout(LIMIT).unwrap(), Err(ErrorKind::Timeout));
    }
}
