//! [`RunningObject`]: an asynchronous call in progress, which can be canceled.

use abi_stable::std_types::RResult;

use crate::{error::AbiError, interface::stable_interface};

stable_interface! {
    /// What the side that performs an asynchronous call implements.
    trait StableRunning;
    /// An asynchronous call in progress on the other side. Dropping it does not cancel the call.
    object RunningObject;
    table RunningVtable, RunningVtableRef, RunningVtableFields;
    first {}
    last {
        /// Requests an early end of the call. Its completion still receives an outcome, or is dropped.
        fn cancel() -> ();
    }
}
