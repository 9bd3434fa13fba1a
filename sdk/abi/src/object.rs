//! [`Object`]: a value of the host that is shared without serializing it.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use crate::contain::contain_drop;

/// A shared, type-erased handle to a value. It is an `Arc` whose references are counted by the binary that made it.
///
/// A backend in a library can keep, clone, and drop a value of the host without knowing its type. Only the binary that
/// made the handle can read the value, with [`Object::downcast_ref`]. A `TypeId` means nothing elsewhere.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
pub struct Object {
    held: *const (),
    vtable: &'static ObjectVtable,
}

#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
struct ObjectVtable {
    retain: unsafe extern "C" fn(*const ()),
    release: unsafe extern "C" fn(*const ()),
    home: *const u8,
    size: usize,
    type_name: extern "C" fn() -> TypeName,
}

/// The name of a type, which lives as long as the process.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
struct TypeName {
    start: *const u8,
    len: usize,
}

/// Its address identifies the binary that made a handle, because every binary has its own copy.
static HOME: u8 = 1;

/// The contents of the `Arc`. The identity of the type comes first, so that it can be read before the type is known.
#[repr(C)]
struct Held<T> {
    type_id: TypeId,
    value: T,
}

// SAFETY: `Object::new` admits only `T: Send + Sync`, the pointer is an `Arc`'s, and the vtable is immutable.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

struct VtableOf<T>(std::marker::PhantomData<T>);

impl<T: Send + Sync + 'static> VtableOf<T> {
    const VTABLE: &'static ObjectVtable = &ObjectVtable {
        retain: retain::<T>,
        release: release::<T>,
        home: &raw const HOME,
        size: size_of::<T>(),
        type_name: type_name::<T>,
    };
}

unsafe extern "C" fn retain<T>(held: *const ()) {
    // SAFETY: `held` came from `Arc::<Held<T>>::into_raw`, and the caller owns one count of it.
    unsafe { Arc::increment_strong_count(held.cast::<Held<T>>()) }
}

unsafe extern "C" fn release<T>(held: *const ()) {
    // SAFETY: `held` came from `Arc::<Held<T>>::into_raw`, and the caller gives up its count.
    contain_drop(|| drop(unsafe { Arc::from_raw(held.cast::<Held<T>>()) }));
}

extern "C" fn type_name<T>() -> TypeName {
    let name: &'static str = std::any::type_name::<T>();
    TypeName { start: name.as_ptr(), len: name.len() }
}

impl Object {
    /// Creates a handle that shares `value`.
    pub fn new<T: Send + Sync + 'static>(value: T) -> Self {
        let held = Arc::new(Held { type_id: TypeId::of::<T>(), value });
        Object { held: Arc::into_raw(held).cast(), vtable: VtableOf::<T>::VTABLE }
    }

    /// Returns the value if it is a `T` and this binary made the handle.
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        if !std::ptr::eq(self.vtable.home, &raw const HOME) {
            return None;
        }
        // SAFETY: this binary made the handle, so `held` points to a `Held` laid out by it, whose first field
        // is the `TypeId`.
        let type_id = unsafe { *self.held.cast::<TypeId>() };
        if type_id != TypeId::of::<T>() {
            return None;
        }
        // SAFETY: the id says that the `Arc` behind `held` is an `Arc<Held<T>>`; `self` keeps it alive.
        Some(unsafe { &(*self.held.cast::<Held<T>>()).value })
    }

    /// Returns the size of the value in bytes, without what it points to.
    pub fn shallow_size(&self) -> usize {
        self.vtable.size
    }

    /// Returns the name of the value's type, as its binary spells it.
    pub fn type_name(&self) -> &'static str {
        let TypeName { start, len } = (self.vtable.type_name)();
        // SAFETY: `type_name` made both from a `&'static str`. A library is never unloaded, so that this holds for the
        // name in another binary too.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, len)) }
    }

    /// Returns whether both handles share one value.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.held == other.held
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        // SAFETY: `self` owns a count of the object behind `held`, made with this vtable.
        unsafe { (self.vtable.retain)(self.held) };
        Object { held: self.held, vtable: self.vtable }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: `self` owns a count of the object behind `held` and gives it up once.
        unsafe { (self.vtable.release)(self.held) };
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.type_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_shared_and_dropped_once() {
        let value = Arc::new(7);
        let object = Object::new(Arc::clone(&value));
        let twin = object.clone();
        assert!(object.ptr_eq(&twin));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(object);
        assert_eq!(twin.downcast_ref::<Arc<i32>>(), Some(&value));
        drop(twin);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn downcast_to_another_type_fails() {
        assert_eq!(Object::new(7_u32).downcast_ref::<i32>(), None);
        assert_eq!(Object::new(String::from("x")).downcast_ref::<Vec<u8>>(), None);
    }

    #[test]
    fn over_aligned_value_is_found() {
        #[repr(align(64))]
        #[derive(Debug, PartialEq)]
        struct Aligned(u8);
        assert_eq!(Object::new(Aligned(3)).downcast_ref::<Aligned>(), Some(&Aligned(3)));
    }

    #[test]
    fn panicking_drop_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        drop(Object::new(Bomb));
    }
}
