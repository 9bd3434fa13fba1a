//! The asynchronous calls of a backend in stable layout.

use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec};

use crate::completion::CompletionObject;
use crate::error::AbiError;
use crate::interface::stable_interface;
use crate::options::{OptionsRef, StableEntry};
use crate::running::RunningObject;
use crate::value::CachedValue;

stable_interface! {
    /// What the side that owns a backend with asynchronous calls implements.
    ///
    /// Keys and options are borrowed for the call of `begin_*` alone. Each call returns the object that cancels it, or
    /// none if it has ended or cannot be canceled. The only error that a call returns is its panic; all other outcomes,
    /// and perhaps an outcome before the panic, arrive through the completion.
    trait StableOperations;
    /// The asynchronous calls of a backend of the other side.
    object OperationsObject;
    table OperationsVtable, OperationsVtableRef, OperationsVtableFields;
    first {
        /// Begins to read the value of a key.
        fn begin_get(
            key: RStr<'_>,
            completion: CompletionObject<ROption<CachedValue>>
        ) -> ROption<RunningObject>;
        /// Begins to read many keys. The outcome has one entry per key, in order.
        fn begin_get_multi(
            keys: RSlice<'_, RStr<'_>>,
            completion: CompletionObject<RVec<ROption<CachedValue>>>
        ) -> ROption<RunningObject>;
        /// Begins to store a value.
        fn begin_set(
            key: RStr<'_>,
            value: CachedValue,
            options: OptionsRef<'_>,
            completion: CompletionObject<()>
        ) -> ROption<RunningObject>;
        /// Begins to store many values.
        fn begin_set_multi(
            entries: RVec<StableEntry<'_>>,
            completion: CompletionObject<()>
        ) -> ROption<RunningObject>;
        /// Begins to delete a key.
        fn begin_delete(key: RStr<'_>, completion: CompletionObject<()>) -> ROption<RunningObject>;
        /// Begins to delete many keys.
        fn begin_delete_multi(
            keys: RSlice<'_, RStr<'_>>,
            completion: CompletionObject<()>
        ) -> ROption<RunningObject>;
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
