//! Regions: named front ends over a backend.
//!
//! ```text
//! CacheRegion ──> CallOptions ──> Configured: mangle, read, judge, decode      a hit ends here
//!                                     │
//!                                     └──> Call, the engine's port: lock, create, encode, store
//! ```
//!
//! Source: dogpile.cache `region.py`, `CacheRegion`.

mod background_call;
mod build;
mod cache_region;
mod call;
mod call_options;
mod configured;
mod creator;
mod release;
mod settings;
mod should_cache;
mod state;
mod stores;
mod value_metadata;
mod writes;

pub(crate) use self::settings::{BackendChoice, Wrap};

pub use self::background_call::BackgroundCall;
pub use self::cache_region::CacheRegion;
pub use self::call_options::CallOptions;
pub use self::settings::{OnCreatorFailure, RegionConfig};
pub use self::should_cache::{CacheAll, ShouldCache};
pub use self::value_metadata::ValueMetadata;
