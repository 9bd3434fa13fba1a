//! [`Visitor`]: a function of the caller that a backend lends its stored value to.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use abi_stable::StableAbi;

use crate::value::CachedValue;

/// Borrows a function of the caller while a call of the other side runs.
///
/// A panic of the function never unwinds through the other side. The caller raises it again after the call.
#[repr(C)]
#[derive(StableAbi)]
pub struct Visitor<'a> {
    context: *mut (),
    visit: unsafe extern "C" fn(*mut (), &CachedValue),
    borrowed: PhantomData<&'a mut ()>,
}

/// The function, and the panic that it ended with.
struct Context<F> {
    function: F,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn visit<F: FnMut(&CachedValue)>(context: *mut (), value: &CachedValue) {
    // SAFETY: `lend` made the pointer from a `Context<F>`, which lives and is not used until its call returns.
    let context = unsafe { &mut *context.cast::<Context<F>>() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (context.function)(value))) {
        context.panic = Some(panic);
    }
}

impl Visitor<'_> {
    /// Calls `call` with a visitor that calls `function`, and raises the panic of `function` again if there was one.
    #[inline]
    pub(crate) fn lend<F: FnMut(&CachedValue), R>(function: F, call: impl FnOnce(Visitor<'_>) -> R) -> R {
        let mut context = Context { function, panic: None };
        let pointer = (&raw mut context).cast();
        let returned = call(Visitor { context: pointer, visit: visit::<F>, borrowed: PhantomData });
        match context.panic {
            None => returned,
            Some(panic) => resume_unwind(panic),
        }
    }

    /// Calls the caller's function with `value`.
    #[inline]
    pub fn visit(&mut self, value: &CachedValue) {
        // SAFETY: `lend` made both, and its `call` has not returned while the lifetime of this visitor lasts.
        unsafe { (self.visit)(self.context, value) }
    }
}
