//! [`Server`]: the thread of a statistics socket. It waits for all connections at once, and never blocks for one of them.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_abi::peer_of;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::bind::Bound;
use super::client::Client;
use super::published::Published;
use super::snapshot::{refusal, snapshot};
use crate::log_targets::RUNTIME;

/// The most connections. A further one replaces the one that did nothing for the longest time.
const MOST: usize = 16;

/// How long no connection is accepted after one could not be, for example because no descriptor is left.
const REST: Duration = Duration::from_secs(1);

/// The thread of a statistics socket.
pub(super) struct Server {
    bound: Bound,
    /// Readable when the thread is to end.
    woken: UnixStream,
    published: Arc<Published>,
    program: String,
    opened: Instant,
    clients: Vec<Client>,
    /// When connections are accepted again.
    rests_until: Option<Instant>,
}

impl Server {
    /// Creates the server of a socket. A byte on `woken` ends it.
    pub(super) fn new(bound: Bound, woken: UnixStream, published: Arc<Published>) -> io::Result<Self> {
        woken.set_nonblocking(true)?;
        let program = std::env::current_exe().unwrap_or_default();
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (opened, clients) = (Instant::now(), Vec::new());
        Ok(Server { bound, woken, published, program, opened, clients, rests_until: None })
    }

    /// Serves until it is woken.
    pub(super) fn run(mut self) {
        loop {
            let now = Instant::now();
            self.rests_until = self.rests_until.filter(|until| *until > now);
            match self.wait(now) {
                Ok(Ready { woken: true, .. }) => return,
                Ok(ready) => self.proceed(&ready),
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::warn!(target: RUNTIME, %error, "the statistics socket is closed: waiting for connections failed");
                    return;
                }
            }
        }
    }

    /// Waits until something happens, or the next deadline has passed.
    fn wait(&self, now: Instant) -> Result<Ready, Errno> {
        let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
        let accepting = if self.rests_until.is_none() { PollFlags::IN } else { PollFlags::empty() };
        fds.push(PollFd::new(&self.bound.listener, accepting));
        fds.extend(self.clients.iter().map(|client| PollFd::new(&client.stream, client.events())));
        let deadlines = self.clients.iter().map(|client| client.deadline).chain(self.rests_until);
        let timeout = match deadlines.min() {
            _ if self.clients.iter().any(Client::has_request) => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
            // Rounded up, so that the deadline has passed.
            Some(deadline) => Some(Timespec {
                tv_sec: deadline.saturating_duration_since(now).as_secs() as i64 + 1,
                tv_nsec: 0,
            }),
            None => None,
        };
        poll(&mut fds, timeout.as_ref())?;
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok(Ready {
            woken: is_ready(&fds[0]),
            connection: is_ready(&fds[1]),
            clients: fds[2..].iter().map(is_ready).collect(),
        })
    }

    fn proceed(&mut self, ready: &Ready) {
        let now = Instant::now();
        let (published, program, uptime) = (&self.published, &self.program, now - self.opened);
        let reply = |request: &str| match request {
            "statistics" => snapshot(program, uptime, &published.read()).to_string(),
            other => refusal(&format!("unknown request {other:?}; send a line with the word statistics"))
                .to_string(),
        };
        let mut is_ready = ready.clients.iter();
        self.clients.retain_mut(|client| {
            let is_ready = is_ready.next() == Some(&true) || client.has_request();
            now < client.deadline && (!is_ready || client.proceed(now, reply))
        });
        if ready.connection {
            self.accept(now);
        }
    }

    fn accept(&mut self, now: Instant) {
        match self.bound.listener.accept() {
            Ok((stream, _)) if is_allowed(&stream) && stream.set_nonblocking(true).is_ok() => {
                if self.clients.len() >= MOST {
                    let idlest =
                        (0..self.clients.len()).min_by_key(|place| self.clients[*place].last_request);
                    idlest.map(|place| self.clients.swap_remove(place));
                }
                self.clients.push(Client::new(stream, now));
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.rests_until = Some(now + REST),
        }
    }
}

/// What happened.
struct Ready {
    woken: bool,
    connection: bool,
    clients: Vec<bool>,
}

/// Returns whether the process at the other end is one of this user, or of root. The mode of the file ensures it, too.
///
/// Its process ID does not matter: it has none here if it is in another container.
fn is_allowed(stream: &UnixStream) -> bool {
    match peer_of(stream.as_fd()) {
        Ok(Some(peer)) => peer.user == 0 || peer.user == rustix::process::geteuid().as_raw(),
        // On such a system, the mode of the file keeps others out.
        Ok(None) => true,
        Err(_) => false,
    }
}
