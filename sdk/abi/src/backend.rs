//! A backend in stable layout.

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec, Tuple2};

use crate::{error::AbiError, interface::stable_interface, mutex::MutexObject, value::CachedValue};

stable_interface! {
    /// What the side that has a backend implements.
    trait StableBackend;
    /// A backend of the other side. A proxy is one too, built around the backend that it wraps.
    object BackendObject;
    table BackendVtable, BackendVtableRef, BackendVtableFields;
    first {
        /// Reads a key.
        fn get(key: RStr<'_>) -> ROption<CachedValue>;
        /// Reads many keys, answering in the order asked.
        fn get_multi(keys: RSlice<'_, RStr<'_>>) -> RVec<ROption<CachedValue>>;
        /// Stores a value.
        fn set(key: RStr<'_>, value: CachedValue) -> ();
        /// Stores many values.
        fn set_multi(entries: RVec<Tuple2<RString, CachedValue>>) -> ();
        /// Removes a key.
        fn delete(key: RStr<'_>) -> ();
        /// Removes many keys.
        fn delete_multi(keys: RSlice<'_, RStr<'_>>) -> ();
        /// The mutex for a key, if the backend has one of its own.
        fn get_mutex(key: RStr<'_>) -> ROption<MutexObject>;
        /// What the backend's key mangler makes of `key`, if it has one.
        fn mangle_key(key: RStr<'_>) -> ROption<RString>;
        /// The name of the serializer used where the region names none.
        fn default_serializer() -> ROption<RString>;
        /// Whether its mutexes may time out while they are held.
        fn has_lock_timeout() -> bool;
        /// Tells regions over one store from regions over two.
        fn lock_scope() -> ROption<u64>;
        /// Its capabilities, as a JSON object.
        fn capabilities() -> RString;
    }
    last {
        /// Its `Debug` text.
        fn describe() -> RString;
    }
    added {
        #[cfg(dogpile_abi_next)]
        /// A trial method: stands for any that a later version adds.
        fn generation() -> u32, else Ok(1);
    }
}
