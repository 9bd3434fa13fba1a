//! Return types of cached functions: a `Result` is recognized by its type.

use std::collections::BTreeMap;

use dogpile::{
    CacheRegion, CreateError, RegionConfig, RegionError, cache_multi_on_arguments, cache_on_arguments,
};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::regions::region_of;
use serde::{Serialize, de::DeserializeOwned};

use super::Calls;

/// Creates a region in memory.
fn region() -> CacheRegion {
    region_of("results", RegionConfig::new("dogpile.cache.memory"))
}

type Answer = Result<u32, OutOfStock>;

#[cache_on_arguments(region = region, ignore(region, calls))]
fn ask(region: &CacheRegion, calls: &Calls, id: u32) -> Answer {
    if calls.next() == 1 { Err(OutOfStock) } else { Ok(id) }
}

/// An error behind an alias was cached and served as if it were a value.
#[test]
fn error_of_an_alias_of_result_is_not_cached() {
    let (region, calls) = (region(), Calls::default());
    assert_eq!(ask(&region, &calls, 7), Err(OutOfStock));
    assert_eq!(ask::get(&region, &calls, 7).unwrap(), None);
    assert_eq!((ask(&region, &calls, 7), ask(&region, &calls, 7)), (Ok(7), Ok(7)));
    assert_eq!(calls.count(), 2);
    assert_eq!(region.get::<u32>(&ask::key(&region, &calls, 7)).unwrap(), Some(7));
}

#[test]
fn companions_of_an_alias_of_result_have_its_value_and_error() {
    let (region, calls) = (region(), Calls::default());
    let refreshed: Result<u32, CreateError<OutOfStock>> = ask::refresh(&region, &calls, 7);
    assert!(matches!(refreshed, Err(CreateError::Creator(OutOfStock))));
    let value: u32 = ask::refresh(&region, &calls, 7).unwrap();
    let cached: Option<u32> = ask::get(&region, &calls, value).unwrap();
    assert_eq!(cached, Some(7));
    ask::set(8, &region, &calls, 7).unwrap();
    assert_eq!(ask(&region, &calls, 7), Ok(8));
}

mod lab {
    /// A type that is called `Result`, but is an ordinary value.
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(super) struct Result<T>(pub(super) T);

    /// A `Result` whose value is not its generic parameter.
    pub(super) type Results<T> = std::result::Result<Vec<T>, super::OutOfStock>;
}

#[cache_on_arguments(region = region, ignore(region))]
fn measured(region: &CacheRegion, sample: u8) -> lab::Result<u8> {
    lab::Result(sample)
}

#[cache_on_arguments(region = region, ignore(region))]
fn all_measured(region: &CacheRegion, sample: u8) -> lab::Results<u8> {
    if sample == 0 { Err(OutOfStock) } else { Ok(vec![sample]) }
}

#[cache_on_arguments(region = region, ignore(region))]
fn formatted(region: &CacheRegion, number: f64) -> std::fmt::Result {
    if number.is_nan() { Err(std::fmt::Error) } else { Ok(()) }
}

#[test]
fn other_types_called_result_are_ordinary_values() {
    let region = region();
    assert_eq!((measured(&region, 1), measured(&region, 1)), (lab::Result(1), lab::Result(1)));
    let cached: Option<lab::Result<u8>> = measured::get(&region, 1).unwrap();
    assert_eq!(cached, Some(lab::Result(1)));
    let refreshed: Result<lab::Result<u8>, RegionError> = measured::refresh(&region, 2);
    assert_eq!(refreshed.unwrap(), lab::Result(2));
}

#[test]
fn generic_alias_of_result_caches_the_value_of_the_result() {
    let region = region();
    assert_eq!((all_measured(&region, 0), all_measured(&region, 3)), (Err(OutOfStock), Ok(vec![3])));
    let cached: [Option<Vec<u8>>; 2] = [0, 3].map(|sample| all_measured::get(&region, sample).unwrap());
    assert_eq!(cached, [None, Some(vec![3])]);
    assert_eq!((formatted(&region, 1.5), formatted(&region, f64::NAN)), (Ok(()), Err(std::fmt::Error)));
    assert_eq!(
        (formatted::get(&region, 1.5).unwrap(), formatted::get(&region, f64::NAN).unwrap()),
        (Some(()), None)
    );
}

