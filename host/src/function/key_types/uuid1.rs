//! `Uuid` of the crate `uuid`, written like Python's `str`.

use uuid::Uuid;

use super::texts::shape_of_string;
use crate::function::cache_key::{CacheKey, KeyForm, KeyShape, shape};

/// Written like `67e55044-10b1-426f-9247-bb680e5fe0c8`, in brackets between single quotes.
impl CacheKey for Uuid {
    fn write(&self, key: &mut String, form: KeyForm) {
        self.hyphenated().encode_lower(&mut Uuid::encode_buffer()).write(key, form);
    }

    shape!(form => if form.nested { shape_of_string(form) } else { KeyShape::Word });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_is_written_in_lower_case_with_hyphens() {
        let uuid = Uuid::from_u128(0x67E5_5044_10B1_426F_9247_BB68_0E5F_E0C8);
        let mut key = String::new();
        uuid.write(&mut key, KeyForm::default());
        assert_eq!(key, "67e55044-10b1-426f-9247-bb680e5fe0c8");
        key.clear();
        [uuid].write(&mut key, KeyForm::default());
        assert_eq!(key, "['67e55044-10b1-426f-9247-bb680e5fe0c8']");
    }
}
