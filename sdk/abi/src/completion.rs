//! [`CompletionObject`]: the callback that receives the outcome of one asynchronous call.

use std::marker::PhantomData;

use abi_stable::std_types::RResult;
use abi_stable::{StableAbi, prefix_type::WithMetadata, staticref};

use crate::contain::contain_drop;
use crate::error::AbiError;

/// What the side that waits for an outcome implements. Dropping it without an outcome means that none will come.
pub trait StableCompletion<T>: Send + Sync + 'static {
    /// Receives the outcome. The first call counts; a later one has no effect.
    fn complete(&self, outcome: Result<T, AbiError>);
}

/// A completion of the other side, owned by the side that owes the outcome.
///
/// Completing borrows the completion, and dropping it gives it up. A second call is therefore harmless, and a
/// completion that is dropped early is noticed.
#[repr(C)]
#[derive(StableAbi)]
pub struct CompletionObject<T: 'static> {
    implementation: *const (),
    table: CompletionTableRef<T>,
}

/// The functions behind the object.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = CompletionTableRef, prefix_fields = CompletionTableFields)))]
struct CompletionTable<T: 'static> {
    complete: unsafe extern "C" fn(*const (), RResult<T, AbiError>),
    #[sabi(last_prefix_field)]
    dropped: unsafe extern "C" fn(*const ()),
}

// SAFETY: `new` admits only `Send + Sync` implementations, which take outcomes of a type that is `Send`, and the table
// is immutable.
unsafe impl<T: Send> Send for CompletionObject<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for CompletionObject<T> {}

struct TableOf<T, C>(PhantomData<(T, C)>);

impl<T: 'static, C: StableCompletion<T>> TableOf<T, C> {
    staticref!(const TABLE: WithMetadata<CompletionTable<T>> = WithMetadata::new(CompletionTable {
        complete: complete::<T, C>,
        dropped: dropped::<C>,
    }));
}

unsafe extern "C" fn complete<T, C: StableCompletion<T>>(
    implementation: *const (),
    outcome: RResult<T, AbiError>,
) {
    // SAFETY: `CompletionObject::new` made the pointer from a `Box<C>`, which the caller keeps alive.
    let implementation = unsafe { &*implementation.cast::<C>() };
    contain_drop(|| implementation.complete(outcome.into_result()));
}

unsafe extern "C" fn dropped<C>(implementation: *const ()) {
    // SAFETY: `CompletionObject::new` made the pointer from a `Box<C>`, and its owner gives it up.
    contain_drop(|| drop(unsafe { Box::from_raw(implementation.cast_mut().cast::<C>()) }));
}

impl<T: 'static> CompletionObject<T> {
    /// Creates the object that carries `implementation`.
    pub fn new<C: StableCompletion<T>>(implementation: C) -> Self {
        CompletionObject {
            implementation: Box::into_raw(Box::new(implementation)).cast_const().cast(),
            table: CompletionTableRef(TableOf::<T, C>::TABLE.as_prefix()),
        }
    }

    /// Delivers the outcome. Only the first call has an effect.
    pub fn complete(&self, outcome: Result<T, AbiError>) {
        // SAFETY: `implementation` is what the table was made for, and `self` keeps it alive.
        unsafe { (self.table.complete())(self.implementation, outcome.into()) };
    }
}

impl<T: 'static> Drop for CompletionObject<T> {
    fn drop(&mut self) {
        // SAFETY: `self` owns `implementation`, and gives it up once.
        unsafe { (self.table.dropped())(self.implementation) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Records what is delivered, and its own end.
    struct Recorder(Arc<Mutex<Vec<&'static str>>>);

    impl StableCompletion<u8> for Recorder {
        fn complete(&self, outcome: Result<u8, AbiError>) {
            self.0.lock().unwrap().push("completed");
            assert!(outcome.is_ok(), "a panic of the receiver");
        }
    }

    impl Drop for Recorder {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("dropped");
        }
    }

    fn recorded(use_of: impl FnOnce(CompletionObject<u8>)) -> Vec<&'static str> {
        let events = Arc::new(Mutex::new(Vec::new()));
        use_of(CompletionObject::new(Recorder(Arc::clone(&events))));
        Arc::try_unwrap(events).unwrap().into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[test]
    fn completion_is_dropped_after_its_outcome() {
        assert_eq!(recorded(|completion| completion.complete(Ok(1))), ["completed", "dropped"]);
    }

    #[test]
    fn completion_without_outcome_is_dropped() {
        assert_eq!(recorded(drop), ["dropped"]);
    }

    #[test]
    fn panic_of_the_receiver_is_contained() {
        let failed = || Err(AbiError::panicked("planted".to_owned(), None));
        assert_eq!(recorded(|completion| completion.complete(failed())), ["completed", "dropped"]);
    }
}
