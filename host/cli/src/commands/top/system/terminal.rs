//! [`Keyboard`]: reads single keys, until the user ends the view.

use std::io::stdin;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// What Ctrl-C sends while the terminal passes on each key.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// The settings that a terminal had, while they are changed. A panic restores them as well.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Reads single keys from the terminal. Dropping it restores the terminal.
#[derive(Debug)]
pub(crate) struct Keyboard {
    is_terminal: bool,
}

impl Keyboard {
    /// Lets the terminal pass on each key without showing it, if the standard input is one.
    pub(crate) fn open() -> Self {
        let input = stdin();
        let Some(before) = isatty(&input).then(|| tcgetattr(&input).ok()).flatten() else {
            return Keyboard { is_terminal: false };
        };
        let mut passing = before.clone();
        // Without `ISIG`, Ctrl-C is read as a key, so that the terminal is restored.
        passing.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        let is_terminal = tcsetattr(&input, OptionalActions::Now, &passing).is_ok();
        Keyboard { is_terminal }
    }

    /// Waits until `until`. Returns whether the user ended the view before: with `q`, Ctrl-C, or Ctrl-D.
    pub(crate) fn ends_before(&mut self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !self.is_terminal {
                std::thread::sleep(left);
                return false;
            }
            match key(left) {
                Some(Some(b'q' | b'Q' | CTRL_C | CTRL_D)) => return true,
                // The terminal is gone.
                Some(None) => return true,
                _ if left.is_zero() => return false,
                _ => {}
            }
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// Waits for a key for at most `limit`. Returns `Some(None)` at the end of the input.
fn key(limit: Duration) -> Option<Option<u8>> {
    let input = stdin();
    let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) as _ };
    let mut fds = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
    if poll(&mut fds, Some(&timeout)).ok()? == 0 {
        return None;
    }
    let mut key = [0];
    match rustix::io::read(&input, &mut key) {
        Ok(0) | Err(rustix::io::Errno::IO) => Some(None),
        Ok(_) => Some(Some(key[0])),
        Err(_) => None,
    }
}

/// Returns the number of lines and columns of the terminal at the standard output.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((usize::from(size.ws_row), usize::from(size.ws_col)))
}
