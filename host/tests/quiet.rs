//! Code with cached functions gets no warning from the compiler, or from clippy with its pedantic lints.
//!
//! A warning is an error in this file. CI runs clippy on all targets, which include this file.

#![deny(warnings, missing_docs, rust_2018_idioms, unreachable_pub, unused, unused_qualifications)]
#![deny(let_underscore_drop, single_use_lifetimes, trivial_casts, trivial_numeric_casts, unsafe_code)]
#![deny(unused_lifetimes, unused_results, missing_debug_implementations)]
#![deny(elided_lifetimes_in_paths, explicit_outlives_requirements, non_ascii_idents, redundant_lifetimes)]
#![deny(clippy::all, clippy::pedantic)]

#[path = "quiet/keys.rs"]
pub mod keys;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use dogpile::{CacheKey, CacheRegion, RegionConfig, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

/// Documented.
#[cache_on_arguments(region = REGION, expiration_time = 60, namespace = "ns")]
#[must_use]
pub fn price(item: &str, mut year: usize) -> usize {
    year += 1;
    year + item.len()
}

#[cache_on_arguments(region = REGION)]
#[rustfmt::skip]
fn one_line(item: u32) -> u32 { item }

#[cache_on_arguments(region = REGION)]
#[rustfmt::skip]
fn one_call(item: &str) -> String { item.to_owned() }

#[cache_on_arguments(region = REGION)]
fn ignoring(_item: u32) -> u32 {
    1
}

#[cache_on_arguments(region = REGION)]
fn one_block(item: u32) -> u32 {
    if item > 1 { item } else { 1 }
}

#[cache_on_arguments(region = REGION)]
fn checked(item: u32) -> Result<(), String> {
    if item > 1 { Ok(()) } else { Err(item.to_string()) }
}

#[cache_on_arguments(region = REGION, ignore(connection))]
fn unused_and_ignored(item: u32, connection: &str) -> u32 {
    item
}

#[cache_on_arguments(region = REGION, ignore(log), should_cache_fn = |_| true, to_str = ToString::to_string, background)]
fn private(item: String, log: &'static str) -> Result<String, String> {
    #![allow(unused_mut)]
    let mut all = item;
    if log.is_empty() { Err(all) } else { Ok(all + log) }
}

#[cache_on_arguments(region = REGION, should_cache_fn = |key, value| !key.is_empty() && *value > 0)]
fn with_predicate(item: u32) -> u32 {
    item
}

/// Documented.
///
/// # Errors
/// If the item is empty.
#[cache_on_arguments(region = REGION, version = 2, expiration_time = "5m")]
pub fn fallible(item: &str) -> Result<usize, String> {
    if item.is_empty() { Err("no item".to_owned()) } else { Ok(item.len()) }
}

type Answer = Result<u32, std::num::ParseIntError>;

#[cache_on_arguments(region = REGION)]
fn alias(text: &str) -> Answer {
    text.parse()
}

#[cache_on_arguments(region = REGION)]
fn read(file: &str) -> std::io::Result<String> {
    if file == "there" { Ok(file.to_owned()) } else { Err(std::io::ErrorKind::NotFound.into()) }
}

#[cache_multi_on_arguments(region = REGION, asdict)]
fn names<'a>(ids: &[&'a str]) -> BTreeMap<&'a str, u32> {
    ids.iter().map(|id| (*id, 1)).collect()
}

/// Documented.
#[cache_multi_on_arguments(region = REGION)]
#[must_use]
pub fn many(ids: &[u64]) -> Vec<u64> {
    ids.to_vec()
}

#[expect(unused_variables, reason = "it is for the key")]
#[cache_on_arguments(region = REGION)]
fn key_only(item: u8) -> u8 {
    7
}

#[expect(clippy::needless_pass_by_value, reason = "a runner needs owned arguments")]
#[cache_on_arguments(region = REGION, background)]
fn owned(item: String) -> usize {
    item.len()
}

#[expect(clippy::too_many_arguments, reason = "it needs all of them")]
#[cache_on_arguments(region = REGION)]
fn eight_arguments(a: u8, b: u8, c: u8, d: u8, more: u8, and: u8, so: u8, on: u8) -> u8 {
    a + b + c + d + more + and + so + on
}

/// Documented.
#[cache_on_arguments(region = REGION)]
#[must_use]
pub fn generic<T: CacheKey, const N: usize>(item: &[T; N]) -> usize {
    item.len()
}

/// Documented.
#[cache_on_arguments(region = REGION)]
#[cfg(not(doctest))]
#[deprecated = "use `generic`"]
#[must_use]
pub fn deprecated(item: u8) -> u8 {
    item
}

