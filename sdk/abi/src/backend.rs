//! A backend in stable layout.

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec};

use crate::error::AbiError;
use crate::interface::stable_interface;
use crate::mutex::MutexObject;
use crate::operations::OperationsObject;
use crate::options::{OptionsRef, StableEntry};
use crate::value::CachedValue;
use crate::visitor::Visitor;

stable_interface! {
    /// What the side that owns a backend implements.
    trait StableBackend;
    /// A backend of the other side. A proxy is also a backend, built around the one that it wraps.
    object BackendObject;
    table BackendVtable, BackendVtableRef, BackendVtableFields;
    first {
        /// Returns the value of a key.
        fn get(key: RStr<'_>) -> ROption<CachedValue>;
        /// Lends the value of a key to the visitor, and returns whether there was one.
        fn get_with(key: RStr<'_>, visitor: Visitor<'_>) -> bool;
        /// Returns one entry per key, in order.
        fn get_multi(keys: RSlice<'_, RStr<'_>>) -> RVec<ROption<CachedValue>>;
        /// Stores a value.
        fn set(key: RStr<'_>, value: CachedValue, options: OptionsRef<'_>) -> ();
        /// Stores many values.
        fn set_multi(entries: RVec<StableEntry<'_>>) -> ();
        /// Deletes a key.
        fn delete(key: RStr<'_>) -> ();
        /// Deletes many keys.
        fn delete_multi(keys: RSlice<'_, RStr<'_>>) -> ();
        /// Returns the mutex for a key, if the backend has mutexes.
        fn get_mutex(key: RStr<'_>) -> ROption<MutexObject>;
        /// Returns the mangled key, if the backend has a key mangler.
        fn mangle_key(key: RStr<'_>) -> ROption<RString>;
        /// Returns the key under which the bottom store keeps `key`, or none if that is `key` itself.
        fn store_key(key: RStr<'_>) -> ROption<RString>;
        /// Returns its capabilities as a JSON object.
        fn capabilities() -> RString;
        /// Checks that the store can be reached.
        fn health() -> ();
        /// Closes connections and files.
        fn close() -> ();
        /// Returns the asynchronous calls, if the backend has any.
        fn operations() -> ROption<OperationsObject>;
    }
    last {
        /// Returns its `Debug` text.
        fn describe() -> RString;
    }
    added {
        #[cfg(dogpile_abi_next)]
        /// A trial method, which stands for any that a later version adds.
        fn generation() -> u32, else Ok(1);
    }
}

impl BackendObject {
    /// Lends the value of `key` to `function`, and returns whether there was one.
    ///
    /// # Errors
    /// If the store fails, or the other side panics. A panic of `function` is raised again.
    #[inline]
    pub fn visit(&self, key: &str, function: impl FnMut(&CachedValue)) -> Result<bool, AbiError> {
        Visitor::lend(function, |visitor| self.get_with(RStr::from_str(key), visitor))
    }
}
