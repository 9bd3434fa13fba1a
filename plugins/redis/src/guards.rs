//! [`Guards`]: whether requests to a server end with a guard.
//!
//! Replies of Redis do not say to which command they belong. A proxy that sends a reply twice thereby gives each key the
//! value of the one before, and nothing else shows it as long as the next request is sent before the surplus bytes
//! arrive. A lock would seem to be acquired in the same way. A guard is an `ECHO` of a number that no earlier request had. If its reply is not at its place, the others may
//! not be either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::command::Request;
use crate::connection::{Connection, Failure};
use crate::resp::{Expected, Value};

/// Whether requests to a server end with a guard.
#[derive(Debug)]
pub(crate) struct Guards {
    /// Whether the server does not reply to guards, or the user does not want them.
    is_off: Arc<AtomicBool>,
    /// Whether the server has replied to a guard.
    has_worked: AtomicBool,
}

impl Guards {
    pub(crate) fn new(is_on: bool) -> Self {
        Guards { is_off: Arc::new(AtomicBool::new(!is_on)), has_worked: AtomicBool::new(false) }
    }

    /// Returns whether requests have no guards, for the asynchronous calls to the same server.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_off(&self) -> &Arc<AtomicBool> {
        &self.is_off
    }

    /// Returns the kind of the reply to the guard of `request`, or `None` if it is to be sent without one.
    pub(crate) fn guard(&self, request: &Request, connection: &Connection) -> Option<Expected> {
        if self.is_off.load(Ordering::Relaxed) {
            return None;
        }
        // A surplus reply of another type is noticed anyway.
        request.guard(connection.last_read())
    }

    /// Receives the reply to a guard.
    ///
    /// # Errors
    /// If it is another reply.
    pub(crate) fn receive(&self, guard: Expected, connection: &mut Connection) -> Result<(), Failure> {
        match connection.receive(guard) {
            Ok(Value::Bulk(_)) => self.has_worked.store(true, Ordering::Relaxed),
            Ok(rejection) => {
                // The rejection is at its place. Do not fill the server's log with further ones.
                log::debug!("a Redis server does not know ECHO, or rejects it: it sent {}", rejection.kind());
                self.is_off.store(true, Ordering::Relaxed);
            }
            Err(failure) => {
                // Something that only resembles a server of Redis may ignore the command.
                if matches!(failure, Failure::TimedOut) && !self.has_worked.load(Ordering::Relaxed) {
                    log::warn!("a Redis server did not reply to ECHO; later replies are not checked with it");
                    self.is_off.store(true, Ordering::Relaxed);
                }
                return Err(failure);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::BytesBackend;

    use crate::RedisBackend;

    /// Longer than any step of a test takes.
    const LIMIT: Duration = Duration::from_secs(30);

    /// Receives what the client sends at once.
    fn receive(stream: &mut TcpStream) -> String {
        let mut space = [0; 4096];
        let count = stream.read(&mut space).unwrap();
        String::from_utf8(space[..count].into()).unwrap()
    }

    /// A proxy repeats the reply to one lock script when the next one has been sent.
    #[test]
    fn repeated_reply_to_a_lock_script_acquires_no_other_lock() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            assert!(receive(&mut stream).contains("EVAL"));
            stream.write_all(b":1\r\n").unwrap();
            let request = receive(&mut stream);
            stream.write_all(b":1\r\n").unwrap();
            // Its own reply arrives late. Without a guard, the client would not wait for it.
            if let Some((_, number)) = request.split_once("ECHO\r\n") {
                stream.write_all(format!(":0\r\n{number}").as_bytes()).unwrap();
            }
        });
        let config = format!(r#"{{"host": "127.0.0.1", "port": {port}, "distributed_lock": true}}"#);
        let backend = RedisBackend::new(&serde_json::from_str(&config).unwrap()).unwrap();
        let lock = |key| backend.get_mutex(key).unwrap();
        // It stays acquired, so that nothing else is sent on the connection.
        let first = lock("first");
        assert!(first.try_acquire().unwrap());
        let error = lock("second").try_acquire().unwrap_err();
        assert!(error.to_string().contains("bytes that belong to no command"), "{error}");
        server.join().unwrap();
        std::mem::forget(first);
    }
}
