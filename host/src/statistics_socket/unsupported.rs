//! [`StatisticsSocket`] of systems without unix sockets, which cannot be opened.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::published::Source;

/// The statistics socket of a configuration. There is none on this system.
pub(crate) struct StatisticsSocket(Infallible);

impl StatisticsSocket {
    /// Fails: this system has no unix sockets.
    pub(crate) fn open(_path: &Path) -> io::Result<Arc<Self>> {
        let problem = "unix sockets are not supported on this system; remove the table [statistics]";
        Err(io::Error::new(io::ErrorKind::Unsupported, problem))
    }

    pub(crate) fn publish(&self, _source: Source) {
        match self.0 {}
    }
}