struct Shop<T> {
    stock: Vec<T>,
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Shop<T> {
    #[cache_on_arguments(region = region, ignore(self, region))]
    fn first(&self, region: &CacheRegion) -> Option<T> {
        self.stock.first().cloned()
    }

    #[cache_on_arguments(region = region, ignore(self, region), key_name = "last")]
    fn last(&self, region: &CacheRegion) -> T {
        self.stock[self.stock.len() - 1].clone()
    }

    #[cache_on_arguments(region = region, ignore(self, region), key_name = "at")]
    fn at(&self, region: &CacheRegion, index: usize) -> Result<T, OutOfStock> {
        self.stock.get(index).cloned().ok_or(OutOfStock)
    }

    #[cache_on_arguments(region = region, ignore(self, region), key_name = "count")]
    fn count(&self, region: &CacheRegion) -> Answer {
        u32::try_from(self.stock.len()).map_err(|_| OutOfStock)
    }
}

struct Shelf<Item>(Item);

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Labeled<Item>(Item);

impl<Item: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Shelf<Item> {
    #[cache_on_arguments(region = region, ignore(self, region), key_name = "top")]
    fn top(&self, region: &CacheRegion) -> Item {
        self.0.clone()
    }

    #[cache_on_arguments(region = region, ignore(self, region), key_name = "labeled")]
    fn labeled(&self, region: &CacheRegion) -> Labeled<Item> {
        Labeled(self.0.clone())
    }
}

#[cache_on_arguments(region = region, ignore(region))]
fn parsed<T>(region: &CacheRegion, text: &str) -> Result<T, T::Err>
where
    T: std::str::FromStr<Err: std::fmt::Display>
        + Serialize
        + DeserializeOwned
        + Clone
        + Send
        + Sync
        + 'static,
{
    text.parse()
}

#[test]
fn generic_return_types_are_cached() {
    let (region, shop) = (region(), Shop { stock: vec!["tea".to_owned(), "jam".to_owned()] });
    assert_eq!((shop.first(&region).as_deref(), shop.last(&region).as_str()), (Some("tea"), "jam"));
    assert_eq!((shop.at(&region, 1), shop.at(&region, 2)), (Ok("jam".to_owned()), Err(OutOfStock)));
    assert_eq!(
        (shop.at_get(&region, 1).unwrap().as_deref(), shop.at_get(&region, 2).unwrap()),
        (Some("jam"), None)
    );
    assert_eq!((shop.count(&region), shop.count_get(&region).unwrap()), (Ok(2), Some(2)));
    let shelf = Shelf(7);
    assert_eq!((shelf.top(&region), shelf.labeled(&region)), (7, Labeled(7)));
    assert_eq!((parsed::<u8>(&region, "7"), parsed::<u8>(&region, "x").is_err()), (Ok(7), true));
    assert_eq!(parsed::get::<u8>(&region, "7").unwrap(), Some(7));
}

type Names = Result<Vec<String>, OutOfStock>;
type Sizes = BTreeMap<u32, usize>;

#[cache_multi_on_arguments(region = region, ignore(region))]
fn names(region: &CacheRegion, ids: &[u32]) -> Names {
    if ids.contains(&0) { Err(OutOfStock) } else { Ok(ids.iter().map(u32::to_string).collect()) }
}

#[cache_multi_on_arguments(region = region, ignore(region), asdict)]
fn sizes(region: &CacheRegion, ids: &[u32]) -> Sizes {
    ids.iter().map(|id| (*id, id.to_string().len())).collect()
}

#[test]
fn multi_functions_may_return_aliases() {
    let region = region();
    assert_eq!(names(&region, &[1, 0]), Err(OutOfStock));
    let cached: Vec<Option<String>> = names::get(&region, &[1]).unwrap();
    assert_eq!(cached, [None]);
    assert_eq!(names(&region, &[1, 2]), Ok(vec!["1".to_owned(), "2".to_owned()]));
    names::set([(2, "two".to_owned())], &region).unwrap();
    assert_eq!(names::get(&region, &[1, 2]).unwrap(), [Some("1".to_owned()), Some("two".to_owned())]);
    let refreshed: Result<Vec<String>, CreateError<OutOfStock>> = names::refresh(&region, &[2]);
    assert_eq!(refreshed.unwrap(), ["2"]);
    assert_eq!(sizes(&region, &[1, 10]), BTreeMap::from([(1, 1), (10, 2)]));
    sizes::set([(10, 0)], &region).unwrap();
    let cached: BTreeMap<u32, usize> = sizes::get(&region, &[10, 11]).unwrap();
    assert_eq!(cached, BTreeMap::from([(10, 0)]));
}
