//! Systems without unix sockets, and whose terminals are not read.

use std::path::Path;
use std::time::Instant;

use super::super::snapshot::Snapshot;

/// The statistics socket of a process. There is none on this system.
#[derive(Debug, Default)]
pub(crate) struct Process;

impl Process {
    /// Fails: this system has no unix sockets.
    pub(crate) fn ask(&mut self, _path: &Path, _deadline: Instant) -> Result<Snapshot, String> {
        Err("unix sockets are not supported on this system".to_owned())
    }
}

/// Waits instead of reading keys. Ctrl-C ends the command.
#[derive(Debug)]
pub(crate) struct Keyboard;

impl Keyboard {
    pub(crate) fn open() -> Self {
        Keyboard
    }

    /// Waits until `until`, and returns false.
    pub(crate) fn ends_before(&mut self, until: Instant) -> bool {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        false
    }
}

/// Returns `None`: the number of lines and columns is not known.
pub(crate) fn size() -> Option<(usize, usize)> {
    None
}
