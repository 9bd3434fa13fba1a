//! No lint minds what the macros make.

#![deny(warnings, missing_docs, rust_2018_idioms, unreachable_pub, unused, unused_qualifications)]
#![deny(let_underscore_drop, single_use_lifetimes, trivial_casts, unsafe_code, unused_lifetimes)]

use std::collections::BTreeMap;

use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

/// Documented.
#[cache_on_arguments(region = REGION, expiration_time = 60, namespace = "ns")]
#[must_use]
pub fn price(item: &str, mut year: u32) -> u32 {
    year += 1;
    year + item.len() as u32
}

#[cache_on_arguments(region = REGION, ignore(log), should_cache_fn = |_| true, to_str = ToString::to_string, background)]
fn private(item: String, log: &'static str) -> Result<String, String> {
    #![allow(unused_mut)]
    let mut all = item;
    Ok(all + log)
}

#[cache_multi_on_arguments(region = REGION, asdict)]
fn names<'a>(ids: &[&'a str]) -> BTreeMap<&'a str, u32> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[expect(unused_variables, reason = "it is for the key")]
#[cache_on_arguments(region = REGION)]
fn key_only(item: u8) -> u8 {
    7
}

/// A shop.
pub struct Shop<T>(pub T);

impl<T: Send + Sync> Shop<T> {
    /// Of the method.
    #[cache_on_arguments(region = REGION, ignore(self))]
    pub fn of_method<const N: usize>(&self, item: [u8; N]) -> usize {
        item.len()
    }

    #[cache_on_arguments(region = REGION, associated)]
    pub(crate) fn without_receiver(item: u8) -> u8 {
        item
    }
}

fn main() {
    #[cache_on_arguments(region = REGION)]
    fn within_a_function(item: Local) -> u32 {
        item.0
    }

    #[derive(Clone, Copy)]
    struct Local(u32);

    impl dogpile::function::CacheKey for Local {
        fn write(&self, key: &mut String, form: dogpile::function::KeyForm) {
            self.0.write(key, form);
        }
    }

    REGION.configure(dogpile::RegionConfig::new("dogpile.cache.memory")).unwrap();
    assert_eq!(within_a_function(Local(1)), 1);
    assert_eq!(price("tea", 1), 5);
    assert_eq!(private("a".to_owned(), "b").as_deref(), Ok("ab"));
    assert_eq!(key_only(1), 7);
    assert_eq!(names(&["a"]).len(), 1);
    assert_eq!((Shop(1).of_method([1, 2]), Shop::<u8>::without_receiver(3)), (2, 3));
}