/// Names of the standard library that the code of the macros must not use.
mod shadowed {
    use super::REGION;

    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Option;
    pub(crate) struct Result;
    #[expect(dead_code, reason = "only the names matter")]
    pub(crate) enum Shadow {
        Some,
        None,
        Ok,
        Err,
    }
    pub(crate) use Shadow::{Err, None, Ok, Some};

    #[dogpile::cache_on_arguments(region = REGION, version = 1)]
    pub(crate) fn price(item: u8) -> u8 {
        let _ = (String, Vec, Option, Result);
        match Ok {
            Some | None | Ok | Err => item,
        }
    }

    #[dogpile::cache_multi_on_arguments(region = REGION)]
    pub(crate) fn prices(items: &[u8]) -> std::vec::Vec<u8> {
        items.to_vec()
    }

    #[dogpile::cache_on_arguments(region = REGION, version = 1)]
    pub(crate) async fn price_async(item: u8) -> u8 {
        std::future::ready(item).await
    }

    #[dogpile::cache_multi_on_arguments(region = REGION)]
    pub(crate) async fn prices_async(items: &[u8]) -> std::vec::Vec<u8> {
        std::future::ready(items).await.to_vec()
    }
}

/// A key.
#[derive(Clone, Debug, CacheKey)]
pub struct Item {
    /// Its name.
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, CacheKey)]
enum Kind {
    Loose,
    Packed { grams: u32 },
}

#[cache_on_arguments(region = REGION)]
fn weight(item: &Item) -> u32 {
    match item.kind {
        Kind::Loose => 0,
        Kind::Packed { grams } => grams,
    }
}

/// A shop.
#[derive(Clone, Debug)]
pub struct Shop<T>(pub T);

impl<T: Send + Sync> Shop<T> {
    /// Of the method.
    #[cache_on_arguments(region = REGION, ignore(self))]
    #[must_use]
    pub fn of_method<const N: usize>(&self, item: [u8; N]) -> usize {
        item.len()
    }

    #[cache_on_arguments(region = REGION, associated)]
    pub(crate) fn without_receiver(item: u8) -> u8 {
        item
    }
}

impl Shop<u32> {
    /// Of the method.
    #[cache_on_arguments(region = REGION, key_by(self.0, self.0.is_power_of_two()))]
    #[must_use]
    pub fn keyed(&self, item: u32) -> u32 {
        self.0 + item
    }

    #[cache_on_arguments(region = REGION, key_by(self.0), background)]
    fn in_background(self: Arc<Self>, item: u32) -> u32 {
        self.0 + item
    }

    #[cache_multi_on_arguments(region = REGION, key_by(self.0))]
    fn many(&self, items: &[u32]) -> Vec<u32> {
        items.iter().map(|item| self.0 + item).collect()
    }
}

/// Documented.
#[cache_on_arguments(region = REGION, expiration_time = 60, namespace = "ns")]
#[must_use]
pub async fn price_async(item: &str, mut year: usize) -> usize {
    year += 1;
    ready(year + item.len()).await
}

#[cache_on_arguments(region = REGION)]
#[rustfmt::skip]
async fn one_line_async(item: u32) -> u32 { ready(item).await }

#[cache_on_arguments(region = REGION, ignore(connection))]
async fn unused_and_ignored_async(_item: u32, connection: &str) -> u32 {
    ready(1).await
}

#[expect(clippy::unused_async, reason = "its caller awaits it")]
#[cache_on_arguments(region = REGION)]
async fn never_waits(item: u32) -> u32 {
    item
}

#[cache_on_arguments(region = REGION, ignore(log), should_cache_fn = |_| true, to_str = ToString::to_string, detach)]
async fn detached(item: String, log: &'static str) -> Result<String, String> {
    #![allow(unused_mut)]
    let mut all = ready(item).await;
    if log.is_empty() { Err(all) } else { Ok(all + log) }
}

/// Documented.
///
/// # Errors
/// If the item is empty.
#[cache_on_arguments(region = REGION, version = 2, expiration_time = "5m")]
pub async fn fallible_async(item: &str) -> Result<usize, String> {
    if item.is_empty() { Err("no item".to_owned()) } else { Ok(ready(item).await.len()) }
}

#[cache_multi_on_arguments(region = REGION, asdict)]
async fn names_async<'a>(ids: &[&'a str]) -> BTreeMap<&'a str, u32> {
    ids.iter().copied().zip(ready(vec![1; ids.len()]).await).collect()
}

