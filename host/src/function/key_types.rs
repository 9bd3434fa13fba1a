//! The types that implement [`CacheKey`](super::cache_key::CacheKey).

mod addresses;
#[cfg(feature = "bytes1")]
mod bytes1;
#[cfg(any(feature = "chrono04", feature = "time03"))]
mod calendar;
#[cfg(feature = "chrono04")]
mod chrono04;
mod collections;
mod durations;
mod fields;
mod items;
mod numbers;
mod options;
mod paths;
mod pointers;
mod texts;
#[cfg(feature = "time03")]
mod time03;
mod tuples;
#[cfg(feature = "uuid1")]
mod uuid1;

pub use self::fields::KeyFields;
