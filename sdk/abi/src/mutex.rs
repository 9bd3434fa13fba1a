//! A mutex in stable layout.

use abi_stable::std_types::{ROption, RResult, RString};

use crate::bytes::Bytes;
use crate::error::AbiError;
use crate::interface::stable_interface;
use crate::mutex_operations::MutexOperationsObject;

stable_interface! {
    /// What the side that owns a mutex implements.
    trait StableMutex;
    /// A mutex of the other side.
    object MutexObject;
    table MutexVtable, MutexVtableRef, MutexVtableFields;
    first {
        /// Acquires the mutex if it is free, and returns whether it succeeded. Never waits for another holder.
        fn try_acquire() -> bool;
        /// Acquires the mutex within `nanoseconds` from now, and returns whether it succeeded.
        ///
        /// The deadline crosses as the time that remains, because two binaries need not share a clock.
        fn acquire_within(nanoseconds: u64) -> bool;
        /// Releases the mutex.
        fn release() -> ();
        /// Returns whether the mutex is held.
        fn locked() -> bool;
        /// Returns whether this object acquired the mutex and is known to have lost it.
        fn is_lost() -> bool;
        /// Returns the token with which the store can check that the mutex is still held.
        fn fence() -> ROption<Bytes>;
        /// Returns the asynchronous calls, if the mutex has any.
        fn operations() -> ROption<MutexOperationsObject>;
    }
    last {
        /// Returns its `Debug` text.
        fn describe() -> RString;
    }
}
