//! [`StatisticsSocket`]: the socket of a configuration, and its thread.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dogpile_sdk::{PerProcess, process_id};
use parking_lot::{Condvar, Mutex};

use super::bind::{self, Bound};
use super::published::{Published, Source};
use super::server::Server;

/// The longest wait for the end of the thread. It never blocks, so that it needs a moment.
const END: Duration = Duration::from_secs(1);

/// The sockets that are open in this process. Configurations with one path share a socket.
type Open = Mutex<BTreeMap<PathBuf, Weak<StatisticsSocket>>>;
static OPEN: LazyLock<PerProcess<Open>> = LazyLock::new(|| PerProcess::new(Open::default, |_| {}));

/// The statistics socket of a configuration. The regions of the configuration own it.
pub(crate) struct StatisticsSocket {
    published: Arc<Published>,
    /// A byte on it ends the thread.
    wake: UnixStream,
    ended: Arc<Ended>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread. A forked child has a copy of all the rest.
    process: u32,
}

/// Whether the thread has removed the file.
#[derive(Default)]
struct Ended {
    has_ended: Mutex<bool>,
    changed: Condvar,
}

impl StatisticsSocket {
    /// Opens the socket at `path`, or returns the one that this process has open there.
    ///
    /// # Errors
    /// If another process has the socket open, another file has its path, or it cannot be created.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let path = bind::absolute(path)?;
        let mut open = OPEN.get().lock();
        if let Some(socket) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let socket = Arc::new(Self::start(bind::bind(&path)?)?);
        open.retain(|_, socket| socket.strong_count() > 0);
        open.insert(path, Arc::downgrade(&socket));
        Ok(socket)
    }

    fn start(bound: Bound) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        let (published, ended) = (Arc::<Published>::default(), Arc::<Ended>::default());
        let server = Server::new(bound, woken, Arc::clone(&published))?;
        let ending = Ending(Arc::clone(&ended));
        let thread = thread::Builder::new().name("dogpile-statistics".to_owned()).spawn(move || {
            // Dropped after the server, which removes the file.
            let _ending = ending;
            server.run();
        })?;
        Ok(StatisticsSocket { published, wake, ended, thread: Some(thread), process: process_id() })
    }

    /// Shows a region until it is gone.
    pub(crate) fn publish(&self, source: Source) {
        self.published.add(source);
    }
}

impl Drop for StatisticsSocket {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.process != process_id() {
            // A byte would end the parent's thread. This process has none to detach from.
            std::mem::forget(thread);
            return;
        }
        // The socket is empty, so that this cannot block. If it fails, the thread has ended.
        let _ = self.wake.write_all(&[0]);
        // The last region may be dropped by the thread itself, which has just read it.
        if thread.thread().id() != thread::current().id() && self.ended.wait() {
            // The result is that of the thread's panic, which was reported.
            let _ = thread.join();
        }
    }
}

impl Ended {
    /// Returns whether the thread has ended in time.
    fn wait(&self) -> bool {
        let mut has_ended = self.has_ended.lock();
        self.changed.wait_while_for(&mut has_ended, |has_ended| !*has_ended, END);
        *has_ended
    }
}

/// Notes the end of the thread when it is dropped.
struct Ending(Arc<Ended>);

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.has_ended.lock() = true;
        self.0.changed.notify_all();
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::io::Read;

    use super::*;

    /// A region may be dropped by the last caller while it is read, and be the last owner of the socket.
    #[test]
    fn thread_that_drops_its_own_socket_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = StatisticsSocket::open(&path).unwrap();
        let ended = Arc::clone(&socket.ended);
        let last = Arc::new(Mutex::new(None));
        let of_region = Arc::clone(&last);
        let read = move || {
            drop(of_region.lock().take());
            None
        };
        socket.publish(Source { identity: 1, is_gone: Box::new(|| false), read: Box::new(read) });
        *last.lock() = Some(socket);
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(b"statistics\n").unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert!(reply.contains("\"regions\":[]"), "{reply}");
        assert!(ended.wait() && !path.exists());
    }
}
