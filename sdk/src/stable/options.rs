//! Store options that cross the FFI boundary.

use std::time::Duration;

use dogpile_abi::{Bytes, OptionsRef, StableOptions};

use crate::options::{Fence, StoreOptions};

impl StableOptions for StoreOptions {
    fn keep_for(&self) -> Option<u64> {
        // 584 years are as good as any longer time.
        self.keep_for.map(|keep_for| u64::try_from(keep_for.as_nanos()).unwrap_or(u64::MAX))
    }

    fn fence(&self) -> Option<Bytes> {
        self.fence.clone().map(Fence::into_bytes)
    }
}

/// Lends `options` to the other side.
pub(super) fn to_stable(options: &StoreOptions) -> OptionsRef<'_> {
    OptionsRef::new((!options.is_default()).then_some(options))
}

/// Reads the options of the other side.
pub(super) fn from_stable(options: OptionsRef<'_>) -> StoreOptions {
    if options.is_default() {
        return StoreOptions::new();
    }
    let keep_for = options.keep_for().map(Duration::from_nanos);
    StoreOptions { keep_for, fence: options.fence().map(Fence::new) }
}
