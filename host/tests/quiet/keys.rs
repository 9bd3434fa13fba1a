//! No lint reports what the derive macro generates.

#![deny(warnings, missing_docs, rust_2018_idioms, unreachable_pub, unused, unused_qualifications)]
#![deny(let_underscore_drop, single_use_lifetimes, trivial_casts, unsafe_code, unused_lifetimes)]

use dogpile::{CacheKey, CacheRegion, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

/// A newtype.
#[derive(Clone, Debug, CacheKey)]
pub struct UserId(pub u64);

/// A struct whose fields are named like variables of the generated code.
#[derive(Debug, CacheKey)]
pub struct Query<'a, T: ?Sized, const N: usize>
where
    T: AsRef<str>,
{
    /// A field.
    pub key: &'a T,
    /// A field.
    pub form: [u8; N],
    /// A field.
    pub fields: Option<UserId>,
    /// A field that is not part of the key.
    #[cache_key(skip)]
    pub skipped: Opaque,
}

/// A type that is not part of a key.
#[derive(Clone, Debug)]
pub struct Opaque;

/// An enum.
#[derive(Clone, Debug, CacheKey)]
pub enum Color<T> {
    /// A variant.
    Red,
    /// A variant.
    Gray(T, #[cache_key(skip)] Opaque),
    /// A variant.
    Mixed {
        /// A field.
        key: T,
    },
}

/// An enum without variants.
#[derive(Clone, Debug, CacheKey)]
pub enum Never {}

/// A struct that is written like its field.
#[derive(Clone, Debug, CacheKey)]
#[cache_key(transparent)]
pub struct Transparent {
    /// The field.
    pub key: String,
}

#[expect(clippy::needless_pass_by_value, reason = "only the key matters")]
#[cache_on_arguments(region = REGION)]
fn text(
    id: UserId,
    query: Query<'_, str, 1>,
    color: Color<u8>,
    never: Option<Never>,
    name: Transparent,
) -> String {
    let _ = (query, color, never);
    format!("{} {}", id.0, name.key)
}

#[test]
fn key_of_each_derived_type_is_quiet_and_written() {
    let query = || Query { key: "x", form: [1], fields: Some(UserId(2)), skipped: Opaque };
    let name = || Transparent { key: "a b".to_owned() };
    let key = text::key(UserId(1), query(), Color::Gray(3, Opaque), None, name());
    assert!(key.ends_with("|1 Query(key='x', form=[1], fields=2) Color.Gray(3) None a b"), "{key}");
    let key = text::key(UserId(1), query(), Color::Mixed { key: 4 }, None, name());
    assert!(key.contains(" Color.Mixed(key=4) "), "{key}");
    let _ = Color::<u8>::Red;
}
