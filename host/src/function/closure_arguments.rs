//! [`ClosureArguments`] and [`CallWith`]: tuples of arguments for cached closures.

use super::cache_key::CacheKey;
use super::function_call::Argument;

/// A closure that can be called with the arguments in the tuple `A`.
pub trait CallWith<A> {
    /// The closure's return type.
    type Returned;

    /// Calls the closure.
    fn call_with(&self, arguments: A) -> Self::Returned;
}

/// A tuple of up to six arguments that can be part of a key.
pub trait ClosureArguments {
    /// Passes the arguments to `with`, each with the name that `name` returns for its position.
    fn listed<'a, R>(&'a self, name: impl Fn(usize) -> &'a str, with: impl FnOnce(&[Argument<'a>]) -> R)
    -> R;
}

macro_rules! tuples {
    ($(($($parameter:ident $argument:ident $index:tt)*))*) => {$(
        impl<F: Fn($($parameter),*) -> R, R, $($parameter),*> CallWith<($($parameter,)*)> for F {
            type Returned = R;

            fn call_with(&self, ($($argument,)*): ($($parameter,)*)) -> R {
                self($($argument),*)
            }
        }

        impl<$($parameter: CacheKey),*> ClosureArguments for ($($parameter,)*) {
            #[allow(unused_variables, reason = "the empty tuple has no arguments to name")]
            fn listed<'a, R>(
                &'a self,
                name: impl Fn(usize) -> &'a str,
                with: impl FnOnce(&[Argument<'a>]) -> R,
            ) -> R {
                with(&[$(Argument::new(name($index), &self.$index)),*])
            }
        }
    )*};
}

tuples! {
    ()
    (A a 0)
    (A a 0 B b 1)
    (A a 0 B b 1 C c 2)
    (A a 0 B b 1 C c 2 D d 3)
    (A a 0 B b 1 C c 2 D d 3 E e 4)
    (A a 0 B b 1 C c 2 D d 3 E e 4 G g 5)
}
