//! A backend in stable layout.

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec, Tuple2};

use crate::{error::AbiError, interface::stable_interface, mutex::MutexObject, value::CachedValue};

stable_interface! {
    /// What the side that owns a backend implements.
    trait StableBackend;
    /// A backend of the other side. A proxy is also a backend, built around the one that it wraps.
    object BackendObject;
    table BackendVtable, BackendVtableRef, BackendVtableFields;
    first {
        /// Returns the value of a key.
        fn get(key: RStr<'_>) -> ROption<CachedValue>;
        /// Returns one entry per key, in order.
        fn get_multi(keys: RSlice<'_, RStr<'_>>) -> RVec<ROption<CachedValue>>;
        /// Stores a value.
        fn set(key: RStr<'_>, value: CachedValue) -> ();
        /// Stores many values.
        fn set_multi(entries: RVec<Tuple2<RString, CachedValue>>) -> ();
        /// Deletes a key.
        fn delete(key: RStr<'_>) -> ();
        /// Deletes many keys.
        fn delete_multi(keys: RSlice<'_, RStr<'_>>) -> ();
        /// Returns the mutex for a key, if the backend has mutexes.
        fn get_mutex(key: RStr<'_>) -> ROption<MutexObject>;
        /// Returns the mangled key, if the backend has a key mangler.
        fn mangle_key(key: RStr<'_>) -> ROption<RString>;
        /// Returns the name of the serializer to use if the region names none.
        fn default_serializer() -> ROption<RString>;
        /// Returns whether a held mutex can expire.
        fn has_lock_timeout() -> bool;
        /// Returns a string that all backends over one store in this process share.
        fn scope() -> ROption<RString>;
        /// Returns the key under which the bottom store keeps `key`, or none if that is `key` itself.
        fn store_key(key: RStr<'_>) -> ROption<RString>;
        /// Returns its capabilities as a JSON object.
        fn capabilities() -> RString;
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
