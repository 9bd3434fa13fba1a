//! Asynchronous functions whose region fails.

use std::collections::BTreeMap;
use std::fmt;

use dogpile::{CacheRegion, RegionConfig, cache_multi_on_arguments, cache_on_arguments};

/// An error that only has a text.
#[derive(Clone, Debug, PartialEq)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

static LATE: CacheRegion = CacheRegion::new("late");

#[cache_on_arguments(region = LATE)]
async fn early(item: u32) -> Result<u32, Refused> {
    if item == 0 { Err(Refused("zero".to_owned())) } else { Ok(item) }
}

#[cache_on_arguments(region = LATE, detach)]
async fn early_detached(item: u32) -> Result<u32, Refused> {
    if item == 0 { Err(Refused("zero".to_owned())) } else { Ok(item) }
}

#[cache_multi_on_arguments(region = LATE)]
async fn many_early(items: &[u32]) -> Vec<u32> {
    items.to_vec()
}

#[cache_multi_on_arguments(region = LATE, detach, asdict)]
async fn many_early_detached(items: &[u32]) -> BTreeMap<u32, u32> {
    items.iter().map(|item| (*item, *item)).collect()
}

#[test]
fn function_is_evaluated_uncached_without_a_region() {
    let all = async || {
        (
            early(1).await,
            early(0).await,
            early_detached(1).await,
            early_detached(0).await,
            many_early(&[2]).await,
        )
    };
    let zero = || Err(Refused("zero".to_owned()));
    assert_eq!(smol::block_on(all()), (Ok(1), zero(), Ok(1), zero(), vec![2]));
    assert_eq!(smol::block_on(many_early_detached(&[3])), BTreeMap::from([(3, 3)]));
    assert!(smol::block_on(early::get(1)).is_err());
    assert!(smol::block_on(early::refresh(1)).is_err());
    LATE.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    assert_eq!(smol::block_on(all()), (Ok(1), zero(), Ok(1), zero(), vec![2]));
    assert_eq!(smol::block_on(many_early_detached(&[3])), BTreeMap::from([(3, 3)]));
    assert_eq!(smol::block_on(early::get(1)).unwrap(), Some(1));
    assert_eq!(smol::block_on(early_detached::get(0)).unwrap(), None);
}
