//! [`OptionsRef`]: how a value is to be stored, lent for one call.

use std::marker::PhantomData;
use std::ptr;

use abi_stable::std_types::{ROption, RString};
use abi_stable::{StableAbi, prefix_type::WithMetadata, staticref};

use crate::bytes::Bytes;
use crate::contain::contain_drop;
use crate::value::CachedValue;

/// The store options of one side. The other side reads them through a table that can grow.
pub trait StableOptions {
    /// Returns the nanoseconds after which the store may drop the value.
    fn keep_for(&self) -> Option<u64>;
    /// Returns the token of the mutex under which the value was created.
    fn fence(&self) -> Option<Bytes>;
    /// A trial option, which stands for any that a later version adds.
    #[cfg(dogpile_abi_next)]
    fn trial(&self) -> Option<u32>;
}

/// Borrows the store options of a value while a call of the other side runs.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct OptionsRef<'a> {
    /// Null for the default options, which nearly all calls have.
    options: *const (),
    table: OptionsTableRef,
    borrowed: PhantomData<&'a ()>,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = OptionsTableRef, prefix_fields = OptionsTableFields)))]
struct OptionsTable {
    keep_for: unsafe extern "C" fn(*const ()) -> ROption<u64>,
    #[sabi(last_prefix_field)]
    fence: unsafe extern "C" fn(*const ()) -> ROption<Bytes>,
    #[cfg(dogpile_abi_next)]
    trial: unsafe extern "C" fn(*const ()) -> ROption<u32>,
}

struct TableOf<O>(PhantomData<O>);

impl<O: StableOptions> TableOf<O> {
    staticref!(const TABLE: WithMetadata<OptionsTable> = WithMetadata::new(OptionsTable {
        keep_for: keep_for::<O>,
        fence: fence::<O>,
        #[cfg(dogpile_abi_next)]
        trial: trial::<O>,
    }));
}

unsafe extern "C" fn keep_for<O: StableOptions>(options: *const ()) -> ROption<u64> {
    let mut option = None;
    // SAFETY: `OptionsRef::new` made the pointer from an `&O`, which is borrowed until the call returns.
    contain_drop(|| option = unsafe { &*options.cast::<O>() }.keep_for());
    option.into()
}

unsafe extern "C" fn fence<O: StableOptions>(options: *const ()) -> ROption<Bytes> {
    let mut option = None;
    // SAFETY: as above.
    contain_drop(|| option = unsafe { &*options.cast::<O>() }.fence());
    option.into()
}

#[cfg(dogpile_abi_next)]
unsafe extern "C" fn trial<O: StableOptions>(options: *const ()) -> ROption<u32> {
    let mut option = None;
    // SAFETY: as above.
    contain_drop(|| option = unsafe { &*options.cast::<O>() }.trial());
    option.into()
}

impl<'a> OptionsRef<'a> {
    /// Lends `options`, or the default options for `None`.
    pub fn new<O: StableOptions>(options: Option<&'a O>) -> Self {
        let options = options.map_or(ptr::null(), |options| ptr::from_ref(options).cast());
        OptionsRef { options, table: OptionsTableRef(TableOf::<O>::TABLE.as_prefix()), borrowed: PhantomData }
    }

    /// Returns whether these are the default options.
    pub fn is_default(self) -> bool {
        self.options.is_null()
    }

    /// See [`StableOptions::keep_for`].
    pub fn keep_for(self) -> Option<u64> {
        if self.is_default() {
            return None;
        }
        // SAFETY: `options` is what the table was made for, and is borrowed for the lifetime of `self`.
        unsafe { (self.table.keep_for())(self.options) }.into_option()
    }

    /// See [`StableOptions::fence`].
    pub fn fence(self) -> Option<Bytes> {
        if self.is_default() {
            return None;
        }
        // SAFETY: as above.
        unsafe { (self.table.fence())(self.options) }.into_option()
    }

    /// See [`StableOptions::trial`]. The default is returned if the other side does not know the option.
    #[cfg(dogpile_abi_next)]
    pub fn trial(self) -> Option<u32> {
        if self.is_default() {
            return None;
        }
        // SAFETY: as above.
        unsafe { (self.table.trial()?)(self.options) }.into_option()
    }
}

/// One value to store among several.
#[repr(C)]
#[derive(StableAbi)]
pub struct StableEntry<'a> {
    /// The key.
    pub key: RString,
    /// The value.
    pub value: CachedValue,
    /// How it is to be stored.
    pub options: OptionsRef<'a>,
}
