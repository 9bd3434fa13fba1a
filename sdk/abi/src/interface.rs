//! `stable_interface!`: declares the trait, the table of functions, and the object of an interface.

/// Declares an interface that can cross the FFI boundary.
///
/// One side implements the trait, in safe Rust. The object owns an implementation, and the other side calls it. Each
/// method runs inside `contain`, so that a panic becomes an error. The methods of version 1.0 are in `first`, and the
/// last of them in `last`. A method under `added` needs a fallback for tables that were built before it.
macro_rules! stable_interface {
    (
        $(#[$trait_doc:meta])*
        trait $Trait:ident;
        $(#[$object_doc:meta])*
        object $Object:ident;
        table $Vtable:ident, $VtableRef:ident, $Fields:ident;
        first { $(
            $(#[$doc:meta])*
            fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;
        )* }
        last {
            $(#[$last_doc:meta])*
            fn $last:ident($($last_arg:ident: $last_ty:ty),*) -> $last_ret:ty;
        }
        $(added {
            #[$added_cfg:meta]
            $(#[$added_doc:meta])*
            fn $added:ident($($added_arg:ident: $added_ty:ty),*) -> $added_ret:ty, else $fallback:expr;
        })?
    ) => {
        $(#[$trait_doc])*
        pub trait $Trait: Send + Sync + 'static {
            $($(#[$doc])* fn $name(&self, $($arg: $ty),*) -> Result<$ret, AbiError>;)*
            $(#[$last_doc])* fn $last(&self, $($last_arg: $last_ty),*) -> Result<$last_ret, AbiError>;
            $(
                #[$added_cfg]
                $(#[$added_doc])*
                fn $added(&self, $($added_arg: $added_ty),*) -> Result<$added_ret, AbiError> { $fallback }
            )?
        }

        /// The functions behind the object.
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        #[sabi(kind(Prefix(prefix_ref = $VtableRef, prefix_fields = $Fields)))]
        #[allow(missing_docs, reason = "the trait's methods are documented")]
        pub struct $Vtable {
            destroy: unsafe extern "C" fn(*const ()),
            $($name: unsafe extern "C" fn(*const (), $($ty),*) -> RResult<$ret, AbiError>,)*
            #[sabi(last_prefix_field)]
            $last: unsafe extern "C" fn(*const (), $($last_ty),*) -> RResult<$last_ret, AbiError>,
            $(
                #[$added_cfg]
                $added: unsafe extern "C" fn(*const (), $($added_ty),*) -> RResult<$added_ret, AbiError>,
            )?
        }

        $(#[$object_doc])*
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub struct $Object {
            implementation: *const (),
            vtable: $VtableRef,
        }

        // SAFETY: `new` admits only `Send + Sync` implementations, and the table is immutable.
        unsafe impl Send for $Object {}
        // SAFETY: as above.
        unsafe impl Sync for $Object {}

        impl $Object {
            /// Creates the object that carries `implementation`.
            pub fn new<B: $Trait>(implementation: B) -> Self {
                $Object {
                    implementation: Box::into_raw(Box::new(implementation)).cast_const().cast(),
                    vtable: shims::VtableOf::<B>::VTABLE,
                }
            }

            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The error that the implementation returned, or its panic.
                #[inline]
                pub fn $name(&self, $($arg: $ty),*) -> Result<$ret, AbiError> {
                    // SAFETY: `implementation` is what the table was made for, and `self` keeps it alive.
                    unsafe { (self.vtable.$name())(self.implementation, $($arg),*) }.into_result()
                }
            )*

            $(#[$last_doc])*
            ///
            /// # Errors
            /// The error that the implementation returned, or its panic.
            pub fn $last(&self, $($last_arg: $last_ty),*) -> Result<$last_ret, AbiError> {
                // SAFETY: `implementation` is what the table was made for, and `self` keeps it alive.
                unsafe { (self.vtable.$last())(self.implementation, $($last_arg),*) }.into_result()
            }

            $(
                #[$added_cfg]
                $(#[$added_doc])*
                ///
                /// # Errors
                /// The error that the implementation returned, or its panic.
                pub fn $added(&self, $($added_arg: $added_ty),*) -> Result<$added_ret, AbiError> {
                    let Some(function) = self.vtable.$added() else { return $fallback };
                    // SAFETY: `implementation` is what the table was made for, and `self` keeps it alive.
                    unsafe { function(self.implementation, $($added_arg),*) }.into_result()
                }
            )?
        }

        impl Drop for $Object {
            fn drop(&mut self) {
                // SAFETY: `self` owns `implementation`, and gives it up once.
                unsafe { (self.vtable.destroy())(self.implementation) };
            }
        }

        mod shims {
            use abi_stable::{prefix_type::WithMetadata, staticref};

            use super::*;
            use crate::contain::{contain, contain_drop};

            pub(super) struct VtableOf<B>(std::marker::PhantomData<B>);

            impl<B: $Trait> VtableOf<B> {
                staticref!(const TABLE: WithMetadata<$Vtable> = WithMetadata::new($Vtable {
                    destroy: destroy::<B>,
                    $($name: $name::<B>,)*
                    $last: $last::<B>,
                    $(#[$added_cfg] $added: $added::<B>,)?
                }));
                pub(super) const VTABLE: $VtableRef = $VtableRef(Self::TABLE.as_prefix());
            }

            unsafe extern "C" fn destroy<B>(implementation: *const ()) {
                // SAFETY: `$Object::new` made the pointer from a `Box<B>`, and its owner gives it up.
                contain_drop(|| drop(unsafe { Box::from_raw(implementation.cast_mut().cast::<B>()) }));
            }

            $(
                unsafe extern "C" fn $name<B: $Trait>(
                    implementation: *const (),
                    $($arg: $ty),*
                ) -> RResult<$ret, AbiError> {
                    // SAFETY: `$Object::new` made the pointer from a `Box<B>`, which the caller keeps alive.
                    let implementation = unsafe { &*implementation.cast::<B>() };
                    contain(|| implementation.$name($($arg),*)).into()
                }
            )*

            unsafe extern "C" fn $last<B: $Trait>(
                implementation: *const (),
                $($last_arg: $last_ty),*
            ) -> RResult<$last_ret, AbiError> {
                // SAFETY: `$Object::new` made the pointer from a `Box<B>`, which the caller keeps alive.
                let implementation = unsafe { &*implementation.cast::<B>() };
                contain(|| implementation.$last($($last_arg),*)).into()
            }

            $(
                #[$added_cfg]
                unsafe extern "C" fn $added<B: $Trait>(
                    implementation: *const (),
                    $($added_arg: $added_ty),*
                ) -> RResult<$added_ret, AbiError> {
                    // SAFETY: `$Object::new` made the pointer from a `Box<B>`, which the caller keeps alive.
                    let implementation = unsafe { &*implementation.cast::<B>() };
                    contain(|| implementation.$added($($added_arg),*)).into()
                }
            )?
        }
    };
}

pub(crate) use stable_interface;