/// Documented.
#[cache_multi_on_arguments(region = REGION, ignore(shop), key_by(shop))]
#[must_use]
pub async fn many_async(shop: u64, ids: &[u64]) -> Vec<u64> {
    ready(ids).await.iter().map(|id| id + shop).collect()
}

#[cache_multi_on_arguments(region = REGION, detach)]
async fn many_detached(ids: &[u64]) -> Vec<u64> {
    ready(ids).await.to_vec()
}

/// Documented.
#[cache_on_arguments(region = REGION)]
#[must_use]
pub async fn generic_async<T: CacheKey + Sync, const N: usize>(item: &[T; N]) -> usize {
    ready(item.len()).await
}

impl Shop<u32> {
    /// Of the method.
    #[cache_on_arguments(region = REGION, key_by(self.0))]
    #[must_use]
    pub async fn keyed_async(&self, item: u32) -> u32 {
        ready(self.0 + item).await
    }

    #[cache_on_arguments(region = REGION, key_by(self.0), detach)]
    async fn keyed_detached(self: Arc<Self>, item: u32) -> u32 {
        ready(self.0 + item).await
    }

    #[cache_multi_on_arguments(region = REGION, key_by(self.0))]
    async fn many_keyed_async(&self, items: &[u32]) -> Vec<u32> {
        ready(items).await.iter().map(|item| self.0 + item).collect()
    }
}

async fn within_an_asynchronous_body() -> u32 {
    #[cache_on_arguments(region = REGION)]
    async fn within_a_function(item: u32) -> u32 {
        ready(item).await
    }

    within_a_function(1).await
}

fn within_a_body() -> u32 {
    #[cache_on_arguments(region = REGION)]
    fn within_a_function(item: Local) -> u32 {
        item.0
    }

    #[derive(Clone, Copy)]
    struct Local(u32);

    impl CacheKey for Local {
        fn write(&self, key: &mut String, form: dogpile::function::KeyForm) {
            self.0.write(key, form);
        }
    }

    within_a_function(Local(1))
}

#[test]
fn cached_functions_without_warnings_return_their_values() {
    let _ = REGION.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    assert_eq!((within_a_body(), price("tea", 1), one_line(1), one_call("a").as_str()), (1, 5, 1, "a"));
    assert_eq!(ignoring(2), 1);
    assert_eq!((one_block(1), unused_and_ignored(2, ""), with_predicate(3), key_only(1)), (1, 2, 3, 7));
    assert_eq!(checked(2), Ok(()));
    assert_eq!((private("a".to_owned(), "b").as_deref(), fallible("tea")), (Ok("ab"), Ok(3)));
    assert_eq!((alias("7"), read("there").unwrap().as_str(), names(&["a"]).len()), (Ok(7), "there", 1));
    assert_eq!((many(&[1]), owned(String::new()), eight_arguments(1, 1, 1, 1, 1, 1, 1, 1)), (vec![1], 0, 8));
    let kinds = [Kind::Loose, Kind::Packed { grams: 7 }];
    assert_eq!(kinds.map(|kind| weight(&Item { name: "tea".to_owned(), kind })), [0, 7]);
    assert_eq!((generic(&[1, 2]), shadowed::price(1), shadowed::prices(&[1])), (2, 1, vec![1]));
    assert_eq!((Shop(1).of_method([1, 2]), Shop::<u8>::without_receiver(3)), (2, 3));
    assert_eq!((Shop(1).keyed(1), Arc::new(Shop(2)).in_background(1), Shop(3).many(&[1])), (2, 3, vec![4]));
    assert_eq!(Shop(1).keyed_get(1).unwrap(), Some(2));
}

#[test]
fn quiet_asynchronous_functions_return_their_values() {
    smol::block_on(async {
        assert_eq!((price_async("tea", 1).await, one_line_async(1).await, never_waits(2).await), (5, 1, 2));
        assert_eq!((unused_and_ignored_async(2, "").await, within_an_asynchronous_body().await), (1, 1));
        assert_eq!(detached("a".to_owned(), "b").await.as_deref(), Ok("ab"));
        assert_eq!((fallible_async("tea").await, names_async(&["a"]).await.len()), (Ok(3), 1));
        assert_eq!((many_async(1, &[1]).await, many_detached(&[1]).await), (vec![2], vec![1]));
        assert_eq!((generic_async(&[1, 2]).await, shadowed::price_async(1).await), (2, 1));
        assert_eq!(shadowed::prices_async(&[1]).await, [1]);
        assert_eq!((Shop(1).keyed_async(1).await, Arc::new(Shop(2)).keyed_detached(1).await), (2, 3));
        assert_eq!(Shop(3).many_keyed_async(&[1]).await, [4]);
    });
}
