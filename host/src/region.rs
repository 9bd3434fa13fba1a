//! Regions: named front ends over a backend.
//!
//! ```text
//! CacheRegion ──> CallOptions ──> Configured: mangle, read, judge      a hit ends here
//!                                     │   └──> Stores: each with its backend and its codec
//!                                     │
//!                                     └──> Call, the engine's port: lock, create, store
//! ```
//!
//! Source: dogpile.cache `region.py`, `CacheRegion`.

mod async_calls;
mod async_creator;
mod async_region;
mod background_call;
mod background_task;
mod build;
mod cache_region;
mod call;
mod call_key;
mod call_options;
mod configured;
mod creator;
mod creator_errors;
mod detached_call;
mod detached_creation;
mod ending;
mod former;
mod front_end;
mod gates;
mod get_or_create;
mod guards;
mod idle;
mod in_hand;
mod instance_name;
mod outcome_call;
mod outcome_multi;
mod plain_value;
mod published;
mod reads;
mod release;
mod settings;
mod state;
mod store;
mod store_identity;
mod store_writes;
mod stored_keys;
mod stores;
mod task_spans;
mod to_runner;
mod unreadable;
mod warn;
mod warnings;
mod work;
mod writes;

pub(crate) use self::settings::{BackendChoice, Wrap};

pub use self::background_call::BackgroundCall;
pub use self::cache_region::CacheRegion;
pub use self::call_options::CallOptions;
pub use self::creator_errors::{answer, shared};
pub use self::detached_call::DetachedCall;
pub use self::outcome_call::{DetachedOutcomeCall, OutcomeCall};
pub use self::settings::RegionConfig;
pub use crate::policy::{
    CreatorTimeout, FailSafe, InvalidJitter, InvalidOnStale, InvalidShare, Jitter, OnBackendFailure,
    OnCreatorFailure, OnStale, Preset, Share,
};
