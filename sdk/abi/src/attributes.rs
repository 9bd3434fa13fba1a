//! [`Attributes`]: the extra members of a value's metadata.

use std::fmt;
use std::ptr;
use std::sync::Arc;

/// The extra members of a stored value's metadata, beside its creation time and version.
///
/// They are the text of JSON members, such as `"d.expires_after": 30`, which the envelope writes after its own.
/// Backends and proxies pass them through unchanged. Names that begin with `d.` belong to dogpile. Most values have no
/// attributes; they are one null pointer then.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
pub struct Attributes {
    /// Null, or the pointer of an `Arc<Held>` of the binary that made it.
    held: *const Held,
}

/// The text, and how the binary that made it counts its references.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
struct Held {
    retain: unsafe extern "C" fn(*const ()),
    release: unsafe extern "C" fn(*const ()),
    start: *const u8,
    len: usize,
}

// SAFETY: the text is never changed, and `Held` owns it.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}
// SAFETY: `held` is null or the pointer of an `Arc<Held>`.
unsafe impl Send for Attributes {}
// SAFETY: as above.
unsafe impl Sync for Attributes {}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: `Attributes::new` made `start` and `len` from a boxed `str`, which is dropped once, with its `Arc`.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(self.start.cast_mut(), self.len)) });
    }
}

unsafe extern "C" fn retain(held: *const ()) {
    // SAFETY: `held` came from `Arc::into_raw` in this binary, and the caller owns one count of it.
    unsafe { Arc::increment_strong_count(held.cast::<Held>()) }
}

unsafe extern "C" fn release(held: *const ()) {
    // SAFETY: `held` came from `Arc::into_raw` in this binary, and the caller gives up its count.
    drop(unsafe { Arc::from_raw(held.cast::<Held>()) });
}

impl Attributes {
    /// No attributes.
    pub const NONE: Attributes = Attributes { held: ptr::null() };

    /// Creates attributes from the text of JSON members, without braces. An empty text makes [`NONE`](Self::NONE).
    pub fn from_members(members: impl Into<Box<str>>) -> Self {
        let members: Box<str> = members.into();
        if members.is_empty() {
            return Attributes::NONE;
        }
        let len = members.len();
        let start = Box::into_raw(members).cast::<u8>().cast_const();
        Attributes { held: Arc::into_raw(Arc::new(Held { retain, release, start, len })) }
    }

    /// Returns whether there are no attributes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.is_null()
    }

    /// Returns the text of the JSON members, which is empty if there are none.
    pub fn members(&self) -> &str {
        if self.is_empty() {
            return "";
        }
        // SAFETY: `held` is not null, so it points to a `Held` that this object keeps alive. `start` and `len` were
        // taken from a `str`.
        unsafe {
            let held = &*self.held;
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(held.start, held.len))
        }
    }
}

impl Clone for Attributes {
    #[inline]
    fn clone(&self) -> Self {
        if !self.is_empty() {
            // SAFETY: `self` owns a count of the object behind `held`. Only its maker's function changes the count.
            unsafe { ((*self.held).retain)(self.held.cast()) };
        }
        Attributes { held: self.held }
    }
}

impl Drop for Attributes {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            // SAFETY: `self` owns a count of the object behind `held` and gives it up, once.
            unsafe { ((*self.held).release)(self.held.cast()) };
        }
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Attributes::NONE
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.members() == other.members()
    }
}

impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.members())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_text() {
        let attributes = Attributes::from_members("\"d.a\": 1");
        let twin = attributes.clone();
        drop(attributes);
        assert_eq!((twin.members(), twin.is_empty()), ("\"d.a\": 1", false));
    }

    #[test]
    fn empty_text_makes_no_attributes() {
        assert!(Attributes::from_members("").is_empty());
        assert_eq!(Attributes::NONE.clone().members(), "");
        assert_eq!(size_of::<Attributes>(), size_of::<*const ()>());
    }
}
