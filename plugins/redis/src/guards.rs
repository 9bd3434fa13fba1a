//! [`Guards`]: whether requests to a server end with a guard.
//!
//! Replies of Redis do not say to which command they belong. A proxy that sends a reply twice thereby gives each key the
//! value of the one before, and nothing else shows it as long as the next request is sent before the surplus bytes
//! arrive. A guard is an `ECHO` of a number that no earlier request had. If its reply is not at its place, the others may
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
        request.guard(connection.has_read_value())
    }

    /// Receives the reply to a guard.
    ///
    /// # Errors
    /// If it is another reply.
    pub(crate) fn receive(&self, guard: Expected, connection: &mut Connection) -> Result<(), Failure> {
        match connection.receive(guard) {
            Ok(Value::Bulk(_)) => self.has_worked.store(true, Ordering::Relaxed),
            Ok(rejection) => {
                // It is at its place all the same. Do not fill the server's log with further rejections.
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
