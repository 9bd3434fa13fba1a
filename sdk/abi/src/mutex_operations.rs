//! The asynchronous calls of a mutex in stable layout.

use abi_stable::std_types::{ROption, RResult, RString};

use crate::completion::CompletionObject;
use crate::error::AbiError;
use crate::interface::stable_interface;
use crate::running::RunningObject;

stable_interface! {
    /// What the side that owns a mutex with asynchronous calls implements. The rules of `StableOperations` apply.
    trait StableMutexOperations;
    /// The asynchronous calls of a mutex of the other side.
    object MutexOperationsObject;
    table MutexOperationsVtable, MutexOperationsVtableRef, MutexOperationsVtableFields;
    first {
        /// Begins to acquire the mutex if it is free. Never waits for another holder.
        fn begin_try_acquire(completion: CompletionObject<bool>) -> ROption<RunningObject>;
        /// Begins to acquire the mutex within `nanoseconds` from now.
        fn begin_acquire_within(
            nanoseconds: u64,
            completion: CompletionObject<bool>
        ) -> ROption<RunningObject>;
        /// Begins to release the mutex.
        fn begin_release(completion: CompletionObject<()>) -> ROption<RunningObject>;
    }
    last {
        /// Returns its `Debug` text.
        fn describe() -> RString;
    }
}
