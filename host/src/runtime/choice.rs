//! Which runtime a call uses.

use std::sync::{Arc, LazyLock};

use super::host::HostRuntime;
use super::interface::Runtime;

/// Returns the runtime for a call that is made here: the `configured` one, tokio's, or the host's.
pub(crate) fn runtime_for(configured: Option<&Arc<dyn Runtime>>) -> Arc<dyn Runtime> {
    static HOST: LazyLock<Arc<dyn Runtime>> = LazyLock::new(|| Arc::new(HostRuntime));

    if let Some(runtime) = configured {
        return Arc::clone(runtime);
    }
    #[cfg(feature = "tokio")]
    if let Some(runtime) = super::tokio::current() {
        return runtime;
    }
    Arc::clone(&HOST)
}

/// Returns whether this thread is polling a task of a runtime, as far as that can be determined.
pub(crate) fn is_polling_task() -> bool {
    #[cfg(feature = "tokio")]
    return super::tokio::is_polling();
    #[cfg(not(feature = "tokio"))]
    false
}
