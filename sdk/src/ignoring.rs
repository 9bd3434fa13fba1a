//! [`Ignoring`]: a backend that was given arguments without effect.

use std::fmt;
use std::sync::Arc;

use crate::backend::CacheBackend;
use crate::capabilities::Capabilities;
use crate::operations::Operations;
use crate::proxy::{ProxyBackend, proxy};

/// A backend that reports the arguments that it was given and ignores. A hit of an object clones it, as behind any proxy.
struct Ignoring {
    arguments: Vec<String>,
    backend: Arc<dyn CacheBackend>,
}

/// Returns `backend`, whose capabilities then list `arguments` as ignored.
pub(crate) fn ignoring(arguments: Vec<String>, backend: Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend> {
    if arguments.is_empty() { backend } else { proxy(Ignoring { arguments, backend }) }
}

impl fmt::Debug for Ignoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.backend.fmt(f)
    }
}

impl ProxyBackend for Ignoring {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.backend
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.backend.capabilities();
        capabilities.ignored_arguments.extend(self.arguments.iter().cloned());
        capabilities
    }

    fn operations(&self) -> Option<Arc<dyn Operations>> {
        self.backend.operations()
    }
}
