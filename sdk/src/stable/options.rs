//! Store options that cross the FFI boundary.

use std::time::Duration;

use dogpile_abi::std_types::RVec;
use dogpile_abi::{Bytes, OptionsRef, StableEntry, StableOptions};

use crate::options::{Entry, Fence, StoreOptions};

impl StableOptions for StoreOptions {
    fn keep_for(&self) -> Option<u64> {
        // 584 years are as good as any longer time.
        self.keep_for.map(|keep_for| u64::try_from(keep_for.as_nanos()).unwrap_or(u64::MAX))
    }

    fn fence(&self) -> Option<Bytes> {
        self.fence.clone().map(Fence::into_bytes)
    }

    #[cfg(dogpile_abi_next)]
    fn trial(&self) -> Option<u32> {
        self.trial
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
    StoreOptions {
        keep_for,
        fence: options.fence().map(Fence::new),
        #[cfg(dogpile_abi_next)]
        trial: options.trial(),
    }
}

/// Calls `call` with `entries` in stable layout. Their options are lent until it returns.
pub(super) fn lend_entries<R>(entries: Vec<Entry>, call: impl FnOnce(RVec<StableEntry<'_>>) -> R) -> R {
    let (values, options): (Vec<_>, Vec<_>) =
        entries.into_iter().map(|entry| ((entry.key, entry.value), entry.options)).unzip();
    let entry = |((key, value), options): ((String, _), _)| StableEntry {
        key: key.into(),
        value,
        options: to_stable(options),
    };
    call(values.into_iter().zip(&options).map(entry).collect())
}

/// Reads the entries of the other side.
pub(super) fn from_stable_entries(entries: RVec<StableEntry<'_>>) -> Vec<Entry> {
    let entry = |StableEntry { key, value, options }: StableEntry<'_>| {
        Entry::new(key.into_string(), value).with_options(from_stable(options))
    };
    entries.into_iter().map(entry).collect()
}
