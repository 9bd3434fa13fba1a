//! A mutex in stable layout.

use abi_stable::std_types::{RResult, RString};

use crate::{error::AbiError, interface::stable_interface};

stable_interface! {
    /// What the side that has a mutex implements.
    trait StableMutex;
    /// A mutex of the other side.
    object MutexObject;
    table MutexVtable, MutexVtableRef, MutexVtableFields;
    first {
        /// Takes the mutex; with `wait`, blocks until it can or gives up. Answers whether it was taken.
        fn acquire(wait: bool) -> bool;
        /// Gives it back.
        fn release() -> ();
        /// Whether anybody holds it.
        fn locked() -> bool;
    }
    last {
        /// Its `Debug` text.
        fn describe() -> RString;
    }
}
