//! Paths, written like strings.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::texts::shape_of_string;
use crate::function::cache_key::{CacheKey, KeyForm, KeyShape, shape};
use crate::function::python_repr::write_bytes_repr;

/// What a text begins with that is not written as it is.
const ESCAPED: &str = "Path(b";

/// Written like a string. If it is not valid UTF-8, or looks as if it was not, its bytes are written in `Path(b'...')`.
impl CacheKey for OsStr {
    fn write(&self, key: &mut String, form: KeyForm) {
        match self.to_str() {
            Some(text) if !text.starts_with(ESCAPED) => text.write(key, form),
            _ => {
                key.push_str("Path(");
                write_bytes_repr(key, self.as_encoded_bytes());
                key.push(')');
            }
        }
    }

    #[inline]
    fn shape(&self, form: KeyForm) -> KeyShape {
        shape_of_string(form)
    }
}

/// Written like a string.
impl CacheKey for Path {
    fn write(&self, key: &mut String, form: KeyForm) {
        self.as_os_str().write(key, form);
    }

    #[inline]
    fn shape(&self, form: KeyForm) -> KeyShape {
        shape_of_string(form)
    }
}

macro_rules! owned {
    ($($owned:ty, $borrowed:ident;)*) => {$(
        /// Written like a string.
        impl CacheKey for $owned {
            fn write(&self, key: &mut String, form: KeyForm) {
                self.$borrowed().write(key, form);
            }

            shape!(form => shape_of_string(form));
        }
    )*};
}

owned! { OsString, as_os_str; PathBuf, as_path; }

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn text(path: &[u8], nested: bool) -> String {
        let mut key = String::new();
        Path::new(OsStr::from_bytes(path)).write(&mut key, KeyForm { nested, exact: true });
        key
    }

    #[test]
    fn path_that_is_not_utf8_is_written_as_bytes() {
        assert_eq!(text(b"/a b/\xc3\xa9", false), "/a b/é");
        assert_eq!(text(b"/a b/\xc3\xa9", true), "'/a b/é'");
        assert_eq!(text(b"/\xff\xfe'", false), r#"Path(b"/\xff\xfe'")"#);
        assert_eq!(text(br"/\xff", false), r"/\xff");
    }

    #[test]
    fn path_that_looks_escaped_is_escaped() {
        assert_eq!(text(br"Path(b'\xff')", false), r#"Path(b"Path(b'\\xff')")"#);
        assert_ne!(text(b"\xff", false), text(br"Path(b'\xff')", false));
    }
}
