//! `Bytes` and `BytesMut` of the crate `bytes`, written like Python's `bytes`.

use bytes::{Bytes, BytesMut};

use crate::function::cache_key::{CacheKey, KeyForm, shape};
use crate::function::python_repr::write_bytes_repr;

macro_rules! buffers {
    ($($buffer:ty)*) => {$(
        /// Written like `b'abc'`.
        impl CacheKey for $buffer {
            fn write(&self, key: &mut String, _form: KeyForm) {
                write_bytes_repr(key, self);
            }

            shape!(Enclosed);
        }
    )*};
}

buffers! { Bytes BytesMut }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_like_pythons_repr() {
        let text = |bytes: &'static [u8]| {
            let (mut key, mut other) = (String::new(), String::new());
            Bytes::from_static(bytes).write(&mut key, KeyForm::default());
            BytesMut::from(bytes).write(&mut other, KeyForm { nested: true, exact: true });
            assert_eq!(key, other);
            key
        };
        assert_eq!(text(b""), "b''");
        assert_eq!(text(b"a b|\"\\"), r#"b'a b|"\\'"#);
        assert_eq!(text(b"it's"), r#"b"it's""#);
        assert_eq!(text(b"'\""), r#"b'\'"'"#);
        assert_eq!(text(b"\x00\t\n\r\x7f\xc3\xa9"), r"b'\x00\t\n\r\x7f\xc3\xa9'");
    }
}
